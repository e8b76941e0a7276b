"""User models that break one promise each."""

import numpy as np
import torch

from recgym.arrays import namespace, to_numpy
from recgym.simulators import InterestEvolution, InterestEvolutionConfig, Observed
from recgym.simulators.interest_evolution import InterestState
from recgym.types import Array, Generator, Response


class Sound(InterestEvolution):
    """A small world in order; the others differ from it in one method."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(InterestEvolutionConfig(num_documents=60, num_topics=5, budget=40.0), device)
        self.device = device

    def on(self, device: str) -> "Sound":
        return type(self)(device)


class ShowsHidden(Sound):
    def observe(self, state: InterestState) -> Observed:
        return Observed(profile=state.interests + 1e-3 * state.budget[:, None])


class UsesNumpyGlobal(Sound):
    def respond(self, state: InterestState, slate: Array, generator: Generator) -> Response:
        np.random.rand()  # noqa: NPY002 - what the check must find
        return super().respond(state, slate, generator)


class UsesTorchGlobal(Sound):
    def advance(self, state: InterestState, slate: Array, response: Response, generator: Generator) -> InterestState:
        torch.rand(1)
        return super().advance(state, slate, response, generator)


class ChangesState(Sound):
    def advance(self, state: InterestState, slate: Array, response: Response, generator: Generator) -> InterestState:
        advanced = super().advance(state, slate, response, generator)
        state.budget[:] = advanced.budget
        return advanced


class ChangesSlate(Sound):
    def expected(self, state: InterestState, slate: Array) -> Response:
        response = super().expected(state, slate)
        slate[:, 0] = 0
        return response


class Remembers(Sound):
    """Answers depend on how often it was asked."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.calls = 0

    def return_gap(self, state: InterestState, generator: Generator) -> Array:
        self.calls += 1
        gap: Array = super().return_gap(state, generator)
        return namespace(gap).zeros_like(gap) + self.calls


class ExpectsTooMuch(Sound):
    """By 3 %: too little to be seen in one user."""

    def expected(self, state: InterestState, slate: Array) -> Response:
        feedback = super().expected(state, slate).feedback
        return Response(feedback * 1.03)


class ExpectsSwapped(Sound):
    """Right on average, wrong for each user."""

    def expected(self, state: InterestState, slate: Array) -> Response:
        return Response(namespace(slate).flip(super().expected(state, slate).feedback, (0,)))


class AnswersRepeats(Sound):
    def expected(self, state: InterestState, slate: Array) -> Response:
        feedback = super().expected(state, slate).feedback
        return Response(feedback[:, :1] + 0 * feedback)


class ClicksTwice(Sound):
    def respond(self, state: InterestState, slate: Array, generator: Generator) -> Response:
        return Response(super().respond(state, slate, generator).feedback * 2)


class HalfClicks(Sound):
    def respond(self, state: InterestState, slate: Array, generator: Generator) -> Response:
        return Response(super().respond(state, slate, generator).feedback / 2)


class NegativeTime(Sound):
    def step_seconds(self, state: InterestState, slate: Array, response: Response) -> Array:
        return -super().step_seconds(state, slate, response)


class DoublePrecision(Sound):
    def observe(self, state: InterestState) -> Observed:
        interests = state.interests
        return Observed(profile=interests.astype("float64") if self.device == "numpy" else interests.double())


class NamesNothing(Sound):
    hidden_fields = ("budget", "mood")


class LooksAround(Sound):
    """One user's expectation depends on the whole batch."""

    def expected(self, state: InterestState, slate: Array) -> Response:
        feedback = super().expected(state, slate).feedback
        return Response(feedback * (1 + 1e-3 * state.interests.mean()))


class RowsMatter(Sound):
    """Draws more when told the rows."""

    def sample_users(self, n: int, generator: Generator, rows: Array | None = None) -> InterestState:
        if rows is not None:
            super().sample_users(1, generator)
        return super().sample_users(n, generator)


class DevicesDisagree(Sound):
    def expected(self, state: InterestState, slate: Array) -> Response:
        feedback = super().expected(state, slate).feedback
        return Response(feedback if self.device == "numpy" else feedback * 1.0005)


class TakesNumpy(Sound):
    """Says that it does not run on numpy, and lets itself be put there."""

    runs_on_numpy = False


def budget_of(users: InterestState) -> np.ndarray:
    """Minutes left, as only a test may know them."""
    return to_numpy(users.budget)
