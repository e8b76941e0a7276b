"""Sequence encoders inside the networks of d3rlpy, trained with them or frozen.

d3rlpy takes observations as flat arrays. For a frozen encoder the shortest way is :func:`recgym.encoders.encode_log`,
whose states are such arrays, with d3rlpy's own networks behind. For one that learns, histories themselves travel as
flat arrays, :func:`log_histories` and :func:`flat_histories`, and :class:`HistoryEncoderFactory` encodes them.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from d3rlpy.models.encoders import EncoderFactory, register_encoder_factory
from d3rlpy.models.torch.encoders import Encoder, EncoderWithAction
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from recgym.arrays import to_numpy
from recgym.data import InteractionLog, history_before
from recgym.encoders import Batch, SequenceEncoder, load_encoder
from recgym.types import Array

__all__ = ["GivenEncoderFactory", "HistoryEncoderFactory", "flat_histories", "log_histories"]

_MOST_ITEMS = 2**24  # ids travel as float32, exact up to here


def flat_histories(
    items: Int64[Array, "B T"], feedback: Float32[Array, "B T F"], gap_s: Float32[Array, "B T"]
) -> Float32[np.ndarray, "B W"]:
    """Histories as rows of ``T (F + 2)`` numbers: item ids, feedback, and seconds from each event to now.

    Args:
        items: as in the observation of :class:`recgym.envs.HistoryObserver`, padding N.
        feedback: likewise.
        gap_s: likewise.
    """
    parts = [to_numpy(part).reshape(len(part), -1).astype(np.float32) for part in (items, feedback, gap_s)]
    return np.concatenate(parts, 1)


def log_histories(
    log: InteractionLog, window: int, rows: Int64[np.ndarray, "Q"] | None = None
) -> Float32[np.ndarray, "Q W"]:
    """The same of a log: what each row's user consumed before the time of the row, see :func:`flat_histories`.

    Args:
        log: the log.
        window: T.
        rows: of ``log.frame``, such as the first one of each slate; all if None.
    """
    user, time_s = log.frame["user"].to_numpy(), log.frame["time_s"].to_numpy()
    if rows is not None:
        user, time_s = user[rows], time_s[rows]
    history = history_before(log, user, time_s, window)
    gap = (time_s[:, None] - to_numpy(history.time_s)) * to_numpy(history.mask)
    return flat_histories(to_numpy(history.items), to_numpy(history.feedback), gap.astype(np.float32))


class _States(nn.Module):
    """From flat histories to scaled states; dropout of the encoder stays off."""

    def __init__(self, encoder: SequenceEncoder, channels: int, width: int, trainable: bool) -> None:
        super().__init__()
        numbers = channels + 2
        if width % numbers:
            raise ValueError(
                f"the encoder was fitted to {channels} feedback channels, so a flat history holds a multiple of "
                f"{numbers} numbers, found {width}"
            )
        if encoder.items.num_items >= _MOST_ITEMS:
            raise ValueError(f"at most {_MOST_ITEMS - 1:,} items are possible here, found {encoder.items.num_items:,}")
        self.window, self.trainable = width // numbers, trainable
        # A frozen one gets no gradient in forward(); d3rlpy hooks into the gradients of all parameters there are.
        self.encoder = encoder

    def train(self, mode: bool = True) -> "_States":
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, flat: Float32[Tensor, "B W"]) -> Float32[Tensor, "B D"]:
        window = self.window
        items, gap = flat[:, :window].long(), flat[:, -window:].double()
        feedback = flat[:, window:-window].reshape(len(flat), window, -1)
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            states = self.encoder.final(Batch(items, items < self.encoder.items.num_items, -gap, feedback))
        return functional.layer_norm(states, states.shape[-1:])


def _layers(inputs: int, hidden: list[int]) -> nn.Sequential:
    pairs = pairwise([inputs, *hidden])
    return nn.Sequential(*(layer for one, two in pairs for layer in (nn.Linear(one, two), nn.ReLU())))


class _HistoryEncoder(Encoder):  # type: ignore[misc] # d3rlpy is not there when types are checked
    def __init__(self, states: _States, hidden: list[int]) -> None:
        super().__init__()
        self.states, self.layers = states, _layers(states.encoder.width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(self.states(x))
        return out


class _HistoryEncoderWithAction(EncoderWithAction):  # type: ignore[misc]
    def __init__(self, states: _States, hidden: list[int], action_size: int, discrete: bool) -> None:
        super().__init__()
        self.states, self.layers = states, _layers(states.encoder.width + action_size, hidden)
        self.choices = action_size if discrete else 0

    def forward(self, x: Tensor, action: Tensor) -> Tensor:
        if self.choices:
            action = functional.one_hot(action.view(-1).long(), self.choices).float()
        out: Tensor = self.layers(torch.cat([self.states(x), action], 1))
        return out


@dataclass()
class HistoryEncoderFactory(EncoderFactory):  # type: ignore[misc]
    """Networks of d3rlpy that begin with a fitted sequence encoder; give it as ``encoder_factory`` of an algorithm.

    Each network (actor, critics) gets a copy of its own. Observations are flat histories, see :func:`flat_histories`.

    Attributes:
        folder: of the fitted encoder; also needed where a saved d3rlpy model is loaded.
        trainable: whether it learns with the network.
        hidden: widths of the layers behind it.
    """

    folder: str
    trainable: bool = True
    hidden: list[int] = field(default_factory=lambda: [64])

    def create(self, observation_shape: Sequence[int]) -> _HistoryEncoder:
        """Of a network of observations."""
        return _HistoryEncoder(self._states(observation_shape), self.hidden)

    def create_with_action(
        self, observation_shape: Sequence[int], action_size: int, discrete_action: bool = False
    ) -> _HistoryEncoderWithAction:
        """Of a network of observations and actions."""
        return _HistoryEncoderWithAction(self._states(observation_shape), self.hidden, action_size, discrete_action)

    def _states(self, observation_shape: Sequence[int]) -> _States:
        fitted = load_encoder(self.folder)
        return _States(fitted.model.encoder, len(fitted.channels), int(observation_shape[0]), self.trainable)

    @staticmethod
    def get_type() -> str:
        """The name in saved d3rlpy models."""
        return "recgym_history"


@dataclass()
class GivenEncoderFactory(EncoderFactory):  # type: ignore[misc]
    """The same with an encoder in memory; d3rlpy cannot save it, checkpoints of recgym do.

    Attributes:
        encoder: each network gets a copy, which learns.
        channels: F.
        hidden: widths of the layers behind it.
    """

    encoder: SequenceEncoder
    channels: int
    hidden: list[int]

    def create(self, observation_shape: Sequence[int]) -> _HistoryEncoder:
        """Of a network of observations."""
        return _HistoryEncoder(self._states(observation_shape), self.hidden)

    def create_with_action(
        self, observation_shape: Sequence[int], action_size: int, discrete_action: bool = False
    ) -> _HistoryEncoderWithAction:
        """Of a network of observations and actions."""
        return _HistoryEncoderWithAction(self._states(observation_shape), self.hidden, action_size, discrete_action)

    def _states(self, observation_shape: Sequence[int]) -> _States:
        return _States(copy.deepcopy(self.encoder), self.channels, int(observation_shape[0]), True)

    @staticmethod
    def get_type() -> str:
        """The name among d3rlpy's factories."""
        return "recgym_given"


register_encoder_factory(HistoryEncoderFactory)
