"""Logs and transitions for other programs: rows under the ids of the source, d3rlpy's and Minari's data sets."""

import importlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import polars as pl
import torch
from jaxtyping import Float32, Int64

from recgym.arrays import to_numpy
from recgym.data.schema import InteractionLog
from recgym.data.transitions.columns import Problem
from recgym.data.transitions.store import Observations, TransitionStore
from recgym.files import atomic_file
from recgym.types import Array

__all__ = [
    "StateFn", "discrete_actions", "item_actions", "item_preferences", "preference_actions",
    "to_frame", "to_mdp_dataset", "to_minari", "write_csv",
]  # fmt: skip

StateFn = Callable[[Observations], Array]
"""From a batch of observations to states ``[B, D]``, float32."""

_AT_ONCE = 8192  # points whose observations are in memory at a time


def to_frame(log: InteractionLog) -> pl.DataFrame:
    """The rows of a log with the original ids in ``user`` and ``item``; all other columns as they are."""
    return log.frame.with_columns(
        user=log.user_ids.gather(log.frame["user"]), item=log.item_ids.gather(log.frame["item"])
    )


def write_csv(log: InteractionLog, path: Path | str) -> None:
    """Write :func:`to_frame` as CSV with a header line, all or nothing; a missing value is an empty field."""
    with atomic_file(Path(path)) as temporary:
        to_frame(log).write_csv(temporary)


def discrete_actions(problem: Problem) -> int:
    """How many discrete actions there are: items of the catalogue; candidates where observations do not name them.

    Raises:
        ValueError: an action is a slate of several items, which no discrete action stands for.
    """
    if problem.slate_size != 1:
        raise ValueError(
            f"{problem.name}: a discrete action is one item, found slates of {problem.slate_size}; use preferences"
        )
    return problem.num_candidates if problem.flat else problem.num_items


def item_actions(store: TransitionStore, points: Int64[np.ndarray, "B"]) -> Int64[np.ndarray, "B"]:
    """What was chosen at each point, as one of :func:`discrete_actions`."""
    discrete_actions(store.problem)
    column = "action" if store.problem.flat and store.problem.action == "items" else "slate"
    chosen: np.ndarray = store.columns[column][points, 0].astype(np.int64)
    return chosen


