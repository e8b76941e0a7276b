"""Amounts as a choice among cells: the values that a log repeats, and ranges between its quantiles.

A law with a few moments misses what amounts look like: a video watched to its end, an article scrolled to the bottom,
a dozen bought, whole stars. Cells take the shape from the log and leave to the network how likely each is.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Float64
from torch import Tensor

from recgym.arrays import uniform
from recgym.types import Generator

__all__ = ["CellsHead", "fit_cells"]

RANGES = 16
_FEWEST = 20
_SINGLE_SHARE = 0.02
_FLATTEST = 0.01
_STEEPEST = 8.0


class _Table(NamedTuple):
    """The cells as tensors: bounds, exponent and mean of each; ``top`` is where the law of the cell ends."""

    low: Tensor
    top: Tensor
    power: Tensor
    centre: Tensor
    positive: Tensor


@dataclass(frozen=True)
class CellsHead:
    """A number: zero or not by a logit (with ``hurdle``); if not zero, one of C cells by a softmax, and a place in it.

    Within a range the density is in proportion to ``v ** (power - 1)``: 1 is uniform, near 0 log-uniform. Whole numbers
    are such a draw from ``[low, high + 1)``, rounded down.

    Attributes:
        low: lower bound of each cell, ascending.
        high: its upper bound, which belongs to it; the same as ``low`` for a single value.
        power: shape of the density in each cell, never 0.
        centre: mean of each cell.
        hurdle: whether zero has a logit of its own.
        whole: whether values are whole numbers.
        relative: whether the numbers are multiples of the item's length (a watch ratio) rather than values.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    power: tuple[float, ...]
    centre: tuple[float, ...]
    hurdle: bool
    whole: bool
    relative: bool

    @property
    def width(self) -> int:
        """Parameters an item."""
        return self.hurdle + len(self.low)

    @property
    def logits(self) -> tuple[int, ...]:
        """Which of the parameters is the logit of "above 0"."""
        return (0,) if self.hurdle else ()

    def cell(self, number: Tensor) -> Tensor:
        """The cell of each number; numbers outside all cells go to the nearest below, or the first."""
        low = _table(self, str(number.device)).low
        return (torch.searchsorted(low, number.contiguous(), right=True) - 1).clamp(min=0)

    def marginal(self, numbers: Tensor) -> Tensor:
        """The parameters of the cells, without the hurdle's, that fit these numbers alike for all items."""
        counts = torch.bincount(self.cell(numbers), minlength=len(self.low)).float()
        shares = (counts + 1) / (counts.sum() + len(self.low))
        return shares.log()

    def nll(self, parameters: Tensor, number: Tensor) -> Tensor:
        """Negative log-likelihood: of single values and whole numbers a probability, within a range a density."""
        cell = self.cell(number)
        chosen = nnf.log_softmax(parameters[..., self.hurdle :], -1).gather(-1, cell[..., None])[..., 0]
        loss: Tensor = -(chosen + self._within(cell, number))
        if not self.hurdle:
            return loss
        some = (number > 0).float()
        zero = nnf.binary_cross_entropy_with_logits(parameters[..., 0], some, reduction="none")
        return zero + torch.where(some > 0, loss, 0.0)

    def _within(self, cell: Tensor, number: Tensor) -> Tensor:
        """Logarithm of the density (of whole numbers the probability) of a number within its cell."""
        table = _table(self, str(number.device))
        low, top, power = table.low[cell].double(), table.top[cell].double(), table.power[cell].double()
        value = number.double().maximum(low)
        spread = (top**power - low**power).abs()
        if self.whole:
            value = value.minimum(top - 1)
            mass = ((value + 1) ** power - value**power).abs() / spread
            return mass.log().float()
        single = top == low
        value = value.minimum(top)
        density = (
            power.abs().log() + (power - 1) * value.clamp(min=1e-12).log() - torch.where(single, 1.0, spread).log()
        )
        return torch.where(single, 0.0, density).float()

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        """Draws."""
        return self.at(parameters, uniform(generator, tuple(parameters.shape[:-1])))

    def at(self, parameters: Tensor, place: Tensor) -> Tensor:
        """The value at a place between 0 and 1 of the distribution; larger places, larger values."""
        zero = torch.sigmoid(-parameters[..., 0]) if self.hurdle else torch.zeros_like(place)
        rest = ((place - zero) / (1 - zero).clamp(min=1e-9)).clamp(0.0, 1.0)
        weights = (parameters[..., self.hurdle :] - parameters[..., self.hurdle :].amax(-1, keepdim=True)).exp()
        cumulative = weights.cumsum(-1)
        threshold = rest[..., None] * cumulative[..., -1:]
        cell = (cumulative[..., :-1] <= threshold).sum(-1)
        weight, reached = (array.gather(-1, cell[..., None])[..., 0] for array in (weights, cumulative))
        part = ((threshold[..., 0] - reached + weight) / weight.clamp(min=1e-20)).clamp(0.0, 1.0)
        table = _table(self, str(parameters.device))
        low, top, power = table.low[cell], table.top[cell], table.power[cell]
        unit = torch.where(low > 0, low, 1.0)  # keeps powers of large numbers within float32
        start = (low / unit) ** power
        value: Tensor = unit * (start + part * ((top / unit) ** power - start)) ** (1 / power)
        # Rounding must not lead out of the cell.
        value = value.maximum(low).minimum(top)
        if self.whole:
            value = torch.where(value >= top, top - 1, value.floor())
        if not self.hurdle:
            return value
        return torch.where(place >= zero, value, 0.0)

    def place(self, parameters: Tensor, number: Tensor, within: Tensor) -> Tensor:
        """A place at which :meth:`at` is in the cell of a number; ``within`` (0 to 1) says where in that range."""
        zero = torch.sigmoid(-parameters[..., 0]) if self.hurdle else torch.zeros_like(within)
        chances, cell = parameters[..., self.hurdle :].softmax(-1), self.cell(number)[..., None]
        chance, reached = (array.gather(-1, cell)[..., 0] for array in (chances, chances.cumsum(-1)))
        place = zero + (1 - zero) * (reached - chance + chance * within)
        return torch.where(number > 0, place, zero * within) if self.hurdle else place

    def mean(self, parameters: Tensor) -> Tensor:
        """Expectation."""
        centre = _table(self, str(parameters.device)).centre
        mean: Tensor = (parameters[..., self.hurdle :].softmax(-1) * centre).sum(-1)
        some: Tensor = parameters[..., 0].sigmoid() if self.hurdle else torch.ones_like(mean)
        return mean * some

    def positive(self, parameters: Tensor) -> Tensor:
        """The probability of a value above 0."""
        if self.hurdle:
            some: Tensor = parameters[..., 0].sigmoid()
            return some
        above: Tensor = (parameters.softmax(-1) * _table(self, str(parameters.device)).positive).sum(-1)
        return above.clamp(max=1.0)


