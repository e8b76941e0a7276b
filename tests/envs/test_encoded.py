"""States from the environment against the encoder over each user's whole history, which a twin keeps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

import recgym  # noqa: F401 - registers the environments
from recgym.agents import RandomPolicy
from recgym.arrays import arange, as_double, as_float, as_int, device_of, namespace, to_numpy, zeros
from recgym.encoders import Batch as Histories
from recgym.encoders import (
    BERT4RecConfig,
    Catalogue,
    EventConfig,
    FeedbackScale,
    FittedEncoder,
    GRU4RecConfig,
    HSTUConfig,
    ModelConfig,
    SASRecConfig,
    SequenceEncoder,
    seeded,
)
from recgym.envs import (
    EncodedObservation,
    EncodedObserver,
    HistoryObserver,
    RecVectorEnv,
    SB3VecEnv,
    Simulation,
    StatefulObserver,
    Task,
    encoded_task,
    make_task,
)
from recgym.evaluation import action_spec, rollout
from recgym.simulators import Observed, ShortVideo
from recgym.simulators.short_video import ShortVideoState
from recgym.testing import check_environment
from recgym.types import Array, History

USERS, ALL = 6, 200
EVENTS = EventConfig(feedback=True, gaps=True)
CONFIGS: dict[str, ModelConfig] = {
    "learned, fits": SASRecConfig(width=8, window=ALL, events=EVENTS),
    "learned, exceeded": SASRecConfig(width=8, window=5, events=EVENTS),
    "rotary": SASRecConfig(width=8, window=5, rotary=True, events=EVENTS),
    "recurrent": GRU4RecConfig(width=8, window=5),
    "not incremental": BERT4RecConfig(width=8, window=5, heads=2),
}


def fitted_for(task: Task, config: SASRecConfig) -> FittedEncoder:
    items, channels = task.model.num_items, task.model.schema.names
    catalogue = Catalogue(items, np.ones(items, np.int64), FeedbackScale((1.5,) * len(channels)), timed=True)
    with seeded(0, "encoder"):
        model = config.build(catalogue).eval()
    return FittedEncoder("sasrec", config, catalogue, model, pl.Series("id", np.arange(items)), channels)


def encoder_for(task: Task, config: ModelConfig) -> SequenceEncoder:
    """An encoder of the task's items, as it might be after training: nothing is zero any more."""
    items, channels = task.model.num_items, len(task.model.schema)
    catalogue = Catalogue(items, np.ones(items, np.int64), FeedbackScale((1.5,) * channels), timed=True)
    with seeded(0, "encoder"):
        encoder = config.build(catalogue).encoder.eval()
        for parameter in encoder.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return encoder


@torch.no_grad()
def truth(encoder: SequenceEncoder, history: History) -> Tensor:
    """The state after the whole history."""
    batch = Histories.from_history(History(*map(torch.as_tensor, history)))
    if not encoder.capabilities.sliding:
        return encoder.final(batch)
    states, there = encoder(batch), batch.mask.any(1)
    return torch.where(there[:, None], states[:, -1], encoder.blank)


def actions(task: Task, steps: int) -> np.ndarray:
    shape = (steps, USERS) if task.slate_size == 1 else (steps, USERS, task.slate_size)
    return np.random.default_rng(5).integers(task.num_candidates, size=shape)


def remembering(task: Task) -> Task:
    """The same users, of whom everything is kept; without draws of their own, observers change nothing."""
    return replace(task, window=ALL, observer=HistoryObserver())


@pytest.mark.parametrize(
    ("name", "device"), [*((name, "numpy") for name in CONFIGS), ("learned, exceeded", "cpu"), ("rotary", "cpu")]
)
def test_states_are_those_of_the_whole_history(name: str, device: str) -> None:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": 3, "level": "retention", "window": 8})
    encoder = encoder_for(task, CONFIGS[name])
    run(task, encoder, device, 40)


