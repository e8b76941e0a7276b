"""A sequence encoder in the loop: what PPO makes of users on ``recgym/ShortVideo-v0`` with and without it.

The encoder is fitted to a log of random videos, to foretell which video is viewed long. It brings two things, the
state of the user and its vectors of items, so there is an arm that has the vectors alone: what that arm gains over the
mean of the history is not owed to the state. All arms have the same budget of steps, and are tested on the same users.
"""

import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents import PPOConfig, RandomPolicy, SB3Agent
from recgym.agents.sb3.config import plain_settings
from recgym.agents.sb3.encoders import known_items
from recgym.arrays import from_numpy, to_numpy
from recgym.encoders import (
    Catalogue,
    EventConfig,
    FitConfig,
    FittedEncoder,
    OnlyLiked,
    SASRecConfig,
    Sequences,
    fit,
    load_encoder,
    seeded,
)
from recgym.encoders.settings import settings_to_json
from recgym.envs import Task, encoded_task, make_task
from recgym.evaluation import OneStepOracle, action_spec, rollout
from recgym.evaluation.rollout import Rollout
from recgym.seeding import child_seed
from reproductions.encoders.intervals import over_users
from reproductions.encoders.models import Run

__all__ = ["ARMS", "RUNS", "played", "with_vectors"]

ENVIRONMENT = "recgym/ShortVideo-v0"
STEPS = 500_000
LOGGED_USERS, TEST_USERS = 6000, 1000
TEST_SEEDS = (1000, 1001, 1002)
ENCODER = SASRecConfig(
    width=32, blocks=1, heads=2, window=30, dropout=0.1, rotary=True,
    events=EventConfig(feedback=True, gaps=True), fit=FitConfig(epochs=15, step_size=2e-3),
)  # fmt: skip

BOUNDS = ("random", "one-step-oracle")
ARMS = ("mean-pool", "sasrec-state", "mean-pool-vectors", "sasrec-learning")
"""The mean of the history; the frozen encoder's state and vectors; the mean of the history and the encoder's vectors;
the encoder's state and vectors, the encoder learning along."""

RUNS = (
    *(Run("loop", name, 0) for name in BOUNDS),
    *(Run("loop", arm, seed) for seed in range(5) for arm in ARMS[:3]),
    *(Run("loop", "sasrec-learning", seed) for seed in range(3)),
)
"""The seed is that of the log, the encoder and PPO; the arms of one seed share an encoder."""


def played(run: Run, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Train an arm and serve the test users: its row, and the return of each of them."""
    begun = time.perf_counter()
    task = make_task(ENVIRONMENT, {})
    if run.model in BOUNDS:
        policy: Any = OneStepOracle if run.model == "one-step-oracle" else RandomPolicy(action_spec(task))
        return _row(run, rollout(policy, task, users=TEST_USERS, seeds=TEST_SEEDS), begun, {})
    agent = _agent(run, task, folder)
    started = time.perf_counter()
    agent.learn(STEPS)
    learned = {
        "steps": agent.steps,
        "training_seconds": round(time.perf_counter() - started, 1),
        "settings": {
            "agent": plain_settings(agent.config),
            "encoder": None if run.model == "mean-pool" else settings_to_json(ENCODER),
        },
    }
    result = rollout(agent.policy(), agent.task, users=TEST_USERS, seeds=TEST_SEEDS, greedy=True)
    return _row(run, result, begun, learned)


def _agent(run: Run, task: Task, folder: Path) -> SB3Agent:
    if run.model == "mean-pool":
        return SB3Agent(PPOConfig(), task, seed=run.seed)
    encoder = _fitted(task, run.seed, folder / f"loop_encoder_{run.seed}")
    if run.model == "sasrec-state":
        return SB3Agent(PPOConfig(), encoded_task(task, encoder), seed=run.seed)
    if run.model == "mean-pool-vectors":
        return SB3Agent(PPOConfig(), with_vectors(task, encoder), seed=run.seed)
    return SB3Agent(PPOConfig(), task, seed=run.seed, encoder=encoder)


def with_vectors(task: Task, encoder: FittedEncoder) -> Task:
    """The same task; agents find the encoder's vectors beside the features of items, and nothing else of it."""
    model = copy.copy(task.model)
    known = known_items(to_numpy(model.item_features).astype(np.float32), encoder.model.encoder)
    model.item_features = from_numpy(known, "cpu")
    return replace(task, model=model)


def _fitted(task: Task, seed: int, folder: Path) -> FittedEncoder:
    """The encoder of a seed: fitted to a log of random videos, or read from where it was kept."""
    if folder.exists():
        return load_encoder(folder)
    random = RandomPolicy(action_spec(task))
    log = rollout(random, task, users=LOGGED_USERS, seeds=(child_seed(seed, "log"),), record=True).to_log()
    sequences = Sequences.from_log(log)
    catalogue = Catalogue.of(sequences)
    with seeded(seed, "encoder weights"):
        model = ENCODER.build(catalogue)
    # In a log of random videos what is shown next is chance; which of it holds the user is not.
    long_view = OnlyLiked(log.n_items, log.schema.names.index("long_view"))
    fit(model, sequences, [replace(stage, transform=long_view) for stage in ENCODER.stages(catalogue)], seed)
    encoder = FittedEncoder("sasrec", ENCODER, catalogue, model.eval(), log.item_ids, log.schema.names)
    encoder.save(folder)
    return encoder


def _row(
    run: Run, result: Rollout, begun: float, learned: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    returns, summary = result.episodes.reward.ravel(), result.summary()
    row = {
        "environment": ENVIRONMENT,
        "model": run.model,
        "seed": run.seed,
        "return": over_users(returns)._asdict(),
        "session_length": summary["session_length"],
        "test_users": len(returns),
        **learned,
        "seconds": round(time.perf_counter() - begun, 1),
        "threads": torch.get_num_threads(),
    }
    return row, {"return": returns}
