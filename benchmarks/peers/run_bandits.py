"""Time a bandit of another package; runs on the Python of an environment that has them all.

``python run_bandits.py --bandit obp-linucb --arms 20 --width 20 --seconds 3`` prints one JSON object: rounds a second,
a round being one choice and one update, and the arms of the first rounds. Rounds depend on numpy's ``default_rng``
alone.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

KEPT, PEER_ROUNDS = 500, 100_000


def rounds(arms: int, width: int, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[T, d]`` and clicks ``[T, A]``."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((arms, width)) / width**0.5
    features = rng.standard_normal((count, width))
    chance = 1 / (1 + np.exp(-features @ weights.T))
    return features, (rng.random((count, arms)) < chance).astype(np.float64)


def _mabwiser(policy: Any, arms: int, width: int) -> tuple[Callable[[Any], int], Callable[[Any, int, float], None]]:
    from mabwiser.mab import MAB

    bandit = MAB(list(range(arms)), policy, seed=0)
    bandit.fit([0], [0], [[0.0] * width])  # it wants to be fitted first; a row of zeros says nothing
    return bandit.predict, lambda row, arm, reward: bandit.partial_fit([arm], [reward], row)


def _obp(policy: Any) -> tuple[Callable[[Any], int], Callable[[Any, int, float], None]]:
    def select(row: Any) -> int:
        return int(policy.select_action(row)[0])

    def learn(row: Any, arm: int, reward: float) -> None:
        policy.update_params(action=arm, reward=reward, context=row)

    return select, learn


def _vowpal_wabbit(arms: int, width: int) -> tuple[Callable[[Any], int], Callable[[Any, int, float], None]]:
    """RegCB's optimistic form: a linear model of the cost of each arm, and the arm of the lowest lower bound."""
    from vowpalwabbit import Workspace

    flags = "--cb_explore_adf --regcb --regcbopt --mellowness 0.1 --cb_type mtr --interactions SA --ignore_linear SA"
    workspace = Workspace(f"{flags} --quiet --random_seed 1")
    names, actions = [f"f{i}" for i in range(width)], [f"|A a{arm}" for arm in range(arms)]
    asked: list[str] = []

    def select(row: Any) -> int:
        features = " ".join(f"{name}:{value:.6f}" for name, value in zip(names, row[0].tolist(), strict=True))
        asked[:] = [f"shared |S {features}", *actions]
        chances = workspace.predict(asked)
        return max(range(arms), key=chances.__getitem__)

    def learn(row: Any, arm: int, reward: float) -> None:
        told = asked.copy()
        told[1 + arm] = f"0:{1 - reward}:1 {actions[arm]}"
        workspace.learn(told)

    return select, learn


def make(name: str, arms: int, width: int) -> tuple[Callable[[Any], int], Callable[[Any, int, float], None]]:
    """How a bandit chooses and learns."""
    if name.startswith("mabwiser"):
        from mabwiser.mab import LearningPolicy

        policies = {"mabwiser-linucb": LearningPolicy.LinUCB, "mabwiser-lints": LearningPolicy.LinTS}
        return _mabwiser(policies[name](alpha=1.0, l2_lambda=1.0), arms, width)
    if name == "vw-regcb":
        return _vowpal_wabbit(arms, width)
    from obp.policy import LinTS, LinUCB, LogisticTS

    if name == "obp-linucb":
        return _obp(LinUCB(dim=width, n_actions=arms, epsilon=1.0, random_state=0))
    if name == "obp-lints":
        return _obp(LinTS(dim=width, n_actions=arms, random_state=0))
    return _obp(LogisticTS(dim=width, n_actions=arms, random_state=0))


def main() -> None:
    """Read the flags, time one bandit, print the rate, the first arms and the versions."""
    names = ["obp-linucb", "obp-lints", "obp-logistic-ts", "mabwiser-linucb", "mabwiser-lints", "vw-regcb"]
    parser = argparse.ArgumentParser(description="Rounds per second of one bandit.")
    parser.add_argument("--bandit", choices=names, required=True)
    parser.add_argument("--arms", type=int, default=20)
    parser.add_argument("--width", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    features, clicks = rounds(args.arms, args.width, PEER_ROUNDS)
    select, learn = make(args.bandit, args.arms, args.width)
    chosen, start, step = [], time.perf_counter(), 0
    while step < KEPT or (time.perf_counter() - start < args.seconds and step < len(features)):
        row = features[step : step + 1]
        arm = select(row)
        learn(row, arm, clicks[step, arm])
        chosen.append(arm)
        step += 1
    seconds = time.perf_counter() - start
    versions = {name: version(name) for name in ("obp", "mabwiser", "vowpalwabbit", "numpy")} | {
        "python": sys.version.split()[0]
    }
    print(
        json.dumps({"rounds_per_s": step / seconds, "arms": [int(arm) for arm in chosen[:KEPT]], "versions": versions})
    )


if __name__ == "__main__":
    main()