def run(task: Task, encoder: SequenceEncoder, device: str, steps: int, first: int = 0) -> int:
    """Hold each step against the truth; returns how many episodes ended on the way.

    Args:
        task: what is simulated.
        encoder: of its items.
        device: of the simulation.
        steps: to take.
        first: events that the users, together, come with at least.
    """
    env = RecVectorEnv(encoded_task(task, encoder), USERS, autoreset_mode="SameStep", device=device, seed=1)
    twin = RecVectorEnv(remembering(task), USERS, autoreset_mode="SameStep", device=device, seed=1)
    observation, _ = env.reset(seed=4)
    twin.reset(seed=4)
    ends, longest = 0, 0
    assert twin.simulation.history().mask.sum() >= first
    for action in actions(task, steps):
        history = twin.simulation.history()
        longest = max(longest, int(history.mask.sum(1).max()))
        np.testing.assert_allclose(observation["state"], truth(encoder, history), atol=1e-5)
        since = np.where(history.mask[:, -1], to_numpy(twin.simulation.clock_s) - to_numpy(history.time_s)[:, -1], 0)
        np.testing.assert_allclose(observation["since_s"][:, 0], since, rtol=1e-6)
        observation, _, terminated, truncated, info = env.step(action)
        twin.step(action)
        ended = terminated | truncated
        ends += int(ended.sum())
        for row in np.flatnonzero(ended):
            assert env.single_observation_space.contains(info["final_obs"][row])
    assert 10 < longest < ALL
    return ends


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_resets_start_states_anew(mode: str) -> None:
    task = make_task("recgym/ShortVideo-v0", {"patience": 2.0, "window": 8})
    encoder = encoder_for(task, CONFIGS["rotary"])
    env = RecVectorEnv(encoded_task(task, encoder), USERS, autoreset_mode=mode, seed=1)
    twin = RecVectorEnv(remembering(task), USERS, autoreset_mode=mode, seed=1)
    observation, _ = env.reset(seed=4)
    twin.reset(seed=4)
    assert np.array_equal(observation["state"], encoder.blank.detach().numpy()[None].repeat(USERS, 0))
    ends = 0
    for action in actions(task, 40):
        observation, _, terminated, truncated, _ = env.step(action)
        twin.step(action)
        ended = terminated | truncated
        ends += int(ended.sum())
        if mode == "Disabled" and ended.any():
            observation, _ = env.reset(options={"reset_mask": ended})
            twin.reset(options={"reset_mask": ended})
        np.testing.assert_allclose(observation["state"], truth(encoder, twin.simulation.history()), atol=1e-5)
    assert ends > 3


class Recorded(ShortVideo):
    """Short-video users who come with up to 9 events on record; which ones follows from their profiles."""

    def on(self, device: str) -> "Recorded":
        return Recorded(self.config, device)

    def observe(self, state: ShortVideoState) -> Observed:
        seen = super().observe(state)
        number = as_int(abs(seen.profile) * 1e4)
        xp, column = namespace(number), arange(number.shape[1], device_of(number))
        mask = column > number[:, :1] % 10
        times = as_double(column - 10)[None] * 60.0 * mask
        history = History(
            xp.where(mask, number % self.num_items, self.num_items), as_float(mask)[..., None] + 0 * self.feedback_row,
            times, mask,
        )  # fmt: skip
        return seen._replace(history=history)

    @property
    def feedback_row(self) -> Array:
        return zeros((len(self.schema),), "float32", device_of(self.item_features))


@pytest.mark.parametrize(("name", "device"), [("learned, fits", "numpy"), ("rotary", "numpy"), ("recurrent", "cpu")])
def test_users_bring_their_histories(name: str, device: str) -> None:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": 2, "window": 4, "patience": 2.0})
    task = replace(task, model=Recorded(task.model.config))  # type: ignore[attr-defined]
    assert run(task, encoder_for(task, CONFIGS[name]), device, 20, 9)


def test_what_users_consume_unasked_counts() -> None:
    task = make_task("recgym/OrganicBandit-v0", {})
    encoder = encoder_for(task, CONFIGS["learned, exceeded"])
    env = RecVectorEnv(encoded_task(task, encoder), USERS, seed=1)
    twin = RecVectorEnv(remembering(task), USERS, seed=1)
    observation, _ = env.reset(seed=4)
    twin.reset(seed=4)
    for action in actions(task, 40):
        np.testing.assert_allclose(observation["state"], truth(encoder, twin.simulation.history()), atol=1e-5)
        observation = env.step(action)[0]
        twin.step(action)


@pytest.mark.parametrize("name", ["learned, exceeded", "rotary", "not incremental"])
def test_branches_have_equal_states(name: str) -> None:
    task = make_task("recgym/ShortVideo-v0", {"window": 8})
    env = RecVectorEnv(encoded_task(task, encoder_for(task, CONFIGS[name])), USERS, seed=1)
    env.reset(seed=2)
    before, after = np.split(actions(task, 30), [12])
    for action in before:
        env.step(action)
    saved = env.get_state()

    def go_on() -> list[np.ndarray]:
        return [env.step(action)[0]["state"] for action in after]

    first = go_on()
    env.set_state(saved)
    assert np.array_equal(first, go_on())


