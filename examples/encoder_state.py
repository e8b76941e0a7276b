"""A sequence encoder as the state of an agent: fitted to a log, then PPO on its states, frozen or learning along."""

import argparse
from dataclasses import replace

import torch

import recgym  # noqa: F401 - registers the environments
from recgym.agents import PPOConfig, RandomPolicy, SB3Agent
from recgym.data import InteractionLog
from recgym.encoders import (
    Catalogue,
    EventConfig,
    FitConfig,
    FittedEncoder,
    OnlyLiked,
    SASRecConfig,
    Sequences,
    fit,
    seeded,
)
from recgym.envs import encoded_task, make_task
from recgym.evaluation import action_spec, rollout


def fitted(log: InteractionLog) -> FittedEncoder:
    """Of all that was watched, to foretell what is viewed long: in a log of random videos, the rest is chance."""
    events, settings = EventConfig(feedback=True, gaps=True), FitConfig(epochs=8, step_size=2e-3)
    config = SASRecConfig(width=32, blocks=1, heads=2, window=30, rotary=True, events=events, fit=settings)
    sequences = Sequences.from_log(log)
    catalogue = Catalogue.of(sequences)
    with seeded(0, "encoder weights"):
        model = config.build(catalogue)
    long_view = OnlyLiked(log.n_items, log.schema.names.index("long_view"))
    fit(model, sequences, [replace(stage, transform=long_view) for stage in config.stages(catalogue)], seed=0)
    return FittedEncoder("sasrec", config, catalogue, model.eval(), log.item_ids, log.schema.names)


def main(steps: int, users: int, envs: int) -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    log = rollout(RandomPolicy(action_spec(task)), task, users=5 * users, seeds=(0,), record=True).to_log()
    encoder = fitted(log)
    agents = {
        "mean of the history": SB3Agent(PPOConfig(), task, envs, seed=0),
        # Inside the environment, moved on video by video.
        "frozen encoder": SB3Agent(PPOConfig(), encoded_task(task, encoder), envs, seed=0),
        # Inside the policy, whose gradient it takes; the visible history is encoded anew each time, which is slower.
        "encoder that learns": SB3Agent(PPOConfig(), task, envs, seed=0, encoder=encoder),
    }
    for name, agent in agents.items():
        agent.learn(steps)
        result = rollout(agent.policy(), agent.task, users=users, seeds=(1, 2, 3), greedy=True).summary()
        print(f"{name:20} {result['return']:6.2f}   [{result['low']:.2f}, {result['high']:.2f}]")


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--envs", type=int, default=256, help="users side by side while learning")
    arguments = parser.parse_args()
    main(arguments.steps, arguments.users, arguments.envs)
