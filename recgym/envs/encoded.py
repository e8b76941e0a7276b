"""Users as a sequence encoder sees them: one state vector each, moved on with every event."""

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorWrapper
from jaxtyping import Int64
from torch import Tensor

from recgym.arrays import set_rows
from recgym.encoders import Batch, EncoderState, Event, FittedEncoder, SequenceEncoder, load_encoder
from recgym.envs.observations import HistoryObserver, Sizes, View
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.envs.vector import RecVectorEnv
from recgym.types import Array, History

__all__ = ["AnyEncoder", "EncodedObservation", "EncodedObserver", "encoded_task", "fitting_encoder"]

_UNBOUNDED = float(np.finfo(np.float32).max)
_KEPT = ("profile", "history_items", "candidates", "progress")

AnyEncoder: TypeAlias = SequenceEncoder | FittedEncoder | Path | str
"""An encoder, a fitted one, or the folder of a fitted one."""


@dataclass(frozen=True)
class EncodedObserver:
    """What a frozen encoder makes of each user's history, and what it cannot know.

    ====================  ============  ==========================================================================
    key                   shape, type   meaning
    ====================  ============  ==========================================================================
    ``state``             [D] float32   the encoder's state after the newest event; its ``blank`` before the first
    ``since_s``           [1] float32   seconds from that event to now; 0 before the first
    ``history_items``     [T] int64     as in :class:`recgym.envs.HistoryObserver`, and so are ``profile``,
                                        ``candidates`` and ``progress``, where that has them
    ====================  ============  ==========================================================================

    Each step costs one call of the encoder for all users, or one for each item that a user of the batch consumed, if
    slates are larger. The state counts every event since the episode began, also those that the T visible ones have
    pushed out, and the histories that users came with. It runs where the encoder's weights are.

    Attributes:
        encoder: a copy of what was given, which later training does not change.
        inner: says whether there is ``progress``.

    Raises:
        ValueError: the encoder has to know when the next item will be asked for.
    """

    encoder: SequenceEncoder
    inner: HistoryObserver = field(default_factory=HistoryObserver)

    def __post_init__(self) -> None:
        if any(getattr(part, "needs_query_time", False) for part in self.encoder.modules()):
            raise ValueError(
                "found an encoder that has to know when the next item is asked for; a state that is moved on by "
                "events cannot tell it"
            )
        object.__setattr__(self, "encoder", copy.deepcopy(self.encoder).eval().requires_grad_(False))

    def space(self, sizes: Sizes) -> gym.spaces.Dict:
        """See :class:`recgym.envs.Observer`.

        Raises:
            ValueError: the encoder is for another catalogue, or for other feedback.
        """
        items, channels = self.encoder.items.num_items, self.encoder.events.channels
        if items != sizes.num_items or channels not in (0, sizes.channels):
            raise ValueError(
                f"the encoder knows {items} items and {channels or 'no'} feedback channels, the task has "
                f"{sizes.num_items} and {sizes.channels}"
            )
        inner = self.inner.space(sizes)
        return gym.spaces.Dict(
            {
                "state": gym.spaces.Box(-_UNBOUNDED, _UNBOUNDED, (self.encoder.width,), np.float32),
                "since_s": gym.spaces.Box(0, _UNBOUNDED, (1,), np.float32),
                **{key: inner[key] for key in _KEPT if key in inner.spaces},
            }
        )

    def __call__(self, view: View) -> dict[str, Array]:
        """See :class:`recgym.envs.Observer`."""
        memory: EncoderState = view.memory
        clock = torch.as_tensor(view.clock_s, device=memory.time_s.device)
        since = torch.where(memory.events > 0, clock - memory.time_s, 0.0)
        seen = self.inner(view)
        return {
            "state": _beside(memory.state, view.clock_s),
            "since_s": _beside(since.float()[:, None], view.clock_s),
            **{key: seen[key] for key in _KEPT if key in seen},
        }

    def start(self, sizes: Sizes, users: int) -> EncoderState:
        """See :class:`recgym.envs.StatefulObserver`."""
        return self.encoder.init_state(users, self._device)

    @torch.no_grad()
    def begin(self, memory: EncoderState, rows: Int64[Array, "n"], history: History | None) -> EncoderState:
        """See :class:`recgym.envs.StatefulObserver`."""
        if history is None:
            fresh = self.encoder.init_state(len(rows), self._device)
        else:
            known = History(*(torch.as_tensor(part, device=self._device) for part in history))
            fresh = self.encoder.start(Batch.from_history(known))
        return set_rows(memory, torch.as_tensor(rows, device=self._device), fresh)

    @torch.no_grad()
    def follow(self, memory: EncoderState, transition: Transition) -> EncoderState:
        """See :class:`recgym.envs.StatefulObserver`."""
        events = self._events(transition)
        for column in range(int(events.lengths.max())):
            items, active = events.items[:, column], events.mask[:, column]
            assert events.time_s is not None and events.feedback is not None  # noqa: PT018 - for the type checker
            event = Event(items, events.time_s[:, column], events.feedback[:, column])
            memory, _ = self.encoder.step(memory, event, None if bool(active.all()) else active)
        return memory

    def _events(self, transition: Transition) -> Batch:
        """What each user consumed in a step, of the slate and unasked, aligned."""
        items, feedback, time_s = self._tensors(transition.slate, transition.response.feedback, transition.time_s)
        taken, times = (feedback != 0).any(-1), time_s[:, None].expand(items.shape)
        visit = transition.visit
        if visit is not None:
            unasked, given, after_s, mask = self._tensors(visit.items, visit.feedback, visit.after_s, visit.mask)
            items, feedback = torch.cat([items, unasked], 1), torch.cat([feedback, given], 1)
            times, taken = torch.cat([times, time_s[:, None] + after_s], 1), torch.cat([taken, mask], 1)
        return Batch(items, taken, times, feedback).aligned()[0]

    def _tensors(self, *arrays: Array) -> tuple[Tensor, ...]:
        return tuple(torch.as_tensor(array, device=self._device) for array in arrays)

    @property
    def _device(self) -> torch.device:
        return self.encoder.blank.device


