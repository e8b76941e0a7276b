"""Regret of MABWiser's and the Open Bandit Pipeline's bandits; runs where these are installed, needs numpy beside.

``python run_peers.py --out peers.json``. Every replication has rounds of its own from :func:`rounds`, which depend on
numpy's ``default_rng`` alone; bandits see the features and the reward of the arm that they chose.
"""

import argparse
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ARMS, WIDTH, STEPS, REPLICATIONS = 10, 8, 2000, 12


def rounds(replication: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features ``[T, d]``, click probabilities ``[T, A]`` and clicks ``[T, A]``; the last feature is a constant."""
    rng = np.random.default_rng([7, replication])
    weights = rng.standard_normal((ARMS, WIDTH - 1))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    features = rng.standard_normal((STEPS, WIDTH - 1))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    chance = (1 + features @ weights.T) / 2
    clicks = (rng.random((STEPS, ARMS)) < chance).astype(np.float64)
    return np.concatenate([features, np.ones((STEPS, 1))], 1), chance, clicks


def mabwiser(policy: Any, replication: int) -> np.ndarray:
    """Arms that MABWiser chose."""
    from mabwiser.mab import MAB

    features, _, clicks = rounds(replication)
    bandit = MAB(list(range(ARMS)), policy, seed=replication)
    # It must be fitted before it predicts: a row of zeros says nothing to a linear bandit.
    bandit.fit([0], [0], [[0.0] * WIDTH])
    chosen = np.zeros(STEPS, int)
    for step in range(STEPS):
        row = features[step : step + 1]
        chosen[step] = bandit.predict(row)
        bandit.partial_fit([chosen[step]], [clicks[step, chosen[step]]], row)
    return chosen


def obp(policy: Any, replication: int) -> np.ndarray:
    """Arms that a policy of the Open Bandit Pipeline chose."""
    features, _, clicks = rounds(replication)
    chosen = np.zeros(STEPS, int)
    for step in range(STEPS):
        row = features[step : step + 1]
        chosen[step] = policy.select_action(row)[0]
        policy.update_params(action=chosen[step], reward=clicks[step, chosen[step]], context=row)
    return chosen


def main() -> None:
    """Run every peer on every replication."""
    from mabwiser.mab import LearningPolicy
    from obp.policy import LinTS, LinUCB

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    peers: dict[str, Callable[[int], np.ndarray]] = {
        "MABWiser LinUCB": lambda r: mabwiser(LearningPolicy.LinUCB(alpha=1.0, l2_lambda=1.0), r),
        "MABWiser LinTS": lambda r: mabwiser(LearningPolicy.LinTS(alpha=0.5, l2_lambda=1.0), r),
        "obp LinUCB": lambda r: obp(LinUCB(dim=WIDTH, n_actions=ARMS, epsilon=1.0, random_state=r), r),
        "obp LinTS": lambda r: obp(LinTS(dim=WIDTH, n_actions=ARMS, random_state=r), r),
    }
    found: dict[str, Any] = {}
    for name, play in peers.items():
        lost = []
        for replication in range(REPLICATIONS):
            chosen, (_, chance, _) = play(replication), rounds(replication)
            lost.append(float((chance.max(1) - chance[np.arange(STEPS), chosen]).sum()))
            if replication == 0 and "LinUCB" in name:
                found[f"{name}: first arms"] = chosen[:300].tolist()
        found[name] = lost
        print(name, np.mean(lost), file=sys.stderr, flush=True)
    versions = {package: version(package) for package in ("mabwiser", "obp", "numpy")}
    args.out.write_text(json.dumps({"versions": versions, "regret": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