def item_preferences(features: Float32[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    """A preference vector for each item: its features, standardised over the catalogue and scaled into [-1, 1].

    Ranking by the dot product with features, as environments do, puts an item near the top for its own vector: near,
    because longer vectors may stand above it.
    """
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 1e-6, spread, 1.0)
    vectors: np.ndarray = (scaled / max(float(np.abs(scaled).max(initial=0.0)), 1e-12)).astype(np.float32)
    return vectors


def preference_actions(store: TransitionStore, points: Int64[np.ndarray, "B"]) -> Float32[np.ndarray, "B D"]:
    """The preference vector at each point: the logged one, or the mean of those of the items that were shown."""
    if store.problem.action == "preference":
        return np.asarray(store.columns["action"][points], np.float32)
    vectors: np.ndarray = item_preferences(store.item_features)[store.columns["slate"][points]].mean(1)
    return vectors


def to_mdp_dataset(store: TransitionStore, states: StateFn, discrete: bool) -> Any:
    """A ``d3rlpy.dataset.MDPDataset`` with every episode of a store; needs the extra ``recgym[offline]``.

    An episode that was cut off becomes a timeout. d3rlpy keeps no state after the last step, so it does not learn
    values from the last step of a timeout; :class:`recgym.agents.d3rlpy.D3RLPyAgent` does.

    Args:
        store: the steps.
        states: what d3rlpy takes for an observation, such as one of :mod:`recgym.agents.d3rlpy.states`.
        discrete: item ids as actions, see :func:`item_actions`; else preference vectors.
    """
    dataset = _package("d3rlpy.dataset")
    constants = _package("d3rlpy.constants")
    steps, columns = store.steps, store.columns
    size = discrete_actions(store.problem) if discrete else store.item_features.shape[1]
    actions = item_actions(store, steps)[:, None] if discrete else preference_actions(store, steps)
    ends = np.zeros(len(steps), bool)
    ends[np.cumsum(store.lengths) - 1] = True
    terminals = columns["terminated"][steps]
    with _package("structlog.testing").capture_logs():  # d3rlpy prints what it finds in the arrays
        return dataset.MDPDataset(
            np.concatenate(list(_states(store, states, steps))), actions, columns["reward"][steps],
            terminals.astype(np.float32), (ends & ~terminals).astype(np.float32),
            action_space=constants.ActionSpace.DISCRETE if discrete else constants.ActionSpace.CONTINUOUS,
            action_size=size,
        )  # fmt: skip


def to_minari(store: TransitionStore, dataset_id: str, states: StateFn | None = None, **about: Any) -> Any:
    """Write every episode of a store as a Minari data set; needs the extra ``recgym[offline]``.

    It goes where Minari keeps its data sets (``MINARI_DATASETS_PATH``), and ``minari.load_dataset(dataset_id)`` reads
    it. Actions are those of the environment. Profiles of users and all else that a store holds beside, propensities
    too, become ``infos`` of the steps.

    Args:
        store: the steps.
        dataset_id: as Minari wants it, ``name-v0`` or ``namespace/name-v0``.
        states: what stands for an observation; the environment's own if None.
        about: said of the data set, such as ``author`` and ``code_permalink``; see Minari.

    Returns:
        The ``minari.MinariDataset``.

    Raises:
        ValueError: there already is a data set of this id, or Minari does not take the id.
    """
    minari = _package("minari")
    buffers = importlib.import_module("minari.data_collector")
    show = states or (lambda seen: seen)
    observation_space = _space(show(store.observations(store.steps[:1])), store.problem)
    episodes = [_buffer(buffers.EpisodeBuffer, store, number, show) for number in range(len(store.episodes))]
    described = {"algorithm_name": store.problem.name, "description": f"Steps of users on {store.problem.name}."}
    with warnings.catch_warnings():  # about what was not said of the data set
        warnings.filterwarnings("ignore", category=UserWarning, module="minari")
        return minari.create_dataset_from_buffers(
            dataset_id=dataset_id, buffer=episodes, observation_space=observation_space,
            action_space=_action_space(store.problem), **(described | about),
        )  # fmt: skip


def _package(name: str) -> Any:
    root = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{root} is not installed; pip install 'recgym[offline]' does it", name=root
        ) from error


def _states(store: TransitionStore, states: StateFn, points: Int64[np.ndarray, "P"]) -> Iterator[np.ndarray]:
    """The states of the points, piece by piece."""
    with torch.no_grad():
        for first in range(0, len(points), _AT_ONCE):
            yield to_numpy(states(store.observations(points[first : first + _AT_ONCE]))).astype(np.float32)


def _buffer(kind: Any, store: TransitionStore, number: int, show: StateFn) -> Any:
    """One episode as Minari takes it: one observation more than there are steps."""
    first, closing = store.episodes[number]
    points = np.arange(first, closing + 1)
    steps, columns = points[:-1], store.columns
    with torch.no_grad():
        seen: Any = show(store.observations(points))
    observations = {k: to_numpy(v) for k, v in seen.items()} if isinstance(seen, dict) else to_numpy(seen)
    known = ("user", "time_s", "session", "log_propensity", "return_gap_s", "slate", "feedback")
    return kind(
        id=number, observations=observations, actions=store.actions(steps).numpy(), rewards=columns["reward"][steps],
        terminations=columns["terminated"][steps], truncations=columns["truncated"][steps],
        # Minari wants infos for the closing observation too.
        infos={name: columns[name][points] for name in known},
    )  # fmt: skip


def _space(seen: Any, problem: Problem) -> gym.Space[Any]:
    """The space that a batch of one observation is from."""
    if isinstance(seen, dict):
        return gym.spaces.Dict({name: _space(part, problem) for name, part in seen.items()})
    part = to_numpy(seen)[0]
    whole = part.dtype.kind == "i"
    low, high = (0, problem.num_items) if whole else (-np.inf, np.inf)
    return gym.spaces.Box(low, high, part.shape, part.dtype.type)


def _action_space(problem: Problem) -> gym.Space[Any]:
    if problem.action == "preference":
        return gym.spaces.Box(-1.0, 1.0, (problem.features,), np.float32)
    if problem.slate_size == 1:
        return gym.spaces.Discrete(problem.num_candidates)
    return gym.spaces.MultiDiscrete(np.full(problem.slate_size, problem.num_candidates))
