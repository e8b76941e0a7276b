"""The contract check of policies passes on all of ours, and finds each broken promise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents.base import ActionSpec, NoState, RandomPolicy, ScoredPolicy
from recgym.arrays import as_float, as_int, full, integers, namespace, uniform
from recgym.testing import check_agent
from recgym.types import Array, Decision, Generator

ONE, TWO = ActionSpec(6, 1, 6), ActionSpec(5, 2, 5)
NUMPY = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def first_columns(spec: ActionSpec) -> Callable[[Any], Array]:
    return lambda observation: observation[:, : spec.num_candidates]


@pytest.mark.parametrize("observation", [NUMPY, torch.from_numpy(NUMPY)], ids=["numpy", "torch"])
@pytest.mark.parametrize("spec", [ONE, TWO], ids=["item", "slate"])
def test_our_policies(spec: ActionSpec, observation: Array) -> None:
    check_agent(RandomPolicy(spec), spec, observation)
    for temperature, mix in ((0.0, 0.0), (0.7, 0.0), (1.5, 0.3), (0.0, 0.4)):
        check_agent(ScoredPolicy[NoState](spec, first_columns(spec), temperature, mix), spec, observation)


@dataclass(frozen=True)
class Biased:
    """Draws 0 with probability ``truth`` and 1 otherwise, and claims ``claim``; a dictionary observation."""

    truth: float = 0.5
    claim: float = 0.5
    greedy_draws: bool = False

    def init_state(self, users: int, device: str) -> NoState:
        return NoState()

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        users = observation["x"].shape[0]
        one = uniform(generator, (users,)) >= self.truth
        if greedy and not self.greedy_draws:
            one = one & False
        xp = namespace(observation["x"])
        claimed = np.float32(1.0) if greedy else None
        share = as_float(xp.where(one, 1 - self.claim, self.claim)) if claimed is None else as_float(one) * 0 + 1
        return Decision(as_int(one), xp.log(share)), state


DICTIONARY = {"x": NUMPY}
PAIR = ActionSpec(2, 1, 2)


def test_a_true_propensity_passes() -> None:
    check_agent(Biased(0.3, 0.3), PAIR, DICTIONARY)
    check_agent(Biased(0.3, 0.3), PAIR, {"x": torch.from_numpy(NUMPY)})


def test_a_wrong_propensity_is_found() -> None:
    with pytest.raises(
        AssertionError, match=r"row 0: action \[\d\] was drawn \d+ times in 4000, its propensity says 1\d00"
    ):
        check_agent(Biased(0.3, 0.4), PAIR, DICTIONARY)


def test_a_greedy_choice_that_is_no_certain_one_is_found() -> None:
    with pytest.raises(AssertionError, match="greedy, row 0: the propensities of 2 actions add up to 2"):
        check_agent(Biased(greedy_draws=True), PAIR, DICTIONARY)


class Wrapped(Biased):
    """A policy that differs from a good one in what it returns, or in what it does on the way."""

    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        raise NotImplementedError

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        decision, state = super().act(observation, state, generator, greedy)
        return self.change(decision, observation, generator), state


class Outside(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(action=decision.action + 1)


class Narrow(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(action=decision.action.astype(np.int32))


class Flat(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(action=decision.action[:, None])


class Precise(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(log_propensity=decision.log_propensity.astype(np.float64))


class Sure(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(log_propensity=np.abs(decision.log_propensity) + np.float32(0.1))


class Two(Wrapped):
    """Claims a propensity that depends on the draw, not on the action."""

    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(log_propensity=np.log(0.4 + 0.2 * uniform(generator, decision.action.shape)))


class Scribbles(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        observation["x"][0, 0] += 1
        return decision


class Global(Wrapped):
    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        np.random.rand()  # noqa: NPY002 - what the check must find
        return decision


class Counts(Wrapped):
    """Every call moves on in a sequence of its own."""

    rng = np.random.default_rng(0)

    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        return decision._replace(action=self.rng.integers(2, size=decision.action.shape))


class Impossible(Wrapped):
    """Claims that what it does is very unlikely."""

    def change(self, decision: Decision, observation: Any, generator: Generator) -> Decision:
        rare = 1e-9 + (decision.action == 0) * (1 - 2e-9)
        return decision._replace(log_propensity=np.log(rare).astype(np.float32))


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (Outside(), "action 2 is not a candidate index in 0..1"),
        (Narrow(), "actions have type int32"),
        (Flat(), r"actions have shape \(4, 1\), expected \(4,\)"),
        (Precise(), "log propensities have shape .* type float64"),
        (Sure(), "a log propensity is 0.*, expected 0 or less"),
        (Two(), "the same action has two propensities"),
        (Scribbles(), r"act\(\) changes the observation: x differs"),
        (Global(), r"act\(\) draws from numpy's global generator"),
        (Counts(), r"act\(\) differs between two generators of the same seed"),
        (Impossible(), "draws are actions whose propensities leave them 0.4"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_broken_promise_is_found(policy: Biased, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_agent(policy, PAIR, {"x": NUMPY.copy()})


@dataclass(frozen=True)
class Continuous:
    """A preference vector from a box, with its density."""

    integer: bool = False

    def init_state(self, users: int, device: str) -> NoState:
        return NoState()

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        users = observation.shape[0]
        density = full((users,), float("nan") if greedy else float(np.log(0.125)), "float32", "numpy")
        action = uniform(generator, (users, 3), -1.0, 1.0) * (0.0 if greedy else 1.0)
        return Decision(integers(generator, 2, (users, 3)) if self.integer else action, density), state


def test_a_continuous_policy_passes_and_its_density_may_be_nan() -> None:
    check_agent(Continuous(), ONE, NUMPY)
    with pytest.raises(AssertionError, match=r"actions have shape \(4, 3\), expected \(4,\)"):
        check_agent(Continuous(integer=True), ONE, NUMPY)


def test_a_spec_whose_actions_are_all_too_rare_is_refused() -> None:
    spec = ActionSpec(40, 4, 40)
    observation = np.zeros((2, 40), dtype=np.float32)
    with pytest.raises(ValueError, match="use fewer candidates or a shorter slate"):
        check_agent(RandomPolicy(spec), spec, observation)
