"""What would another policy have earned? From the log of one policy to estimates for others, and when to doubt them."""

import argparse
from typing import Any

import torch

from recgym.agents import Policy, RandomPolicy, ScoredPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec, record, rollout
from recgym.ope import PDIS, SNPDIS, WDR, Bootstrap, TrajectoryDR, evaluate, fitted_q, trajectories_of
from recgym.types import Array

ENV = ("recgym/ShortVideo-v0", {"num_candidates": 10, "window": 10, "patience": 3.0})


def main(steps: int, updates: int, users: int) -> None:
    task = make_task(*ENV)
    spec = action_spec(task)
    features = torch.as_tensor(task.model.item_features)

    def interest(seen: dict[str, Any]) -> Array:
        return (features[seen["candidates"]][..., :10] * seen["profile"][:, None]).sum(-1)  # topics, stated interests

    def leaning(temperature: float, mix: float) -> Policy[Any]:
        return ScoredPolicy(spec, interest, temperature, mix)

    log = record(leaning(0.5, 0.2), task, steps, seed=0)  # with the probability of every choice
    print(f"the log: {len(log):,} steps of {len(log.episodes):,} users")
    targets = {
        "a little sharper": leaning(0.4, 0.15),
        "random": RandomPolicy(spec),
        "always the best match": leaning(0.0, 0.0),
    }
    for name, policy in targets.items():
        truth = rollout(policy, task, users=users, seeds=(1, 2, 3)).summary()
        print(f"\n{name}: on new users it earns {truth['return']:.2f} [{truth['low']:.2f}, {truth['high']:.2f}]")
        values = fitted_q(log, policy, updates=updates)
        data = trajectories_of(log, policy, q=values.q, v=values.v)
        for found in evaluate(data, (PDIS(), SNPDIS(), TrajectoryDR(), WDR()), Bootstrap(resamples=300)):
            low, high = found.interval.low, found.interval.high
            print(f"  {found.estimator:6} {found.value:6.2f} [{low:6.2f}, {high:6.2f}]   "
                  f"worth {found.diagnostics.effective_n:5.0f} of {found.diagnostics.n:,} users")  # fmt: skip
        for warning in found.diagnostics.warnings:
            print("  doubt:", warning)


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--users", type=int, default=2000)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.updates, arguments.users)
