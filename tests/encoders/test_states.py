"""States before the rows of a log, against histories that are gathered and encoded one by one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from recgym.agents import NoState, RandomPolicy
from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog, history_before
from recgym.encoders import (
    Batch,
    BERT4RecConfig,
    Catalogue,
    EventConfig,
    GRU4RecConfig,
    HSTUConfig,
    ModelConfig,
    NextItemModel,
    SASRecConfig,
    Sequences,
    encode_log,
    seeded,
)
from recgym.envs import encoded_task, make_task
from recgym.evaluation import action_spec, rollout
from recgym.types import Decision

EVENTS = EventConfig(feedback=True, gaps=True)
CONFIGS: dict[str, ModelConfig] = {
    "learned, fits": SASRecConfig(width=8, window=80, events=EVENTS),
    "learned, exceeded": SASRecConfig(width=8, window=5, events=EVENTS),
    "rotary": SASRecConfig(width=8, window=5, rotary=True, events=EVENTS),
    "recurrent": GRU4RecConfig(width=8, window=5),
    "probe": BERT4RecConfig(width=8, window=5, heads=2),
}


def log_with_ties() -> InteractionLog:
    """Slates of 2, of which some items are consumed, often two slates at the same time; the last user only looks."""
    rng = np.random.default_rng(0)
    steps = np.array([40, 1, 17, 25, 3])
    user = np.repeat(np.arange(5), steps)
    time_s = np.concatenate([np.sort(rng.integers(0, n, n)) * 60.0 for n in steps])
    click = (rng.random((len(user), 2)) < 0.6) & (user < 4)[:, None]
    frame = pl.DataFrame(
        {
            "user": np.repeat(user, 2), "item": rng.integers(0, 30, 2 * len(user)), "time_s": np.repeat(time_s, 2),
            "slate": np.repeat(np.arange(len(user)), 2), "position": np.tile(np.arange(2, dtype=np.int32), len(user)),
            "click": click.reshape(-1).astype(np.float32),
        }
    ).with_columns(session=pl.lit(None, pl.Int64), propensity=pl.lit(None, pl.Float64))  # fmt: skip
    ids = pl.Series("id", np.arange(5)), pl.Series("id", np.arange(30))
    return InteractionLog(frame, FeedbackSchema((Channel("click", ChannelKind.BINARY),)), *ids, source="test")


def model_of(config: ModelConfig, catalogue: Catalogue) -> NextItemModel:
    with seeded(0, "encoder"):
        model = config.build(catalogue).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@torch.no_grad()
def slow(model: NextItemModel, log: InteractionLog) -> Tensor:
    """Every row's history on its own."""
    encoder, states = model.encoder, []
    for user, time_s in log.frame.select("user", "time_s").iter_rows():
        history = history_before(log, np.array([user]), np.array([time_s]), 100)
        batch = Batch.from_history(history)
        whole = encoder.capabilities.sliding and bool(batch.mask.any())
        states.append(encoder(batch)[:, -1] if whole else encoder.final(batch))
    return torch.cat(states)


@pytest.mark.parametrize("name", CONFIGS)
def test_states_are_those_of_the_history_before(name: str) -> None:
    log = log_with_ties()
    model = model_of(CONFIGS[name], Catalogue.of(Sequences.from_log(log)))
    expected = slow(model, log).numpy()
    found = encode_log(model.encoder, log, batch_size=4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    rows = np.array([7, 3, 3, 100])
    np.testing.assert_allclose(encode_log(model.encoder, log, rows), expected[rows], atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_from_the_row_itself_or_later_leaks(name: str) -> None:
    log = log_with_ties()
    model = model_of(CONFIGS[name], Catalogue.of(Sequences.from_log(log)))
    cut = 30 * 60.0
    later = pl.col("time_s") >= cut
    changed = replace(
        log, frame=log.frame.with_columns(item=pl.when(later).then((pl.col("item") + 7) % 30).otherwise(pl.col("item")))
    )
    until = np.flatnonzero(log.frame["time_s"].to_numpy() <= cut)
    before, after = (encode_log(model.encoder, one, until) for one in (log, changed))
    np.testing.assert_allclose(before, after, atol=1e-6)
    assert np.abs(encode_log(model.encoder, log) - encode_log(model.encoder, changed)).max() > 1e-3


def test_states_are_those_that_the_environment_showed() -> None:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": 2, "window": 6, "level": "retention"})
    log = rollout(RandomPolicy(action_spec(task)), task, users=12, seeds=(0,), max_steps=25, record=True).to_log()
    model = model_of(CONFIGS["learned, exceeded"], Catalogue.of(Sequences.from_log(log)))
    seen = encoded_task(task, model.encoder)
    policy = Watching(RandomPolicy(action_spec(task)))
    rollout(policy, seen, users=12, seeds=(0,), max_steps=25)
    first = log.frame.with_row_index("row").group_by("slate", maintain_order=True).first()
    states = encode_log(model.encoder, log, first["row"].to_numpy().astype(np.int64))
    shown = np.stack(policy.shown)
    step = first.select(pl.int_range(pl.len()).over("user")).to_series().to_numpy()
    np.testing.assert_allclose(states, shown[step, first["user"].to_numpy()], atol=1e-5)


class Watching:
    """A policy that keeps the states it is shown."""

    def __init__(self, policy: RandomPolicy) -> None:
        self.policy = policy
        self.shown: list[np.ndarray] = []

    def init_state(self, users: int, device: str) -> NoState:
        return NoState()

    def act(self, observation: Any, state: NoState, generator: Any, greedy: bool = False) -> tuple[Decision, NoState]:
        self.shown.append(observation["state"].numpy())
        return self.policy.act(observation, state, generator, greedy)


def _other_items(log: InteractionLog) -> Any:
    sequences = replace(Sequences.from_log(log), num_items=31)
    return model_of(CONFIGS["rotary"], Catalogue.of(sequences)).encoder


def _query_time(log: InteractionLog) -> Any:
    config = HSTUConfig(width=8, window=5, sees_query_time=True)
    return model_of(config, Catalogue.of(Sequences.from_log(log))).encoder


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(_other_items, "it has 30 items, the encoder knows 31"), (_query_time, "a time bias needs the time of the query")],
)
def test_errors(make: Callable[[InteractionLog], Any], sentence: str) -> None:
    log = log_with_ties()
    with pytest.raises(ValueError, match=sentence):
        encode_log(make(log), log)
