"""Recurrent PPO on long-term satisfaction, learning included, beside sb3-contrib's.

``python -m benchmarks.recurrent_ppo --json``

Both learn the same task with the same users, network (an LSTM of 64 over a user's steps, layers of 64 and 64 for policy
and value), rollouts of a whole episode (140 steps), 4 epochs and minibatches of 10,500 steps, on one thread; what is
timed is a rollout and its updates. sb3-contrib steps the same batch of users through
:class:`recgym.envs.SB3VecEnv`, so that the difference lies in the learner alone.
"""

import time

import torch
from sb3_contrib import RecurrentPPO as PeerPPO
from stable_baselines3.common.logger import Logger
from torch import nn

from benchmarks.measure import Row, finish, options, paired, report
from recgym.agents import RecurrentPPO, RecurrentPPOConfig
from recgym.envs import SB3VecEnv
from recgym.envs.long_term_satisfaction import task

__all__ = ["main", "ours", "theirs"]

USERS, STEPS, BATCH, EPOCHS = 450, 140, 10_500, 4
NAME = "LongTermSatisfaction-v0"


def ours(rounds: int) -> float:
    """User-steps per second of :class:`recgym.agents.RecurrentPPO`."""
    agent = RecurrentPPO(RecurrentPPOConfig(batch_steps=BATCH, epochs=EPOCHS), task(), USERS)
    agent.learn_some(10**9, 1)  # the first look at the features, and a warm-up
    before, start = agent.steps, time.perf_counter()
    agent.learn_some(10**9, rounds * USERS * STEPS)
    return (agent.steps - before) / (time.perf_counter() - start)


def theirs(rounds: int) -> float:
    """User-steps per second of ``sb3_contrib.RecurrentPPO``."""
    env = SB3VecEnv(task(), USERS, seed=0)
    agent = PeerPPO(
        "MlpLstmPolicy", env, n_steps=STEPS, batch_size=BATCH, n_epochs=EPOCHS, device="cpu",
        policy_kwargs={"lstm_hidden_size": 64, "shared_lstm": True, "enable_critic_lstm": False,
                       "net_arch": {"pi": [64, 64], "vf": [64, 64]}, "activation_fn": nn.ReLU},
    )  # fmt: skip
    agent.set_logger(Logger(None, []))
    agent.learn(USERS * STEPS)  # a warm-up
    start = time.perf_counter()
    agent.learn(rounds * USERS * STEPS, reset_num_timesteps=False)
    return rounds * USERS * STEPS / (time.perf_counter() - start)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/recurrent_ppo.json``."""
    parser = options("recurrent_ppo", __doc__)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rounds, repeats = (1, 1) if args.quick else (3, 3)
    ratio = paired(NAME, "sb3-contrib", USERS, lambda: ours(rounds), lambda: theirs(rounds), repeats)
    body = report([Row(NAME, "core", USERS, max(ratio.ours))], [ratio])
    return finish("recurrent_ppo", body, args, f"{max(ratio.ours):,.0f} user-steps/s; {ratio}")


if __name__ == "__main__":
    raise SystemExit(main())
