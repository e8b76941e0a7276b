"""Train PPO on long-term satisfaction and compare it with a random policy and the best single clickbait level."""

import argparse
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import recgym  # noqa: F401 - registers the environments
from recgym.agents import Policy, PPOConfig, RandomPolicy, SB3Agent, ScoredPolicy
from recgym.evaluation import action_spec, rollout
from recgym.types import Array


def always(level: int) -> Callable[[Array], Array]:
    """Scores that always prefer one clickbait level."""
    return lambda observation: observation[:, :1] * 0 + observation.new_tensor(np.eye(30)[level])


def main(steps: int, users: int) -> None:
    env = gym.make_vec("recgym/LongTermSatisfaction-v0", num_envs=256, vectorization_mode="vector_entry_point", choc=14)
    task = env.unwrapped.task  # type: ignore[attr-defined]
    spec = action_spec(task)

    agent = SB3Agent(PPOConfig(), task, num_envs=256, seed=0)
    agent.learn(steps)

    policies: dict[str, Policy[Any]] = {
        "random": RandomPolicy(spec),
        "level 12 of 30": ScoredPolicy(spec, always(12)),
        "PPO": agent.policy(),
    }
    print(f"{'policy':16} return over 140 steps, 95 % interval over 3 seeds")
    for name, policy in policies.items():
        result = rollout(policy, task, users=users, seeds=(0, 1, 2), greedy=True).summary()
        print(f"{name:16} {result['return']:6.0f}   [{result['low']:.0f}, {result['high']:.0f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--users", type=int, default=1000)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.users)