def test_looking_twice_shows_the_same_and_arrays_are_the_callers() -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    seen = encoded_task(task, encoder_for(task, CONFIGS["rotary"]))
    assert isinstance(seen.observer, StatefulObserver)
    assert not isinstance(task.observer, StatefulObserver)
    for device in ("numpy", "cpu"):
        simulation = Simulation(seen, 3, device=device)
        simulation.reset()
        simulation.step(simulation.candidates[:, 0] * 0)  # type: ignore[index]
        first: Any = simulation.observation()
        kept = to_numpy(first["state"]).copy()
        first["state"] *= 0
        second: Any = simulation.observation()
        assert np.array_equal(to_numpy(second["state"]), kept)


def test_training_the_encoder_later_changes_nothing() -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    encoder = encoder_for(task, CONFIGS["rotary"]).train()
    observer = EncodedObserver(encoder)
    assert encoder.training
    assert not observer.encoder.training
    assert not any(parameter.requires_grad for parameter in observer.encoder.parameters())
    encoder.blank.data += 1.0
    assert not torch.equal(observer.encoder.blank, encoder.blank)


def test_the_wrapper_shows_the_same_users() -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    encoder = encoder_for(task, CONFIGS["rotary"])
    wrapped = EncodedObservation(RecVectorEnv(task, USERS, autoreset_mode="SameStep", seed=7), encoder)
    direct = RecVectorEnv(encoded_task(task, encoder), USERS, autoreset_mode="SameStep", seed=7)
    plain = RecVectorEnv(task, USERS, autoreset_mode="SameStep", seed=7)
    assert wrapped.observation_space == direct.observation_space
    assert wrapped.metadata["autoreset_mode"] == direct.metadata["autoreset_mode"]
    results = [env.reset()[0] for env in (wrapped, direct, plain)]
    for action in actions(task, 20):
        assert np.array_equal(results[0]["state"], results[1]["state"])
        assert np.array_equal(results[0]["history_items"], results[2]["history_items"])
        results = [env.step(action)[0] for env in (wrapped, direct, plain)]
    with pytest.raises(ValueError, match="goes right around a RecVectorEnv, found EncodedObservation"):
        EncodedObservation(wrapped, encoder)


def test_every_face_and_a_rollout() -> None:
    task = make_task("recgym/ShortVideo-v0", {"level": "retention"})
    encoder = encoder_for(task, CONFIGS["rotary"])
    single = gym.make("recgym/ShortVideo-v0", level="retention", encoder=encoder)
    observation, _ = single.reset(seed=0)
    assert set(observation) == {"state", "since_s", "profile", "history_items", "candidates", "progress"}
    assert observation["state"].shape == (8,)
    seen = encoded_task(task, encoder)
    stacked = SB3VecEnv(seen, 4, seed=0).reset()
    assert isinstance(stacked, dict)
    assert stacked["state"].shape == (4, 8)
    result = rollout(RandomPolicy(action_spec(seen)), seen, users=20, seeds=(0,), max_steps=30)
    plain = rollout(RandomPolicy(action_spec(task)), task, users=20, seeds=(0,), max_steps=30)
    assert np.array_equal(result.episodes.reward, plain.episodes.reward)


def test_the_contract_of_environments_holds() -> None:
    settings = {"mask_consumed": True, "patience": 1.0}
    encoder = encoder_for(
        make_task("recgym/ShortVideo-v0", settings),
        SASRecConfig(width=8, window=5, blocks=1, rotary=True, events=EVENTS),
    )
    check_environment("recgym/ShortVideo-v0", encoder=encoder, **settings)


def test_a_setting_of_every_environment(tmp_path: Path) -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    fitted = fitted_for(task, SASRecConfig(width=8, window=5, events=EVENTS))
    fitted.save(tmp_path)
    made = make_task("recgym/ShortVideo-v0", {"encoder": str(tmp_path), "window": 6})
    assert made.window == 6
    observations = []
    for seen in (made, encoded_task(replace(task, window=6), fitted)):
        env = RecVectorEnv(seen, USERS, seed=0)
        env.reset()
        observations.append(env.step(actions(task, 1)[0])[0]["state"])
    assert np.array_equal(*observations)
    with pytest.raises(ValueError, match="the encoder was fitted to stars"):
        encoded_task(task, replace(fitted, channels=("stars",)))


def test_errors() -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    encoder = encoder_for(task, CONFIGS["rotary"])
    with pytest.raises(ValueError, match="a state that is moved on by events cannot tell it"):
        EncodedObserver(encoder_for(task, HSTUConfig(width=8, window=5, sees_query_time=True)))
    other = make_task("recgym/InterestEvolution-v0", {})
    with pytest.raises(ValueError, match=r"the encoder knows \d+ items and 7 feedback channels, the task has \d+ and"):
        encoded_task(other, encoder)
    flat = make_task("recgym/LongTermSatisfaction-v0", {})
    with pytest.raises(ValueError, match="an encoder needs a history, found the observer FlatObserver"):
        encoded_task(flat, encoder)