def _beside(values: Tensor, like: Array) -> Array:
    """A copy on the device of the simulation."""
    return values.cpu().numpy().copy() if isinstance(like, np.ndarray) else values.to(like.device, copy=True)


def encoded_task(task: Task, encoder: AnyEncoder) -> Task:
    """The same task, its users seen through an encoder.

    Args:
        task: whose observer is a :class:`recgym.envs.HistoryObserver`.
        encoder: of the task's items, in their order, and if it takes feedback, of the task's channels.

    Raises:
        ValueError: the task shows no history, or the encoder does not fit it.
    """
    if not isinstance(task.observer, HistoryObserver):
        raise ValueError(f"{task.name}: an encoder needs a history, found the observer {type(task.observer).__name__}")
    observer = EncodedObserver(fitting_encoder(task, encoder), task.observer)
    observer.space(task.sizes)  # says what does not fit
    return replace(task, observer=observer)


def fitting_encoder(task: Task, encoder: AnyEncoder) -> SequenceEncoder:
    """The encoder itself, read from its folder if need be.

    Raises:
        ValueError: the folder holds no encoder, or it was fitted to other feedback channels than the task's.
    """
    if isinstance(encoder, Path | str):
        encoder = load_encoder(encoder)
    if isinstance(encoder, FittedEncoder):
        return encoder.sequence_encoder(task.model.schema.names, task.name)
    return encoder


class EncodedObservation(VectorWrapper):
    """A vector environment whose users are seen through an encoder, see :class:`EncodedObserver`.

    The environment that was given must not be used any more: its users, and the draws to come, are now this one's.

    Args:
        env: the environment, not wrapped otherwise.
        encoder: see :func:`encoded_task`.

    Raises:
        ValueError: the environment is of another kind or shows no history, or the encoder does not fit it.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], encoder: AnyEncoder) -> None:
        if not isinstance(env, RecVectorEnv):
            raise ValueError(f"EncodedObservation goes right around a RecVectorEnv, found {type(env).__name__}")
        task, simulation = encoded_task(env.task, encoder), env.simulation
        inner = RecVectorEnv(
            task, env.num_envs, autoreset_mode=env.autoreset_mode, device=simulation.device, seed=0,
            render_mode=env.render_mode,
        )  # fmt: skip
        inner.simulation.generator = simulation.generator
        super().__init__(inner)