@lru_cache(maxsize=256)
def _table(head: CellsHead, device: str) -> _Table:
    low, high, power, centre = (
        torch.tensor(values, dtype=torch.float32, device=device)
        for values in (head.low, head.high, head.power, head.centre)
    )
    return _Table(low, high + 1 if head.whole else high, power, centre, (high > 0).float())


def fit_cells(numbers: Float64[np.ndarray, "n"], hurdle: bool, whole: bool, relative: bool) -> CellsHead:
    """Choose cells for the numbers of a log.

    A value that makes up 2 % of them is a cell of its own. The others are cut at 16 quantiles, and at ever thinner ones
    towards the top, as far as 20 numbers lie in each range; multiples of a length also at 1. A range gets the power
    with which its mean is that of its numbers.

    Args:
        numbers: what is to be explained; above 0 if ``hurdle``.
        hurdle: see :class:`CellsHead`.
        whole: likewise.
        relative: likewise.
    """
    numbers = np.sort(numbers.astype(np.float32).astype(np.float64))
    distinct, counts = np.unique(numbers, return_counts=True)
    singles = distinct[counts >= max(_SINGLE_SHARE * numbers.size, 2)]
    rest = numbers[~np.isin(numbers, singles)]
    # Ranges end at quantiles, at single values, and a watch ratio's at the full length.
    marks: list[np.ndarray] = [np.searchsorted(_quantiles(rest), rest, side="left"), np.searchsorted(singles, rest)]
    marks += [rest >= 1.0] if relative else []
    change = np.any(np.diff(np.stack(marks), axis=1, prepend=-1) != 0, axis=0) if rest.size else np.zeros(0, bool)
    groups = np.split(rest, np.flatnonzero(change)[1:]) if rest.size else []
    cells = [(value, value, 1.0, value) for value in singles.tolist()]
    cells += [_range(group, whole) for group in groups]
    low, high, power, centre = zip(*sorted(cells), strict=True)
    return CellsHead(low, high, power, centre, hurdle, whole, relative)


def _quantiles(numbers: np.ndarray) -> np.ndarray:
    """Inner cuts between ranges."""
    ranges = min(RANGES, max(numbers.size // _FEWEST, 1))
    cuts = list(np.arange(1, ranges) / ranges)
    tail = 0.5 / ranges
    while numbers.size * tail >= _FEWEST:
        cuts.append(1 - tail)
        tail /= 2
    return np.unique(np.quantile(numbers, cuts)) if cuts and numbers.size else np.zeros(0)


def _range(group: np.ndarray, whole: bool) -> tuple[float, float, float, float]:
    """Bounds, power and mean of the range that holds these numbers."""
    low, high, target = float(group[0]), float(group[-1]), float(group.mean())
    if low == high or low <= 0:
        return low, high, 1.0, _mean(low, high, 1.0, whole)
    below, above = -_STEEPEST, _STEEPEST
    for _ in range(40):
        middle = (below + above) / 2
        below, above = (middle, above) if _mean(low, high, middle, whole) < target else (below, middle)
    power = math.copysign(max(abs(above), _FLATTEST), above)
    return low, high, power, _mean(low, high, power, whole)


def _mean(low: float, high: float, power: float, whole: bool) -> float:
    """Mean of the law with this power, as it is drawn."""
    power = math.copysign(max(abs(power), _FLATTEST), power)
    if whole:
        numbers = np.arange(low, high + 2)
        share = np.diff((numbers / low) ** power) if low > 0 else np.diff(numbers)
        return float((share * numbers[:-1]).sum() / share.sum())
    if low == high:
        return low
    if low <= 0:
        return (low + high) / 2
    ratio = high / low
    if abs(power + 1) < 1e-6:
        return low * math.log(ratio) / (1 - 1 / ratio)
    return low * power / (power + 1) * float((ratio ** (power + 1) - 1) / (ratio**power - 1))
