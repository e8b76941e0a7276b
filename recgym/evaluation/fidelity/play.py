"""Simulated users who are shown what real ones were shown, and leave when they like."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64

from recgym.arrays import set_rows, take_rows
from recgym.evaluation.fidelity.heldout import HeldOut
from recgym.evaluation.fidelity.traces import Traces
from recgym.seeding import make_generator
from recgym.simulators.base import UserModel
from recgym.simulators.learned.steps import offsets

__all__ = ["play_learned", "play_others"]

STRETCHES, FEWEST = 24, 50
AHEAD = 200
"""Slates shown to anybody next, among which a user's further slates are drawn."""


def play_learned(held_out: HeldOut, seed: int, max_steps: int) -> Traces:
    """Learned users in place of the real ones, see :func:`play_others`.

    What is known of the items is brought up to date, from the log, at the beginning of each of up to 24 stretches of
    the held-out time, of at least 50 sessions each, as a platform's would be.
    """
    generator = make_generator(seed, "learned users in held-out sessions")
    slates = _Slates.of(held_out.real, make_generator(seed, "slates to go on with", device="numpy"))
    stretches = min(STRETCHES, max(held_out.real.n_sessions // FEWEST, 1))
    parts = [
        _play(stretch.model, stretch.state, slates, stretch.sessions, generator, max_steps)
        for stretch in held_out.stretches(stretches, generator)
    ]
    return _traces(parts, held_out.real, seed)


def play_others(model: UserModel[Any], held_out: HeldOut, seed: int, max_steps: int) -> Traces:
    """Users of another model in place of the real ones.

    Each is shown the slates of the real session while they last. The policy that chose them is not known, so that
    further slates are drawn among the 200 that were shown to anybody next, in order of time, after the real session's
    last one. What is seen of the answers is seen as in the log: values that it misses now and then are missing here at
    the same rate.

    Args:
        model: users without a past, drawn anew for each session; items are those of the simulator.
        held_out: the real sessions.
        seed: root seed.
        max_steps: steps after which a session is cut.
    """
    generator = make_generator(seed, "other users in held-out sessions")
    slates = _Slates.of(held_out.real, make_generator(seed, "slates to go on with", device="numpy"))
    sessions = np.arange(held_out.real.n_sessions)
    state = model.sample_users(sessions.size, generator)
    return _traces([_play(model, state, slates, sessions, generator, max_steps)], held_out.real, seed)


class _Slates(NamedTuple):
    """The slates of real sessions, and those to go on with."""

    items: Int64[np.ndarray, "R"]
    first_row: Int64[np.ndarray, "P_plus_1"]
    first_step: Int64[np.ndarray, "S_plus_1"]
    by_time: Int64[np.ndarray, "P"]
    ended_at: Int64[np.ndarray, "S"]
    generator: np.random.Generator

    @classmethod
    def of(cls, real: Traces, generator: np.random.Generator) -> "_Slates":
        time = real.start_s[real.step_session] + real.step_time
        first_step = offsets(real.step_session, real.n_sessions)
        by_time = np.argsort(time, kind="stable")
        ended_at = np.searchsorted(time[by_time], time[first_step[1:] - 1], side="right")
        return cls(real.item, real.step_rows(), first_step, by_time, ended_at, generator)

    def at(self, sessions: Int64[np.ndarray, "n"], step: int) -> Int64[np.ndarray, "n"]:
        """The real step whose slate each session shows at its step of this number."""
        own = self.first_step[sessions] + step
        ahead = min(AHEAD, self.by_time.size)
        start = np.minimum(self.ended_at[sessions], self.by_time.size - ahead)
        further = self.by_time[start + self.generator.integers(ahead, size=sessions.size)]
        shown: np.ndarray = np.where(own < self.first_step[sessions + 1], own, further)
        return shown

    def by_size(
        self, steps: Int64[np.ndarray, "n"]
    ) -> Iterator[tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m K"]]]:
        """The slates in groups of one size: which of the steps, and their items."""
        sizes = self.first_row[steps + 1] - self.first_row[steps]
        for size in np.unique(sizes):
            chosen = np.flatnonzero(sizes == size)
            yield chosen, self.items[self.first_row[steps[chosen]][:, None] + np.arange(size)]


class _Played(NamedTuple):
    """What came of some sessions, a slate a row of each list entry."""

    sessions: Int64[np.ndarray, "n"]
    gap_s: Float64[np.ndarray, "n"]
    steps: list[tuple[np.ndarray, int, np.ndarray, np.ndarray, np.ndarray]]


@torch.no_grad()
def _play(
    model: UserModel[Any],
    state: Any,
    slates: _Slates,
    sessions: Int64[np.ndarray, "n"],
    generator: torch.Generator,
    max_steps: int,
) -> _Played:
    alive, clock = np.arange(sessions.size), np.zeros(sessions.size)
    steps = []
    for step in range(max_steps):
        for chosen, items in slates.by_size(slates.at(sessions[alive], step)):
            who = alive[chosen]
            rows, slate = torch.from_numpy(who), torch.from_numpy(items)
            users = take_rows(state, rows)
            response = model.respond(users, slate, generator)
            steps.append((sessions[who], step, clock[who], items, response.feedback.numpy()))
            clock[who] += model.step_seconds(users, slate, response).numpy()
            state = set_rows(state, rows, model.advance(users, slate, response, generator))
        alive = alive[~model.has_left(state).numpy()[alive]]
        if alive.size == 0:
            break
    return _Played(sessions, model.return_gap(state, generator).numpy().astype(np.float64), steps)


def _traces(parts: list[_Played], real: Traces, seed: int) -> Traces:
    """Everything that was played, in the order of the real sessions."""
    steps = [step for part in parts for step in part.steps]
    session = np.concatenate([entry[0] for entry in steps])
    number = np.concatenate([np.full(entry[0].size, entry[1]) for entry in steps])
    order = np.lexsort((number, session))
    size = np.concatenate([np.full(entry[0].size, entry[3].shape[1]) for entry in steps])
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    row_step = np.repeat(rank, size)
    rows = np.argsort(row_step, kind="stable")
    feedback = np.concatenate([entry[4].reshape(-1, entry[4].shape[-1]) for entry in steps])[rows]
    gap = np.empty(real.n_sessions)
    for part in parts:
        gap[part.sessions] = part.gap_s
    return Traces(
        user=real.user, start_s=real.start_s, gap_s=gap, gap_seen=np.ones(gap.size, dtype=bool),
        step_session=session[order], step_index=number[order],
        step_time=np.concatenate([entry[2] for entry in steps])[order],
        row_step=row_step[rows], item=np.concatenate([entry[3].ravel() for entry in steps])[rows],
        position=np.concatenate([np.tile(np.arange(entry[3].shape[1]), entry[0].size) for entry in steps])[rows],
        feedback=feedback, observed=_missing_as_in(real, feedback, seed),
    )  # fmt: skip


def _missing_as_in(real: Traces, feedback: np.ndarray, seed: int) -> np.ndarray:
    """Which simulated values a log would hold that misses values as often as the real one, channel by channel.

    Values of items that got any answer and those of items that got none are told apart: a page that nobody opened is
    known to have been read for no time.
    """
    generator = make_generator(seed, "missing values", device="numpy")
    answered = (real.feedback != 0).any(1)
    observed = np.ones(feedback.shape, dtype=bool)
    for which, simulated in ((answered, (feedback != 0).any(1)), (~answered, ~(feedback != 0).any(1))):
        rate = real.observed[which].mean(0) if which.any() else np.ones(feedback.shape[1])
        observed[simulated] = generator.random((int(simulated.sum()), feedback.shape[1])) < rate
    return observed
