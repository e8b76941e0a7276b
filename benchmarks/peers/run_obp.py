"""Run by the interpreter of an environment that has Open Bandit Pipeline: times its estimators, prints one JSON object.

The rounds are those of ``benchmarks.ope`` (this file makes them for both), so that the values must agree. The
environment: ``pip install obp==0.4.1 "pandas<3"``.
"""

import argparse
import json
import time
from typing import Any

import numpy as np

__all__ = ["rounds"]

ACTIONS = 10


def rounds(n: int) -> dict[str, np.ndarray]:
    """Rounds with ten actions, laws that differ by context, and a model that is nearly right."""
    generator = np.random.default_rng(0)
    law = generator.dirichlet(np.ones(ACTIONS) * 2, (2, 1000))
    q = generator.uniform(0.1, 0.9, (1000, ACTIONS))
    context = generator.integers(0, 1000, n)
    logging = law[0, context]
    action = np.minimum((np.cumsum(logging, 1) <= generator.random((n, 1))).sum(1), ACTIONS - 1)
    taken = np.arange(n)
    return {
        "action": action, "reward": (generator.random(n) < q[context, action]).astype(float),
        "propensity": logging[taken, action], "target": law[1, context], "q": 0.9 * q[context] + 0.03,
    }  # fmt: skip


def main() -> None:
    """Time point estimates and bootstraps."""
    from obp import ope

    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--resamples", type=int, required=True)
    args = parser.parse_args()
    data = rounds(args.rounds)
    given: dict[str, Any] = {
        "reward": data["reward"], "action": data["action"], "pscore": data["propensity"],
        "action_dist": data["target"][:, :, None], "estimated_rewards_by_reg_model": data["q"][:, :, None],
        "position": np.zeros(args.rounds, dtype=int),
    }  # fmt: skip
    found = {}
    for name, kind in (
        ("IPW", ope.InverseProbabilityWeighting),
        ("SNIPW", ope.SelfNormalizedInverseProbabilityWeighting),
        ("DR", ope.DoublyRobust),
    ):
        one = kind()
        value = one.estimate_policy_value(**given)
        begun = time.perf_counter()
        for _ in range(3):
            one.estimate_policy_value(**given)
        point = (time.perf_counter() - begun) / 3
        begun = time.perf_counter()
        one.estimate_interval(**given, n_bootstrap_samples=args.resamples, random_state=0)
        whole = time.perf_counter() - begun
        found[name] = {"value": float(value), "point": 1 / point, "resamples": args.resamples / whole}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
