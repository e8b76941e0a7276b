"""What an agent sees: numpy-ready arrays made from what a system could know, never from a user's hidden state."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from jaxtyping import Float32, Float64, Int64

from recgym.arrays import as_float, box, copy, namespace, unbox
from recgym.envs.levels import DAY_S
from recgym.envs.transition import Transition
from recgym.types import Array, History

__all__ = ["FlatObserver", "HistoryObserver", "Observation", "Observer", "Sizes", "StatefulObserver", "View"]

Observation = Array | dict[str, Array]
_UNBOUNDED = float(np.finfo(np.float32).max)


class Sizes(NamedTuple):
    """The sizes that an observation space depends on; see the glossary in :mod:`recgym.types`.

    ``candidates_vary`` is False where the full catalogue is always on offer, in order.
    """

    num_items: int
    num_candidates: int
    window: int
    channels: int
    profile: int
    features: int
    candidates_vary: bool


@runtime_checkable
class View(Protocol):
    """What an observer may look at: the visible side of a :class:`recgym.envs.Simulation`."""

    sizes: Sizes
    padded_features: Float32[Array, "N_plus_1 D"]
    clock_s: Float64[Array, "B"]
    steps: Int64[Array, "B"]
    session: Int64[Array, "B"]
    session_start: Int64[Array, "B"]
    away_s: Float64[Array, "B"]
    candidates: Int64[Array, "B M"] | None
    memory: Any
    """What the observer keeps of each user, if it is a :class:`StatefulObserver`; else None."""

    def profile(self) -> Float32[Array, "B P"]:
        """The users' observable features."""
        ...

    def history(self) -> History:
        """The last T consumed events of each user, right-aligned."""
        ...

    def last_event(self) -> tuple[Int64[Array, "B"], Float32[Array, "B F"]]:
        """The newest consumed item (N if there is none) and its feedback."""
        ...


def _reals(*shape: int) -> gym.spaces.Box:
    return gym.spaces.Box(-_UNBOUNDED, _UNBOUNDED, shape, np.float32)


@runtime_checkable
class Observer(Protocol):
    """Makes the observation of all users at once."""

    def space(self, sizes: Sizes) -> gym.Space[Any]:
        """The space of one user's observation."""
        ...

    def __call__(self, view: View) -> Observation:
        """The batched observation, in arrays of its own: later steps do not change them, nor they the simulation."""
        ...


@runtime_checkable
class StatefulObserver(Observer, Protocol):
    """An observer that follows users step by step; the simulation keeps its memory, ``View.memory``, for it.

    The memory is a (nested) tuple of arrays with users along the first axis. It changes with users and their events
    alone, so looking twice shows the same. It is copied, and set back, with the simulation's state.
    """

    def start(self, sizes: Sizes, users: int) -> Any:
        """The memory of users of whom nothing is known."""
        ...

    def begin(self, memory: Any, rows: Int64[Array, "n"], history: History | None) -> Any:
        """The memory when new users take the place of those in the given rows, with the histories they come with."""
        ...

    def follow(self, memory: Any, transition: Transition) -> Any:
        """The memory after a step."""
        ...


@dataclass(frozen=True)
class FlatObserver:
    """One short vector a user: profile, features of the last item, its feedback, fraction of the horizon left.

    Everything about the last item is 0 until something was consumed.

    Attributes:
        horizon: steps of the whole episode.
    """

    horizon: int

    def space(self, sizes: Sizes) -> gym.spaces.Box:
        """See :class:`Observer`."""
        return _reals(sizes.profile + sizes.features + sizes.channels + 1)

    def __call__(self, view: View) -> Array:
        """See :class:`Observer`."""
        item, feedback = view.last_event()
        left = as_float(box((self.horizon - unbox(view.steps)) / self.horizon))
        return namespace(left).concatenate([view.profile(), view.padded_features[item], feedback, left[:, None]], 1)


@dataclass(frozen=True)
class HistoryObserver:
    """A dictionary of what is known about each user.

    ====================  ===============  ====================================================================
    key                   shape, type      meaning
    ====================  ===============  ====================================================================
    ``profile``           [P] float32      observable features of the user; absent if P = 0
    ``history_items``     [T] int64        ids of consumed items, newest last; N is padding
    ``history_feedback``  [T, F] float32   the feedback they got
    ``history_gap_s``     [T] float32      seconds from each event to now; 0 at padding
    ``candidates``        [M] int64        ids of the items on offer; absent if the full catalogue is
    ``progress``          [3] float32      which session of the episode this is (from 0), steps taken in it, days
                                           between it and the last one (0 in the first); absent unless asked for
    ====================  ===============  ====================================================================

    Attributes:
        progress: whether to show how far the user is, for tasks of several sessions.
    """

    progress: bool = False

    def space(self, sizes: Sizes) -> gym.spaces.Dict:
        """See :class:`Observer`."""
        n, t = sizes.num_items, sizes.window
        spaces: dict[str, gym.Space[Any]] = {
            "history_items": gym.spaces.Box(0, n, (t,), np.int64),
            "history_feedback": _reals(t, sizes.channels),
            "history_gap_s": gym.spaces.Box(0, _UNBOUNDED, (t,), np.float32),
        }
        if sizes.profile:
            spaces["profile"] = _reals(sizes.profile)
        if self.progress:
            spaces["progress"] = gym.spaces.Box(0, _UNBOUNDED, (3,), np.float32)
        if sizes.candidates_vary:
            spaces["candidates"] = gym.spaces.Box(0, n - 1, (sizes.num_candidates,), np.int64)
        return gym.spaces.Dict(spaces)

    def __call__(self, view: View) -> dict[str, Array]:
        """See :class:`Observer`."""
        history = view.history()
        gap = as_float(unbox(view.clock_s[:, None]) - history.time_s)
        gap *= as_float(history.mask)
        observation = {
            "history_items": history.items,
            "history_feedback": history.feedback,
            "history_gap_s": gap,
        }
        if view.sizes.profile:
            observation["profile"] = copy(view.profile())
        if self.progress:
            parts = view.session, view.steps - view.session_start, view.away_s / DAY_S
            observation["progress"] = namespace(view.away_s).stack([as_float(part) for part in parts], -1)
        if view.candidates is not None:
            observation["candidates"] = copy(view.candidates)
        return observation
