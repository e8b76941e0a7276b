"""Train PPO on long-term satisfaction, compare it with simple policies, and look at what it does with a user."""

import argparse
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import recgym  # noqa: F401 - registers the environments
from recgym.agents import Policy, PPOConfig, RandomPolicy, SB3Agent, ScoredPolicy
from recgym.evaluation import action_spec, rollout
from recgym.types import Array


def always(level: int) -> Callable[[Array], Array]:
    """Scores that always prefer one clickbait level."""
    return lambda observation: observation[:, :1] * 0 + observation.new_tensor(np.eye(30)[level])


def inspect(policy: Policy[Any], env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
    """Print what is shown and what comes back over the 140 steps of a session, mean over users."""
    seen, _ = env.reset(seed=1)
    state, generator = policy.init_state(env.num_envs, "cpu"), torch.Generator().manual_seed(0)
    shown, engagement = [], []
    for _ in range(140):
        decision, state = policy.act(torch.as_tensor(seen), state, generator, greedy=True)
        seen, reward, *_ = env.step(decision.action.numpy())
        shown.append(decision.action.float().mean().item())
        engagement.append(float(np.asarray(reward).mean()))
    for first in (0, 20, 60, 120):
        part = slice(first, first + 20)
        print(f"steps {first + 1:3} to {first + 20:3}: clickbait level {np.mean(shown[part]):4.1f} of 30, "
              f"engagement {np.mean(engagement[part]):.2f} a step")  # fmt: skip


def main(steps: int, users: int) -> None:
    env = gym.make_vec("recgym/LongTermSatisfaction-v0", num_envs=256, vectorization_mode="vector_entry_point", choc=14)
    task = env.unwrapped.task  # type: ignore[attr-defined]
    spec = action_spec(task)
    # What counts here is the next thirty steps or so, and four times the updates that the defaults make.
    config = PPOConfig(learning_rate=2e-3, batch_size=1024, gamma=0.97, gae_lambda=0.98)
    agent = SB3Agent(config, task, num_envs=256, seed=0)
    agent.learn(steps)
    policies: dict[str, Policy[Any]] = {"random": RandomPolicy(spec), "PPO": agent.policy()}
    policies |= {f"level {level} of 30": ScoredPolicy(spec, always(level)) for level in (29, 12)}
    print(f"{'policy':16} return over 140 steps, 95 % interval over 3 seeds")
    for name, policy in policies.items():
        result = rollout(policy, task, users=users, seeds=(0, 1, 2), greedy=True).summary()
        print(f"{name:16} {result['return']:6.0f}   [{result['low']:.0f}, {result['high']:.0f}]")
    inspect(agent.policy(), env)


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1000)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.users)
