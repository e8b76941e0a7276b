"""Transitions for d3rlpy and Minari; skipped where these are not installed."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.data.export import (
    discrete_actions,
    item_actions,
    item_preferences,
    preference_actions,
    to_mdp_dataset,
    to_minari,
)
from recgym.data.transitions import TransitionStore
from tests.agents.offline.cases import log_of, task_of


def optional(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason="the extra recgym[offline] is not installed")


def small(kind: str) -> TransitionStore:
    return log_of(kind, 3).subset(np.arange(0, 40, 2))


def gaps(seen: Any) -> Any:
    return seen if isinstance(seen, torch.Tensor) else seen["history_gap_s"]


def test_actions() -> None:
    store = log_of("items")
    candidates = store.columns["candidates"][store.steps]
    chosen = candidates[np.arange(len(store)), store.columns["action"][store.steps, 0]]
    assert (item_actions(store, store.steps) == chosen).all()
    assert discrete_actions(store.problem) == store.problem.num_items
    vectors = preference_actions(store, store.steps)
    assert np.abs(vectors).max() <= 1
    features = store.item_features
    rank = (vectors @ features.T > (vectors * features[chosen]).sum(1)[:, None] + 1e-6).mean(1)
    assert rank.mean() < 0.02, "the item stands near the top for its own vector"
    np.testing.assert_array_equal(vectors, item_preferences(features)[chosen])
    slates = log_of("slates")
    mean = item_preferences(slates.item_features)[slates.columns["slate"][slates.steps]].mean(1)
    np.testing.assert_array_equal(preference_actions(slates, slates.steps), mean)
    with pytest.raises(ValueError, match="a discrete action is one item, found slates of 2; use preferences"):
        item_actions(slates, slates.steps)
    constant = np.ones((4, 2), np.float32)
    assert (item_preferences(constant) == 0).all()


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("kind", ["items", "flat"])
def test_d3rlpy_gets_every_episode(kind: str, discrete: bool) -> None:
    optional("d3rlpy")
    store = small(kind)
    dataset = to_mdp_dataset(store, gaps, discrete)
    assert len(dataset.episodes) == len(store.episodes)
    for episode, (first, closing) in zip(dataset.episodes, store.episodes, strict=True):
        steps = np.arange(first, closing)
        assert len(episode) == closing - first
        assert episode.terminated == store.columns["terminated"][closing - 1]
        np.testing.assert_array_equal(episode.rewards[:, 0], store.columns["reward"][steps])
        np.testing.assert_array_equal(episode.observations, gaps(store.observations(steps)).numpy())
        truth = item_actions(store, steps)[:, None] if discrete else preference_actions(store, steps)
        np.testing.assert_array_equal(episode.actions, truth)
    info = dataset.dataset_info
    assert info.action_size == (discrete_actions(store.problem) if discrete else store.item_features.shape[1])
    terminated = store.columns["terminated"][store.steps].sum()
    # d3rlpy drops the last step of a timeout, as it keeps no state behind it.
    assert dataset.transition_count == len(store) - (len(store.episodes) - terminated)


@pytest.mark.parametrize("kind", ["items", "slates", "sessions", "flat"])
def test_minari_reads_what_was_written(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = optional("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    store = small(kind)
    to_minari(store, f"recgym/{kind}-v0", author="recgym")
    dataset = minari.load_dataset(f"recgym/{kind}-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (len(store.episodes), len(store))
    for episode, (first, closing) in zip(dataset.iterate_episodes(), store.episodes, strict=True):
        points = np.arange(first, closing + 1)
        seen: Any = store.observations(points)
        for name in seen if isinstance(seen, dict) else [None]:
            mine, theirs = (seen[name], episode.observations[name]) if name else (seen, episode.observations)
            np.testing.assert_array_equal(mine.numpy(), theirs)
        np.testing.assert_array_equal(store.actions(points[:-1]).numpy(), episode.actions)
        for name, values in (
            ("reward", episode.rewards), ("terminated", episode.terminations), ("truncated", episode.truncations)
        ):  # fmt: skip
            np.testing.assert_array_equal(
                store.columns[name][points[:-1]], np.asarray(values, store.columns[name].dtype)
            )
        known = episode.infos["log_propensity"][:-1]
        np.testing.assert_array_equal(store.columns["log_propensity"][points[:-1]], known)
    one = dataset[0]
    assert dataset.action_space.contains(one.actions[0])
    assert task_of(kind).slate_size == np.atleast_1d(one.actions[0]).size


def test_minari_takes_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = optional("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    store = small("items")
    to_minari(store, "states-v0", gaps)
    first, closing = store.episodes[3]
    truth = gaps(store.observations(np.arange(first, closing + 1))).numpy()
    np.testing.assert_array_equal(minari.load_dataset("states-v0")[3].observations, truth)
    with pytest.raises(ValueError, match="states-v0"):
        to_minari(store, "states-v0", gaps)


@pytest.mark.parametrize("name", ["d3rlpy", "minari"])
def test_what_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, f"{name}.dataset", None)
    sentence = rf"{name} is not installed; pip install 'recgym\[offline\]' does it"
    with pytest.raises(ModuleNotFoundError, match=sentence):
        _ = to_minari(small("items"), "x-v0") if name == "minari" else to_mdp_dataset(small("items"), gaps, True)
