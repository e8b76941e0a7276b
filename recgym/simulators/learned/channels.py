"""How each kind of feedback is distributed: likelihood, draws and exact expectation of one value, from a few numbers.

The numbers (*parameters*) come from the response network, one row an item shown. All functions work on any leading
shape.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32
from torch import Tensor

from recgym.arrays import normal, uniform
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.types import Generator

__all__ = ["BinaryHead", "CountHead", "DurationHead", "Head", "RatingHead", "ResponsePlan"]

_LOG_SIGMA = (-2.0, 1.5)
_FAR = 3.0
_AMOUNT_WEIGHT = 0.1


def _bounded_square(z: Tensor) -> Tensor:
    """``z^2 / 2`` up to 3 standard deviations, linear beyond.

    Durations that are nearly all alike but for a few cut short would else give single rows losses of many thousands,
    under which nothing else is learned.
    """
    bounded: Tensor = nnf.huber_loss(z, torch.zeros_like(z), reduction="none", delta=_FAR)
    return bounded


@dataclass(frozen=True)
class BinaryHead:
    """0 or 1: one logit."""

    width = 1
    logits = (0,)

    def nll(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Binary cross-entropy on the logit."""
        loss: Tensor = nnf.binary_cross_entropy_with_logits(parameters[..., 0], value, reduction="none")
        return loss

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Bernoulli draws."""
        one: Tensor = uniform(generator, tuple(parameters.shape[:-1])) < parameters[..., 0].sigmoid()
        return one.float()

    def mean(self, parameters: Tensor) -> Tensor:
        """The probability of 1."""
        return parameters[..., 0].sigmoid()

    def positive(self, parameters: Tensor) -> Tensor:
        """The probability of a value above 0."""
        return self.mean(parameters)


@dataclass(frozen=True)
class CountHead:
    """0, 1, 2, ...: zero or not by a logit; if not, 1 + a geometric number (a negative binomial one with r = 1).

    Attributes:
        location: log of the mean excess over 1 in the training log.
        cap: largest value seen; draws are cut there.
    """

    location: float
    cap: float

    width = 2
    logits = (0,)

    def _excess(self, parameters: Tensor) -> Tensor:
        return torch.exp(self.location + parameters[..., 1].clamp(-6.0, 6.0))

    def nll(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Negative log-likelihood of a count."""
        some = (value > 0).float()
        mean = self._excess(parameters)
        excess = (value - 1).clamp(min=0.0)
        geometric = (1 + excess) * torch.log1p(mean) - excess * mean.log()
        zero = nnf.binary_cross_entropy_with_logits(parameters[..., 0], some, reduction="none")
        return zero + some * geometric

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Draws of a count."""
        shape = tuple(parameters.shape[:-1])
        mean = self._excess(parameters)
        ratio = torch.log(mean) - torch.log1p(mean)
        excess = torch.floor(torch.log1p(-uniform(generator, shape)) / ratio)
        some: Tensor = uniform(generator, shape) < parameters[..., 0].sigmoid()
        return some * (1 + excess).clamp(max=self.cap)

    def mean(self, parameters: Tensor) -> Tensor:
        """Expectation: P(some) (1 + E[min(G, cap - 1)]), with E[min(G, c)] = m (1 - (m / (1 + m))^c)."""
        mean = self._excess(parameters)
        ratio = torch.log(mean) - torch.log1p(mean)
        return parameters[..., 0].sigmoid() * (1 + mean * -torch.expm1((self.cap - 1) * ratio))

    def positive(self, parameters: Tensor) -> Tensor:
        """The probability of a value above 0."""
        return parameters[..., 0].sigmoid()


@dataclass(frozen=True)
class DurationHead:
    """A non-negative real: zero or not by a logit; if not, log-normal.

    Attributes:
        location: mean of the log of non-zero values in the training log.
        scale: their standard deviation.
        cap: largest value seen; draws are cut there, as the tail of a log-normal is too long for any real use.
    """

    location: float
    scale: float
    cap: float

    width = 3
    logits = (0,)

    def _moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.location + self.scale * parameters[..., 1]
        return mu, self.scale * torch.exp(parameters[..., 2].clamp(*_LOG_SIGMA))

    def nll(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Negative log-likelihood, up to terms that do not depend on the parameters."""
        some = (value > 0).float()
        mu, sigma = self._moments(parameters)
        z = (torch.log(torch.where(value > 0, value, 1.0)) - mu) / sigma
        zero = nnf.binary_cross_entropy_with_logits(parameters[..., 0], some, reduction="none")
        return zero + some * (torch.log(sigma / self.scale) + _bounded_square(z))

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Draws of a duration."""
        shape = tuple(parameters.shape[:-1])
        mu, sigma = self._moments(parameters)
        value = torch.exp((mu + sigma * normal(generator, shape)).clamp(max=math.log(self.cap)))
        some: Tensor = uniform(generator, shape) < parameters[..., 0].sigmoid()
        return some * value

    def mean(self, parameters: Tensor) -> Tensor:
        """Expectation of the capped log-normal: exp(mu + s^2/2) Phi(d - s) + cap Phi(-d), d = (ln cap - mu) / s."""
        mu, sigma = self._moments(parameters)
        d = (math.log(self.cap) - mu) / sigma
        below = torch.exp(mu + 0.5 * sigma**2 + torch.special.log_ndtr(d - sigma))
        above: Tensor = self.cap * torch.special.ndtr(-d)
        return parameters[..., 0].sigmoid() * (below + above)

    def positive(self, parameters: Tensor) -> Tensor:
        """The probability of a value above 0."""
        return parameters[..., 0].sigmoid()


@dataclass(frozen=True)
class RatingHead:
    """A bounded real: a Gaussian, where what falls outside the bounds is put on the bound (a censored Gaussian).

    Attributes:
        location: mean in the training log.
        scale: standard deviation in the training log.
        low: smallest value.
        high: largest value.
    """

    location: float
    scale: float
    low: float
    high: float

    width = 2
    logits = ()

    def _moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.location + self.scale * parameters[..., 0]
        return mu, self.scale * torch.exp(parameters[..., 1].clamp(*_LOG_SIGMA))

    def nll(self, parameters: Tensor, value: Tensor) -> Tensor:
        """Negative log-likelihood: the density inside the bounds, the tail's probability on a bound."""
        mu, sigma = self._moments(parameters)
        z = (value - mu) / sigma
        inside = torch.log(sigma / self.scale) + 0.5 * z * z
        at_low = -torch.special.log_ndtr((self.low - mu) / sigma)
        at_high = -torch.special.log_ndtr((mu - self.high) / sigma)
        return torch.where(value <= self.low, at_low, torch.where(value >= self.high, at_high, inside))

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Draws of a rating."""
        mu, sigma = self._moments(parameters)
        drawn: Tensor = mu + sigma * normal(generator, tuple(mu.shape))
        return drawn.clamp(self.low, self.high)

    def mean(self, parameters: Tensor) -> Tensor:
        """Expectation of the censored Gaussian."""
        mu, sigma = self._moments(parameters)
        a, b = (self.low - mu) / sigma, (self.high - mu) / sigma
        lower: Tensor = torch.special.ndtr(a)
        upper: Tensor = torch.special.ndtr(-b)
        density = (torch.exp(-0.5 * a * a) - torch.exp(-0.5 * b * b)) / math.sqrt(2 * math.pi)
        return self.low * lower + self.high * upper + mu * (1 - lower - upper) + sigma * density

    def positive(self, parameters: Tensor) -> Tensor:
        """The probability of a value above 0."""
        mu, sigma = self._moments(parameters)
        above: Tensor = torch.special.ndtr(mu / sigma)
        return torch.ones_like(mu) if self.low > 0 else above


Head = BinaryHead | CountHead | DurationHead | RatingHead
_KINDS: dict[ChannelKind, type[Head]] = {
    ChannelKind.BINARY: BinaryHead,
    ChannelKind.COUNT: CountHead,
    ChannelKind.DURATION: DurationHead,
    ChannelKind.RATING: RatingHead,
}


def _fit_head(channel: Channel, values: np.ndarray) -> Head:
    """The head of a channel, with the location and scale of the values it is to model."""
    if channel.kind is ChannelKind.BINARY:
        return BinaryHead()
    if channel.kind is ChannelKind.RATING:
        low, high = max(channel.low, float(values.min())), min(channel.high, float(values.max()))
        if math.isfinite(channel.low) and math.isfinite(channel.high):
            low, high = channel.low, channel.high
        return RatingHead(float(values.mean()), max(float(values.std()), 1e-3), low, high)
    some = values[values > 0]
    cap = float(some.max()) if some.size else 1.0
    if channel.kind is ChannelKind.COUNT:
        excess = float(some.mean()) - 1 if some.size else 0.0
        return CountHead(math.log(max(excess, 1e-2)), cap)
    logs = np.log(some) if some.size else np.zeros(1)
    return DurationHead(float(logs.mean()), max(float(logs.std()), 0.1), cap)


@dataclass(frozen=True)
class ResponsePlan:
    """The heads of all channels of a schema, and which of them must be 1 for the others to be anything but 0.

    Attributes:
        schema: the feedback channels.
        heads: one head a channel.
        gate: index of the binary channel without which no other feedback occurs (a click before its reading time), or
            None. The other channels are modelled given the gate, and are 0 without it.
    """

    schema: FeedbackSchema
    heads: tuple[Head, ...]
    gate: int | None

    @classmethod
    def fit(
        cls, schema: FeedbackSchema, labels: Float32[np.ndarray, "R F"], observed: Bool[np.ndarray, "R F"]
    ) -> "ResponsePlan":
        """Find the gate and the location and scale of each channel.

        Raises:
            ValueError: a channel has no value in the log.
        """
        gate = _find_gate(schema, labels, observed)
        heads = []
        for index, channel in enumerate(schema.channels):
            use = observed[:, index]
            if gate is not None and index != gate:
                use = use & (labels[:, gate] > 0)
            if not use.any():
                raise ValueError(
                    f"feedback channel {channel.name!r} has no value in the log, at least one was expected"
                )
            heads.append(_fit_head(channel, labels[use, index].astype(np.float64)))
        return cls(schema, tuple(heads), gate)

    @property
    def width(self) -> int:
        """Parameters an item."""
        return sum(head.width for head in self.heads)

    @property
    def primary(self) -> int:
        """The channel that says whether the user took the item: the gate, else the first binary one, else the first."""
        if self.gate is not None:
            return self.gate
        binary = [i for i, channel in enumerate(self.schema.channels) if channel.kind is ChannelKind.BINARY]
        return binary[0] if binary else 0

    def split(self, parameters: Tensor) -> tuple[Tensor, ...]:
        """The parameters of each head."""
        return torch.split(parameters, [head.width for head in self.heads], dim=-1)

    def logit_columns(self) -> list[tuple[int, int]]:
        """Channel and parameter column of each logit, for calibration."""
        columns, start = [], 0
        for channel, head in enumerate(self.heads):
            columns += [(channel, start + logit) for logit in head.logits]
            start += head.width
        return columns

    def marginal(self, labels: Float32[Tensor, "R F"], observed: Bool[Tensor, "R F"]) -> Float32[Tensor, "W"]:
        """Parameters that say of every item what holds for all of them: where training had best begin."""
        use = self.modelled(labels, observed)
        rate = ((labels > 0) & use).sum(0) / use.sum(0).clamp(min=1)
        logit = torch.logit(rate.clamp(1e-3, 1 - 1e-3))
        parameters = torch.zeros(self.width)
        for channel, column in self.logit_columns():
            parameters[column] = logit[channel]
        return parameters

    def modelled(self, labels: Tensor, observed: Tensor) -> Tensor:
        """Which values ``[R, F]`` the heads are to explain: observed ones, and beside the gate those behind it."""
        if self.gate is None:
            return observed
        open_ = labels[:, self.gate : self.gate + 1] > 0
        open_ = open_.expand_as(observed).clone()
        open_[:, self.gate] = True
        return observed & open_

    def nll(
        self, parameters: Float32[Tensor, "R W"], labels: Float32[Tensor, "R F"], observed: Bool[Tensor, "R F"]
    ) -> Tensor:
        """Weighted negative log-likelihood of each value, 0 where there is nothing to explain; ``[R, F]``."""
        parts = self.split(parameters)
        losses = torch.stack(
            [h.nll(p, labels[:, i]) for i, (h, p) in enumerate(zip(self.heads, parts, strict=True))], 1
        )
        return torch.where(self.modelled(labels, observed), losses * self._weights(), 0.0)

    def _weights(self) -> Tensor:
        """1 for answers and ratings, less for amounts.

        A density has no upper bound: one more digit of a duration that hardly varies would be worth more than all
        that can be known about what users like. Ratings lie within bounds and say what users like.
        """
        amounts = (CountHead, DurationHead)
        return torch.tensor([_AMOUNT_WEIGHT if isinstance(head, amounts) else 1.0 for head in self.heads])

    def sample(self, parameters: Float32[Tensor, "*rows W"], generator: Generator) -> Float32[Tensor, "*rows F"]:
        """Draw the feedback of each item."""
        drawn = [h.sample(p, generator) for h, p in zip(self.heads, self.split(parameters), strict=True)]
        return self._behind_gate(drawn)

    def mean(self, parameters: Float32[Tensor, "*rows W"]) -> Float32[Tensor, "*rows F"]:
        """The exact expectation of :meth:`sample`."""
        return self._behind_gate(self.given_gate(parameters))

    def given_gate(self, parameters: Tensor) -> list[Tensor]:
        """Expectation of each channel; of those behind the gate, given that it is open."""
        return [h.mean(p) for h, p in zip(self.heads, self.split(parameters), strict=True)]

    def _behind_gate(self, values: list[Tensor]) -> Tensor:
        if self.gate is not None:
            gate = values[self.gate]
            values = [value if i == self.gate else value * gate for i, value in enumerate(values)]
        return torch.stack(values, -1)

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {"schema": self.schema.to_json(), "heads": [dict(vars(head)) for head in self.heads], "gate": self.gate}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ResponsePlan":
        """The inverse of :meth:`to_json`."""
        schema = FeedbackSchema.from_json(value["schema"])
        heads = tuple(_KINDS[c.kind](**entry) for c, entry in zip(schema.channels, value["heads"], strict=True))
        return cls(schema, heads, value["gate"])


def _find_gate(schema: FeedbackSchema, labels: np.ndarray, observed: np.ndarray) -> int | None:
    """The first binary channel that varies and without which all other channels are 0 (or not observed)."""
    if len(schema) < 2:
        return None
    for index, channel in enumerate(schema.channels):
        closed = observed[:, index] & (labels[:, index] == 0)
        if channel.kind is not ChannelKind.BINARY or not observed[:, index].all() or not closed.any() or closed.all():
            continue
        others = np.delete(labels[closed] * observed[closed], index, axis=1)
        if not others.any():
            return index
    return None
