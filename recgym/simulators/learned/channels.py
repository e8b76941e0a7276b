"""How all feedback of one item is distributed together: a head a channel, and which channels rule each other out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from recgym.arrays import uniform
from recgym.data.schema import ChannelKind, FeedbackSchema
from recgym.simulators.learned.cells import CellsHead
from recgym.simulators.learned.counts import POTENTIALS
from recgym.simulators.learned.heads import BinaryHead, RestHead
from recgym.simulators.learned.lengths import UNIT_S
from recgym.simulators.learned.slate_law import SlateLaw
from recgym.simulators.learned.structure import behind_gate, find_exclusive, find_gate, fit_head
from recgym.types import Generator

__all__ = ["Head", "ResponsePlan"]

Head = BinaryHead | RestHead | CellsHead
_HEADS: dict[str, type[Head]] = {"binary": BinaryHead, "rest": RestHead, "cells": CellsHead}
_NAMES = {head: name for name, head in _HEADS.items()}

_AMOUNT_WEIGHT = 0.3


@dataclass(frozen=True)
class ResponsePlan:
    """The heads of all channels of a schema, and which values of some channels leave no choice for others.

    Attributes:
        schema: the feedback channels.
        heads: one head a channel.
        gate: index of the binary channel without which no other feedback occurs (a click before its reading time), or
            None. The other channels are modelled given the gate, and are 0 without it.
        excluded_by: for each channel, the channels before it that are never 1 together with it (a hate excludes a
            like). It is modelled given that these are 0, and is 0 where one of them is 1.
        together: whether the number of items taken of a slate has a law of its own, see
            :mod:`recgym.simulators.learned.counts`; its potentials follow the parameters of the heads, and those of a
            slate are the mean over its items (which have the same). Without it items are taken or not by themselves.
    """

    schema: FeedbackSchema
    heads: tuple[Head, ...]
    gate: int | None
    excluded_by: tuple[tuple[int, ...], ...]
    together: bool = False

    @classmethod
    def fit(
        cls,
        schema: FeedbackSchema,
        labels: Float32[np.ndarray, "R F"],
        observed: Bool[np.ndarray, "R F"],
        lengths: Float32[np.ndarray, "R"] | None = None,
        together: bool = False,
    ) -> "ResponsePlan":
        """Find the gate, the channels that exclude each other, and the head of each channel.

        Args:
            schema: the channels.
            labels: feedback.
            observed: where it was observed.
            lengths: length of the item of each row in seconds, if known.
            together: whether the log has slates of several items.

        Raises:
            ValueError: a channel has no value in the log.
        """
        gate = find_gate(schema, labels, observed)
        behind = behind_gate(gate, labels, observed)
        for index, name in enumerate(schema.names):
            if not behind[:, index].any():
                raise ValueError(f"feedback channel {name!r} has no value in the log, at least one was expected")
        excluded_by = find_exclusive(schema, labels, behind, gate)
        heads = tuple(
            fit_head(channel, index, labels, behind, excluded_by[index], lengths)
            for index, channel in enumerate(schema.channels)
        )
        plan = cls(schema, heads, gate, excluded_by)
        return replace(plan, together=together and isinstance(heads[plan.primary], BinaryHead))

    @property
    def width(self) -> int:
        """Parameters an item."""
        return sum(head.width for head in self.heads) + POTENTIALS * self.together

    @property
    def primary(self) -> int:
        """The channel that says whether the user took the item: the gate, else the first binary one, else the first."""
        if self.gate is not None:
            return self.gate
        binary = [i for i, channel in enumerate(self.schema.channels) if channel.kind is ChannelKind.BINARY]
        return binary[0] if binary else 0

    def split(self, parameters: Tensor) -> tuple[Tensor, ...]:
        """The parameters of each head."""
        end = self.width - POTENTIALS * self.together
        return torch.split(parameters[..., :end], [head.width for head in self.heads], dim=-1)

    @property
    def slates(self) -> SlateLaw:
        """How the answers of the primary channel go together in a slate."""
        return SlateLaw(self.primary, self.primary_column, self.together)

    @property
    def primary_column(self) -> int:
        """Where the parameters of the primary channel begin."""
        return sum(head.width for head in self.heads[: self.primary])

    def marginal(
        self,
        labels: Float32[Tensor, "R F"],
        observed: Bool[Tensor, "R F"],
        lengths: Float32[Tensor, "R"] | None = None,
    ) -> Float32[Tensor, "W"]:
        """Parameters that say of every item what holds for all of them: where training had best begin."""
        use = self.modelled(labels, observed)
        parts = []
        for index, (head, number) in enumerate(zip(self.heads, self.numbers(labels, lengths), strict=True)):
            values = number[use[:, index]]
            rate = (values > 0).float().mean() if values.numel() else torch.tensor(0.0)
            part = [torch.logit(rate.clamp(1e-3, 1 - 1e-3))[None]] if head.logits else []
            if isinstance(head, CellsHead):
                part.append(head.marginal(values[values > 0] if head.hurdle else values))
            parts += part
        return torch.cat([*parts, torch.zeros(POTENTIALS * self.together)])

    def open(self, labels: Tensor, observed: Tensor) -> Tensor:
        """Which values ``[R, F]`` are open: observed ones, and beside the gate those behind it."""
        values: Tensor = behind_gate(self.gate, labels, observed)
        return values

    def modelled(self, labels: Tensor, observed: Tensor) -> Tensor:
        """Which values ``[R, F]`` the heads are to explain: open ones that no other channel excludes."""
        use = self.open(labels, observed)
        for index, earlier in enumerate(self.excluded_by):
            if earlier:
                use[:, index] &= (labels[:, list(earlier)] == 0).all(1)
        return use

    def _unit(self, index: int) -> float:
        """Seconds in one unit of a channel that is told as a share of the item's length."""
        return UNIT_S[self.schema.channels[index].unit]

    def _number(self, index: int, value: Tensor, lengths: Tensor | None) -> Tensor:
        """The number that a head is to explain: the value, or which multiple of the item's length it is."""
        if not self.heads[index].relative:
            return value
        return value * self._unit(index) / _known(lengths)

    def numbers(self, labels: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        """What each head is to explain, channel by channel: values, or multiples of the item's length."""
        return tuple(self._number(index, labels[:, index], lengths) for index in range(len(self.heads)))

    def _value(self, index: int, number: Tensor, lengths: Tensor | None) -> Tensor:
        """The inverse."""
        return number * _known(lengths) / self._unit(index) if self.heads[index].relative else number

    def nll(
        self,
        parameters: Float32[Tensor, "R W"],
        labels: Float32[Tensor, "R F"],
        observed: Bool[Tensor, "R F"],
        lengths: Float32[Tensor, "R"] | None = None,
    ) -> Tensor:
        """Weighted negative log-likelihood of each value, 0 where there is nothing to explain; ``[R, F]``."""
        losses = [
            head.nll(part, number) * self._weight(i)
            for i, (head, part, number) in enumerate(
                zip(self.heads, self.split(parameters), self.numbers(labels, lengths), strict=True)
            )
        ]
        return torch.where(self.modelled(labels, observed), torch.stack(losses, 1), 0.0)

    def _weight(self, index: int) -> float:
        """1 for answers and ratings, less for amounts.

        How long or how much says less of what users like than whether at all, and takes many more nats to tell.
        """
        amount = self.schema.channels[index].kind in (ChannelKind.COUNT, ChannelKind.DURATION)
        return _AMOUNT_WEIGHT if amount else 1.0

    def sample(
        self,
        parameters: Float32[Tensor, "*rows W"],
        generator: Generator,
        lengths: Float32[Tensor, "*rows"] | None = None,
        chosen: Bool[Tensor, "*rows"] | None = None,
        places: Float32[Tensor, "*rows F"] | None = None,
    ) -> Float32[Tensor, "*rows F"]:
        """Draw the feedback of each item.

        Args:
            parameters: of all heads.
            generator: source of the draws.
            lengths: length of each item in seconds; needed if some channel is told as a share of it.
            chosen: which items the primary channel is 1 of, see :attr:`slates`; drawn for each by itself if None.
            places: where in its law the answer of each channel lies; drawn independently if None.
        """
        if places is None:
            places = uniform(generator, (*parameters.shape[:-1], len(self.heads)))
        drawn = self.values_at(parameters, places, lengths)
        if chosen is not None:
            drawn[self.primary] = chosen.to(parameters.dtype)
        return self._gated(self._without_excluded(drawn))

    def values_at(self, parameters: Tensor, places: Tensor, lengths: Tensor | None) -> list[Tensor]:
        """The values at places of the laws of all channels, as if each were open and excluded by none."""
        parts = zip(self.heads, self.split(parameters), places.unbind(-1), strict=True)
        return [self._value(i, head.at(part, place), lengths) for i, (head, part, place) in enumerate(parts)]

    def places_of(
        self,
        parameters: Float32[Tensor, "R W"],
        labels: Float32[Tensor, "R F"],
        lengths: Float32[Tensor, "R"] | None,
        generator: Generator,
    ) -> Float32[Tensor, "R F"]:
        """Places at which feedback lies in the laws of its channels, drawn where it only tells a range."""
        within = uniform(generator, tuple(labels.shape)).unbind(-1)
        parts = zip(self.heads, self.split(parameters), self.numbers(labels, lengths), within, strict=True)
        return torch.stack([head.place(part, number, at) for head, part, number, at in parts], -1)

    def mean(
        self, parameters: Float32[Tensor, "*rows W"], lengths: Float32[Tensor, "*rows"] | None = None
    ) -> Float32[Tensor, "*rows F"]:
        """The exact expectation of :meth:`sample`."""
        return self._gated(self.given_gate(parameters, lengths))

    def given_gate(self, parameters: Tensor, lengths: Tensor | None = None) -> list[Tensor]:
        """Expectation of each channel; of those behind the gate, given that it is open."""
        parts = self.split(parameters)
        means = [self._value(i, h.mean(p), lengths) for i, (h, p) in enumerate(zip(self.heads, parts, strict=True))]
        return self._without_excluded(means)

    def positive(self, parameters: Tensor) -> list[Tensor]:
        """Probability that each channel is above 0; of those behind the gate, given that it is open."""
        return self._without_excluded([h.positive(p) for h, p in zip(self.heads, self.split(parameters), strict=True)])

    def _without_excluded(self, values: list[Tensor]) -> list[Tensor]:
        """Answers, or their probabilities, given those that exclude them: at most one of these is 1."""
        kept: list[Tensor] = []
        for value, earlier in zip(values, self.excluded_by, strict=True):
            kept.append(value * (1 - torch.stack([kept[i] for i in earlier]).sum(0)) if earlier else value)
        return kept

    def _gated(self, values: list[Tensor]) -> Tensor:
        if self.gate is not None:
            gate = values[self.gate]
            values = [value if i == self.gate else value * gate for i, value in enumerate(values)]
        return torch.stack(values, -1)

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            "schema": self.schema.to_json(),
            "heads": [{"head": _NAMES[type(head)], **vars(head)} for head in self.heads],
            "gate": self.gate,
            "excluded_by": self.excluded_by,
            "together": self.together,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ResponsePlan":
        """The inverse of :meth:`to_json`."""
        heads = []
        for entry in value["heads"]:
            arguments: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in entry.items() if k != "head"
            }
            heads.append(_HEADS[entry["head"]](**arguments))
        return cls(
            FeedbackSchema.from_json(value["schema"]), tuple(heads), value["gate"],
            tuple(tuple(earlier) for earlier in value["excluded_by"]), value["together"],
        )  # fmt: skip


def _known(lengths: Tensor | None) -> Tensor:
    if lengths is None:
        raise ValueError("a channel is a share of the item's length: lengths were expected, found None")
    return lengths
