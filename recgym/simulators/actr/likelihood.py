"""Maximum likelihood of the law of choice, and of simpler laws that it is held against."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.optimize import minimize
from torch import Tensor

from recgym.simulators.actr.choices import Choices
from recgym.simulators.actr.world import ACTRMemory

__all__ = [
    "FREQUENCY",
    "RECENCY",
    "Estimate",
    "Estimated",
    "Law",
    "fit_memory",
    "fit_plain",
    "information",
    "mean_log_likelihood",
    "minimise",
]

_NAMES = ("decay", "noise", "spreading", "matching", "satiation", "threshold")
_START = (0.5, 1.0, 0.0, 0.0, 0.0, 0.0)
_FAR = (-1e5, 1e5)
_BOUNDS = ((0.0, 5.0), (1e-2, 100.0), _FAR, _FAR, _FAR, _FAR)
_STEP = 1e-4


class Estimate(NamedTuple):
    """A parameter.

    Attributes:
        value: the estimate of maximum likelihood.
        error: its standard error by the observed information; NaN where the likelihood is flat.
    """

    value: float
    error: float

    @property
    def low(self) -> float:
        """Lower bound of the 95 % interval."""
        return self.value - 1.96 * self.error

    @property
    def high(self) -> float:
        """Upper bound of the 95 % interval."""
        return self.value + 1.96 * self.error


class Estimated(NamedTuple):
    """The law of choice of a log.

    Attributes:
        memory: the law, with what was not estimated as it was given.
        parameters: the estimates by name.
        log_likelihood: mean over choices, in nats.
    """

    memory: ACTRMemory
    parameters: dict[str, Estimate]
    log_likelihood: float


class _Table:
    """The choices as tensors of double precision, and the mean log-likelihood of any utilities of pairs."""

    def __init__(self, choices: Choices) -> None:
        self.size, self.sessions = choices.size, choices.sessions
        for name in ("session", "chosen", "pair_session", "gone_choice", "gone_pair", "spread_choice", "spread_pair"):
            setattr(self, name, torch.from_numpy(getattr(choices, name)))
        self.spread = torch.from_numpy(choices.spread)
        mine = choices.spread_pair == choices.chosen[choices.spread_choice]
        self.chosen_spread = torch.from_numpy(
            np.bincount(choices.spread_choice[mine], weights=choices.spread[mine], minlength=choices.size)
        )

    session: Int64[Tensor, "C"]
    chosen: Int64[Tensor, "C"]
    pair_session: Int64[Tensor, "P"]
    gone_choice: Int64[Tensor, "G"]
    gone_pair: Int64[Tensor, "G"]
    spread_choice: Int64[Tensor, "R"]
    spread_pair: Int64[Tensor, "R"]

    def mean(self, utility: Float64[Tensor, "P"], spreading: Tensor, explore: Tensor) -> Tensor:
        """Mean log-likelihood of the choices.

        The sum over what is on offer is that of the session, less what the session holds already, plus what spreading
        adds: per choice only these few terms are worked out.

        Args:
            utility: logit of each pair without spreading.
            spreading: factor of the associations.
            explore: logit of exploring.
        """
        with torch.no_grad():
            top = torch.full((self.sessions,), float(explore), dtype=torch.float64)
            top.scatter_reduce_(0, self.pair_session, utility, "amax")
        weight = torch.exp(utility - top[self.pair_session])
        zeros = torch.zeros(self.sessions, dtype=torch.float64)
        offer = zeros.index_add(0, self.pair_session, weight)[self.session]
        offer = offer.index_add(0, self.gone_choice, -weight[self.gone_pair])
        offer = offer.index_add(0, self.spread_choice, weight[self.spread_pair] * torch.expm1(spreading * self.spread))
        total = offer.clamp(min=0.0) + torch.exp(explore - top[self.session])
        known = self.chosen >= 0
        taken = torch.where(known, utility[self.chosen.clamp(min=0)] + spreading * self.chosen_spread, explore)
        mean: Tensor = (taken - top[self.session] - total.clamp(min=1e-300).log()).mean()
        return mean


def minimise(
    value: Callable[[Tensor], Tensor], start: tuple[float, ...], bounds: tuple[tuple[float, float], ...]
) -> np.ndarray:
    """The point at which a differentiable function is least."""

    def call(point: np.ndarray) -> tuple[float, np.ndarray]:
        at = torch.from_numpy(point.copy()).requires_grad_()
        result = value(at)
        (slope,) = torch.autograd.grad(result, at)
        return float(result.detach()), slope.numpy()

    found = minimize(
        call, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-12}
    )
    best: np.ndarray = found.x
    return best


def information(value: Callable[[Tensor], Tensor], point: np.ndarray) -> Float64[np.ndarray, "p p"]:
    """Second derivatives by central differences of the gradient."""

    def slope(at: np.ndarray) -> np.ndarray:
        where = torch.from_numpy(at).requires_grad_()
        (found,) = torch.autograd.grad(value(where), where)
        values: np.ndarray = found.numpy()
        return values

    step = np.diag(_STEP * np.maximum(np.abs(point), 0.1))
    rows = [(slope(point + s) - slope(point - s)) / (2 * s.max()) for s in step]
    found = np.stack(rows)
    both: np.ndarray = (found + found.T) / 2
    return both


@dataclass(frozen=True)
class _Features:
    """What the utility of a pair is made of; ages are relative to a unit that keeps parameters apart."""

    table: _Table
    event_pair: Int64[Tensor, "V"]
    log_age: Float64[Tensor, "V"]
    pairs: int
    matching: Float64[Tensor, "P"]
    lately: Float64[Tensor, "P"]

    @classmethod
    def of(cls, choices: Choices, satiation_s: float, log_unit: float) -> "_Features":
        lately = np.exp(-choices.event_age_s / satiation_s)
        return cls(
            _Table(choices),
            torch.from_numpy(choices.event_pair),
            torch.from_numpy(np.log(choices.event_age_s) - log_unit),
            len(choices.pair_item),
            torch.from_numpy(choices.matching),
            torch.from_numpy(np.bincount(choices.event_pair, weights=lately, minlength=len(choices.pair_item))),
        )

    def base(self, decay: Tensor) -> Float64[Tensor, "P"]:
        """``ln sum_k age_k^-decay`` of each pair. Ages of 1 s to a century are safe in double precision."""
        strength = torch.exp(-decay * self.log_age)
        return torch.zeros(self.pairs, dtype=torch.float64).index_add(0, self.event_pair, strength).log()

    def mean(self, point: Tensor) -> Tensor:
        """Mean log-likelihood at (decay, 1 / noise, and the weights of the other components over noise)."""
        decay, sharp, spreading, matching, satiation, threshold = point
        utility = sharp * self.base(decay) + matching * self.matching - satiation * self.lately
        return self.table.mean(utility, spreading, threshold)


def _log_unit(choices: Choices) -> float:
    return float(np.log(choices.event_age_s).mean()) if len(choices.event_age_s) else 0.0


def _natural(point: Tensor, log_unit: float) -> Tensor:
    """From what is optimised to the parameters of :class:`ACTRMemory`, in seconds."""
    decay, sharp, spreading, matching, satiation, threshold = point
    return torch.stack(
        [decay, 1 / sharp, spreading / sharp, matching / sharp, satiation / sharp, threshold / sharp - decay * log_unit]
    )


def fit_memory(choices: Choices, given: ACTRMemory) -> Estimated:
    """Estimate decay, noise, weights and threshold by maximum likelihood.

    Given the decay the law is a conditional logit, whose likelihood is concave in the weights over noise.

    Args:
        choices: what was chosen.
        given: parameters that the choices do not tell of (``satiation_s``, ``follow``, ``appeal``).

    Raises:
        ValueError: nobody ever took something again, or nobody ever explored.
    """
    again = int((choices.chosen >= 0).sum())
    if not 0 < again < choices.size:
        raise ValueError(
            f"the law of choice needs both repeats and new items, found {again} repeats of {choices.size} choices"
        )
    unit = _log_unit(choices)
    features = _Features.of(choices, given.satiation_s, unit)
    point = minimise(lambda at: -features.mean(at), _START, _BOUNDS)
    second = information(lambda at: -features.mean(at), point) * choices.size
    at = torch.from_numpy(point)
    slope = torch.autograd.functional.jacobian(lambda p: _natural(p, unit), at).numpy()  # type: ignore[no-untyped-call]
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(slope @ np.linalg.pinv(second) @ slope.T))
    values = _natural(at, unit).numpy()
    parameters = {
        name: Estimate(float(value), float(error)) for name, value, error in zip(_NAMES, values, errors, strict=True)
    }
    memory = replace(given, **{name: estimate.value for name, estimate in parameters.items()})
    return Estimated(memory, parameters, float(features.mean(at)))


def mean_log_likelihood(choices: Choices, memory: ACTRMemory) -> float:
    """Mean log-likelihood, in nats a choice, of taking one of the remembered items or exploring."""
    features = _Features.of(choices, memory.satiation_s, 0.0)
    point = torch.tensor(
        [
            memory.decay, 1 / memory.noise, memory.spreading / memory.noise, memory.matching / memory.noise,
            memory.satiation / memory.noise, memory.threshold / memory.noise,
        ],
        dtype=torch.float64,
    )  # fmt: skip
    return float(features.mean(point))


class Law(NamedTuple):
    """A law that looks at one thing only: the logit of an item is ``slope * feature``, of exploring a constant.

    Attributes:
        name: what it looks at.
        feature: of each pair.
    """

    name: str
    feature: Callable[[Choices], Float64[np.ndarray, "P"]]


RECENCY = Law("recency", lambda choices: -np.log(choices.newest_s))
FREQUENCY = Law("frequency", lambda choices: np.log(choices.count))


def fit_plain(law: Law, train: Choices, test: Choices) -> float:
    """Mean log-likelihood on some choices of a plain law fitted to others.

    Args:
        law: recency or frequency.
        train: choices to fit slope and constant to.
        test: choices to try them on.
    """

    def mean(choices: Choices) -> Callable[[Tensor], Tensor]:
        table, feature = _Table(choices), torch.from_numpy(law.feature(choices))
        nothing = torch.zeros((), dtype=torch.float64)
        return lambda at: table.mean(at[0] * feature, nothing, at[1])

    train_mean = mean(train)
    point = minimise(lambda at: -train_mean(at), (1.0, 0.0), ((-100.0, 100.0), (-1000.0, 1000.0)))
    return float(mean(test)(torch.from_numpy(point)))
