"""Whether policies keep to constraints: by how much, how surely, how often not, and which policies no other beats."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from recgym.evaluation.rollout import Rollout
from recgym.stats import Interval, t_interval

__all__ = ["Constraint", "ConstraintReport", "Satisfaction", "constraint_report", "hold_against", "pareto_front"]

_WORDS = re.compile(r"([^<>=\s]+)\s*(>=|<=)\s*(-?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(%?)")


@dataclass(frozen=True)
class Constraint:
    """A response that must not fall short.

    Attributes:
        response: its name.
        margin: share of the reference policy's mean that may be lost; of a cost, by which it may grow.
        cost: whether less is better.
        bound: hold the response against this value in place of the reference policy; the margin then counts nothing.
    """

    response: str
    margin: float = 0.0
    cost: bool = False
    bound: float | None = None

    @classmethod
    def parse(cls, words: str) -> "Constraint":
        """A constraint in words: ``like>=98%`` of the reference policy, ``hate<=0.01`` a user's episode.

        Raises:
            ValueError: the words are none of these.
        """
        found = _WORDS.fullmatch(words.strip())
        if found is None:
            raise ValueError(
                f"a constraint reads CHANNEL>=NUMBER or CHANNEL<=NUMBER, with % for a share of the reference policy's, "
                f"such as like>=98%; found {words!r}"
            )
        response, sign, number, percent = found.groups()
        value, cost = float(number), sign == "<="
        if not percent:
            return cls(response, cost=cost, bound=value)
        return cls(response, value / 100 - 1 if cost else 1 - value / 100, cost)

    def __str__(self) -> str:
        sign = "<=" if self.cost else ">="
        if self.bound is not None:
            return f"{self.response}{sign}{self.bound:g}"
        return f"{self.response}{sign}{100 * (1 + self.margin if self.cost else 1 - self.margin):g}%"


@dataclass(frozen=True)
class Satisfaction:
    """How a policy stands to a constraint.

    Attributes:
        constraint: the constraint.
        slack: how much better the response is than it must be, negative where it falls short: relative to the
            reference's mean, or in the response's own unit where there is a bound; with its interval over samples.
        violation_rate: share of the samples in which it falls short.
    """

    constraint: Constraint
    slack: Interval
    violation_rate: float

    @property
    def satisfied(self) -> bool:
        """Whether the whole interval lies on the right side."""
        return self.slack.low >= 0

    @property
    def violated(self) -> bool:
        """Whether the whole interval lies on the wrong side."""
        return self.slack.high < 0

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            "constraint": str(self.constraint), "response": self.constraint.response,
            "margin": self.constraint.margin, "cost": self.constraint.cost,
            "bound": self.constraint.bound, "slack": self.slack._asdict(), "violation_rate": self.violation_rate,
            "satisfied": self.satisfied, "violated": self.violated,
        }  # fmt: skip


@dataclass(frozen=True)
class ConstraintReport:
    """Policies and constraints.

    Attributes:
        main: the response that is to be raised.
        values: mean of the main response of each policy, with its interval over samples.
        constraints: of each policy, in the order in which they were given.
        front: policies that no other beats in one response without being worse in another.
        reference: the policy that the others are held against.
    """

    main: str
    values: dict[str, Interval]
    constraints: dict[str, tuple[Satisfaction, ...]]
    front: tuple[str, ...]
    reference: str

    def satisfied(self, policy: str) -> bool:
        """Whether a policy keeps to all constraints with whole intervals."""
        return all(found.satisfied for found in self.constraints[policy])

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            "main": self.main,
            "reference": self.reference,
            "front": list(self.front),
            "policies": {
                name: {
                    self.main: value._asdict(),
                    "satisfied": self.satisfied(name),
                    "constraints": [found.to_json() for found in self.constraints[name]],
                }
                for name, value in self.values.items()
            },
        }


def hold_against(
    rollouts: Mapping[str, Rollout], constraints: Sequence[Constraint], reference: str, level: float = 0.95
) -> ConstraintReport:
    """Hold policies that served the same users against constraints on the feedback of an episode.

    The return is the response that is to be raised. Samples are the means of the seeds; with one seed only, its users.

    Args:
        rollouts: of each policy, on one task with the same users and seeds.
        constraints: on feedback channels, summed over an episode.
        reference: name of the policy that relative margins are taken from.
        level: confidence level of the intervals.

    Raises:
        ValueError: see :func:`constraint_report`.
    """
    names = next(iter(rollouts.values())).task.model.schema.names
    samples = {}
    for name, played in rollouts.items():
        episodes = played.episodes
        found = np.concatenate([episodes.reward[:, :, None], episodes.feedback], 2)
        samples[name] = found.mean(1) if len(found) > 1 else found[0]
    return constraint_report(samples, ("return", *names), "return", constraints, reference, level)


def constraint_report(
    returns: Mapping[str, Float64[np.ndarray, "samples R"]],
    responses: Sequence[str],
    main: str,
    constraints: Sequence[Constraint],
    reference: str,
    level: float = 0.95,
) -> ConstraintReport:
    """Hold policies against constraints, sample by sample.

    Args:
        returns: of each policy what every response came to in each sample, a seed or a user; the samples of all
            policies are the same seeds or users in the same order, so that differences are paired.
        responses: names of the columns.
        main: the response that is to be raised.
        constraints: on the others.
        reference: the policy that relative margins are taken from; its own differences are 0.
        level: confidence level of the intervals (Student's t over samples).

    Raises:
        ValueError: a name is unknown, samples do not match, or the reference's mean is 0 where a margin is relative.
    """
    _check(returns, responses, [main, *(constraint.response for constraint in constraints)], reference)
    base = returns[reference]
    values = {name: t_interval(found[:, list(responses).index(main)], level) for name, found in returns.items()}
    kept = {
        name: tuple(
            _satisfaction(found[:, column], base[:, column], constraint, level)
            for constraint in constraints
            if (column := list(responses).index(constraint.response)) >= 0
        )
        for name, found in returns.items()
    }
    signs = {main: 1.0} | {constraint.response: -1.0 if constraint.cost else 1.0 for constraint in constraints}
    columns = [list(responses).index(name) for name in signs]
    means = np.stack([found[:, columns].mean(0) for found in returns.values()]) * np.array(list(signs.values()))
    front = tuple(name for name, best in zip(returns, pareto_front(means), strict=True) if best)
    return ConstraintReport(main, values, kept, front, reference)


def _check(
    returns: Mapping[str, Float64[np.ndarray, "samples R"]], responses: Sequence[str], named: list[str], reference: str
) -> None:
    for name in named:
        if name not in responses:
            raise ValueError(f"there is no response {name!r}; there are: {', '.join(responses)}")
    if reference not in returns:
        raise ValueError(f"the reference policy {reference!r} is not among {', '.join(returns)}")
    shape = returns[reference].shape
    for name, found in returns.items():
        if found.shape != shape or shape[1] != len(responses):
            raise ValueError(
                f"{name}: found returns of shape {found.shape}, expected {(shape[0], len(responses))}: "
                "the same samples for every policy and a column a response"
            )


def _satisfaction(
    found: Float64[np.ndarray, "samples"], base: Float64[np.ndarray, "samples"], constraint: Constraint, level: float
) -> Satisfaction:
    sign = -1.0 if constraint.cost else 1.0
    if constraint.bound is not None:
        slack = sign * (found - constraint.bound)
    else:
        size = abs(float(base.mean()))
        if size == 0:
            raise ValueError(f"{constraint.response}: the reference's mean is 0; give a bound in place of a margin")
        slack = sign * (found - base) / size + constraint.margin
    return Satisfaction(constraint, t_interval(slack, level), float((slack < 0).mean()))


def pareto_front(values: Float[np.ndarray, "policies R"]) -> Bool[np.ndarray, "policies"]:
    """Which rows no other row dominates: none is at least as large everywhere and larger somewhere."""
    above = (values[:, None] >= values[None]).all(-1) & (values[:, None] > values[None]).any(-1)
    front: np.ndarray = np.logical_not(above.any(0))
    return front
