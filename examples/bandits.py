"""Bandits that learn while they serve: many replications side by side, what each earns, and how fast it learns."""

import argparse
from typing import Any

import torch

from recgym.agents import RandomPolicy
from recgym.agents.bandits import Bandit, BanditPolicy, BernoulliTS, EpsilonGreedy, LinTS, LinUCB
from recgym.envs import make_task
from recgym.evaluation import OneStepOracle, action_spec, rollout


def main(rounds: int, replications: int) -> None:
    # Every round another visitor comes; clicks depend on the visitor's features and on the arm.
    task = make_task("recgym/ContextualBandit-v0", {"horizon": rounds})
    bandits: dict[str, Bandit[Any]] = {
        "epsilon-greedy 0.1": EpsilonGreedy(0.1),
        "Thompson, no features": BernoulliTS(),
        "LinUCB": LinUCB(alpha=0.5),
        "linear Thompson": LinTS(scale=0.2),
    }
    # Each replication has a learner of its own; propensities are for logs, and nobody reads one here.
    policies: dict[str, Any] = {"random": RandomPolicy(action_spec(task))}
    for name, bandit in bandits.items():
        policies[name] = BanditPolicy(bandit, task, {"click": 1.0}, apart=True, propensities=False)
    print(f"clicks in {rounds:,} rounds, mean and 95 % interval over {replications} replications")
    for name, policy in (policies | {"oracle": OneStepOracle}).items():
        played = rollout(policy, task, users=replications, seeds=(0,), max_steps=rounds)
        clicks = played.episodes.reward.ravel()
        half = 1.96 * clicks.std(ddof=1) / len(clicks) ** 0.5
        print(f"{name:22} {clicks.mean():7.1f}   [{clicks.mean() - half:.1f}, {clicks.mean() + half:.1f}]")


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--replications", type=int, default=50)
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.replications)
