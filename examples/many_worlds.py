"""Sim2Rec: learn in worlds of little and of much clickbait pay-off, then serve one in between that was never seen."""

import argparse

import torch

import recgym  # noqa: F401 - registers the environments
from recgym.agents import RandomPolicy, RecurrentPPO, RecurrentPPOConfig, Sim2RecConfig
from recgym.agents.recurrent import WorldConfig
from recgym.envs import make_task
from recgym.evaluation import action_spec, rollout

LOW, HIGH, UNSEEN = (6.0, 7.0, 8.0), (20.0, 21.0), 14.0
GROUP = 60


def main(steps: int, users: int, first: int) -> None:
    # One pay-off a row of the batch: 60 users share a world, and are told apart by info["group"] alone.
    worlds = [choc for choc in (*LOW, *HIGH) for _ in range(GROUP)]
    task = make_task("recgym/LongTermSatisfaction-v0", {"choc": worlds})
    unseen = make_task("recgym/LongTermSatisfaction-v0", {"choc": UNSEEN})

    learner = RecurrentPPOConfig(ordered=True, gae_lambda=0.98, learning_rate=1.5e-3)
    arms: dict[str, RecurrentPPOConfig | Sim2RecConfig] = {
        "memory alone": learner,
        "Sim2Rec": Sim2RecConfig(learner, WorldConfig(first_updates=first)),
    }
    for name, config in arms.items():
        agent = RecurrentPPO(config, task, num_envs=len(worlds), seed=0)
        agent.learn(steps)
        # In the new world too, neighbours in the batch share it: the policy makes them out as one.
        result = rollout(agent.policy(GROUP), unseen, users=users, seeds=(0, 1), greedy=True).summary()
        print(f"{name:13} {result['return']:6.1f}  [{result['low']:.1f}, {result['high']:.1f}]")
    chance = rollout(RandomPolicy(action_spec(unseen)), unseen, users=users, seeds=(0, 1)).summary()
    print(f"{'random':13} {chance['return']:6.1f}  [{chance['low']:.1f}, {chance['high']:.1f}]")


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=600)
    parser.add_argument("--first", type=int, default=300, help="updates of what knows worlds, before the policy learns")
    arguments = parser.parse_args()
    main(arguments.steps, arguments.users, arguments.first)
