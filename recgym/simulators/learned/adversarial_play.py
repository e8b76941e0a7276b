"""Sessions played by the network where the log's began, and the log's own beside them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import uniform
from recgym.simulators.learned.adversarial_steps import Shown, Steps, answer_parameters
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork, gap_feature
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels, seconds_of
from recgym.simulators.learned.snapshots import Snapshots
from recgym.simulators.learned.steps import ranges

__all__ = ["Clock", "LoggedSessions", "Sight", "play"]

AHEAD = 200
"""Slates shown to anybody next, among which those of sessions that outlast the real one are drawn."""


@dataclass(frozen=True)
class LoggedSessions:
    """Whole sessions of one part of a log.

    Attributes:
        exposures: those of a session together and in order.
        start: where each session begins among them, and the end of the last.
        snapshots: the users at the start of each.
        by_time: the same exposures in order of time.
        ended_at: for each session, how many of these were shown by its end.
    """

    exposures: Int64[np.ndarray, "E"]
    start: Int64[np.ndarray, "n_plus_1"]
    snapshots: Snapshots
    by_time: Int64[np.ndarray, "E"]
    ended_at: Int64[np.ndarray, "n"]

    @classmethod
    def of(
        cls, data: Prepared, labels: LeaveLabels, part: Bool[np.ndarray, "S"], starts: Snapshots
    ) -> "LoggedSessions":
        """Sessions that lie wholly within a part of the log and whose end is known.

        Args:
            data: the log.
            labels: which exposures ended a session.
            part: exposures of the part.
            starts: the users at all session starts of the log.
        """
        behaviour = data.behaviour
        order = np.argsort(behaviour.step_session, kind="stable")
        order = order[behaviour.step_session[order] >= 0]
        session = behaviour.step_session[order]
        first = np.flatnonzero(np.diff(session, prepend=-1) != 0)
        whole = np.logical_and.reduceat((part & labels.known)[order], first) if first.size else np.zeros(0, bool)
        begin, end = first[whole], np.append(first[1:], order.size)[whole]
        exposures = order[ranges(begin, end)]
        at = np.searchsorted(np.sort(order[first]), order[begin])
        time = behaviour.step_time
        by_time = exposures[np.argsort(time[exposures], kind="stable")]
        ended_at = np.searchsorted(time[by_time], time[order[end - 1]], side="right")
        index = torch.from_numpy(at)
        users = Snapshots(*(getattr(starts, name)[index] for name in Snapshots.__dataclass_fields__))
        return cls(exposures, np.append(0, np.cumsum(end - begin)), users, by_time, ended_at)

    def __len__(self) -> int:
        return self.ended_at.size

    def real(
        self, sessions: Int64[np.ndarray, "n"], most: int
    ) -> tuple[Int64[np.ndarray, "s"], Int64[np.ndarray, "s"]]:
        """The first ``most`` exposures of each of some sessions, and which session each belongs to."""
        begin = self.start[sessions]
        end = np.minimum(self.start[sessions + 1], begin + most)
        return self.exposures[ranges(begin, end)], np.repeat(np.arange(sessions.size), end - begin)

    def slate(
        self, sessions: Int64[np.ndarray, "n"], step: int, generator: np.random.Generator
    ) -> Int64[np.ndarray, "n"]:
        """The exposure whose slate each session shows at its step of this number: the session's own while it lasted."""
        own = self.start[sessions] + step
        ahead = min(AHEAD, self.by_time.size)
        further = np.minimum(self.ended_at[sessions], self.by_time.size - ahead)
        others = self.by_time[further + generator.integers(ahead, size=sessions.size)]
        lasts = own < self.start[sessions + 1]
        return np.where(lasts, self.exposures[np.where(lasts, own, 0)], others)


@dataclass(frozen=True)
class Clock:
    """How long steps take.

    Attributes:
        base_s: seconds of a step beside the durations among its feedback.
        seconds: how many seconds one unit of each channel is.
    """

    base_s: float
    seconds: Float32[Tensor, "F"]

    @classmethod
    def of(cls, data: Prepared, base_s: float) -> "Clock":
        """The clock of simulated users."""
        return cls(base_s, torch.from_numpy(seconds_of(data.behaviour.schema)).float())


@dataclass(frozen=True)
class Sight:
    """What a log would hold of answers: the share of values that the real one holds, channel by channel.

    Values of items with any answer and those of items without are told apart.

    Attributes:
        rates: ``[0]`` of items without any answer, ``[1]`` of those with one.
        fresh: which rows of the log show an item that their slate has not shown further up.
    """

    rates: Float32[Tensor, "two F"]
    fresh: Bool[Tensor, "R"]

    @classmethod
    def of(cls, data: Prepared, part: Bool[np.ndarray, "S"]) -> "Sight":
        """As in a part of the log."""
        behaviour = data.behaviour
        rows = behaviour.rows_of(np.flatnonzero(part))
        observed, answered = behaviour.row_observed[rows], (behaviour.row_labels[rows] != 0).any(1)
        everything = np.ones(observed.shape[1])
        rates = [observed[w].mean(0) if w.any() else everything for w in (~answered, answered)]
        fresh = np.zeros(behaviour.row_item.size, dtype=bool)
        pair = behaviour.row_step * (int(data.row_item.max()) + 1) + data.row_item.numpy()
        fresh[np.unique(pair, return_index=True)[1]] = True
        return cls(torch.from_numpy(np.stack(rates)).float(), torch.from_numpy(fresh))

    def draw(self, answers: Float32[Tensor, "r F"], generator: torch.Generator) -> Bool[Tensor, "r F"]:
        """Which of simulated answers a log would hold."""
        chance = self.rates[(answers != 0).any(1).long()]
        seen: Tensor = uniform(generator, tuple(answers.shape)) < chance
        return seen


class _Users(NamedTuple):
    """Users in the middle of their sessions; see :class:`recgym.simulators.learned.users.LearnedState`."""

    hidden: Float32[Tensor, "n H"]
    clock_s: Float64[Tensor, "n"]
    last_s: Float64[Tensor, "n"]
    temper: Float32[Tensor, "n"]
    recent: Int64[Tensor, "n T"]
    written: Int64[Tensor, "n"]


class _Move(NamedTuple):
    """One step of some of the sessions."""

    who: np.ndarray
    exposures: np.ndarray
    before: Tensor
    after: Tensor
    summary: Tensor
    minutes: Tensor
    left: Tensor
    repeats: Tensor
    answers: Tensor


@torch.no_grad()
def play(
    network: ResponseNetwork,
    plan: ResponsePlan,
    data: Prepared,
    logged: LoggedSessions,
    sessions: Int64[np.ndarray, "n"],
    clock: Clock,
    sight: Sight,
    generators: tuple[torch.Generator, np.random.Generator],
    max_steps: int,
) -> Steps:
    """Let the network go on where logged sessions began, as learned users do.

    Each session shows the slates of the real one while that lasted, then some of the 200 that were shown to anybody
    next; items are what they were known to be when the log showed them. It lasts until the leave head ends it, or
    ``max_steps``.

    Args:
        network: in evaluation mode.
        plan: its heads.
        data: the log.
        logged: sessions of it.
        sessions: which of them.
        clock: how long steps take.
        sight: what a log would hold of the answers.
        generators: of all that users do, and of the slates that prolong sessions.
        max_steps: longest session.
    """
    generator, draw = generators
    index = torch.from_numpy(sessions)
    starts = logged.snapshots
    profile = starts.profile[index]
    nought = torch.zeros(sessions.size)
    users = _Users(
        starts.hidden[index], nought.double(), starts.last_s[index], nought, starts.items[index], nought.long()
    )
    alive, moves = np.arange(sessions.size), []
    for number in range(max_steps):
        exposures = logged.slate(sessions[alive], number, draw)
        at = torch.from_numpy(alive)
        now = _Users(*(leaf[at] for leaf in users))
        shown = Shown.of(data, exposures)
        items = data.row_item[shown.rows]
        repeats = (now.recent[shown.owner] == items[:, None]).sum(1).float()
        parameters = answer_parameters(network, data, shown, now.hidden, profile[at], repeats)
        chosen = plan.slates.choose_rows(parameters, shown.owner, generator)
        answers = plan.sample(parameters, generator, data.row_length[shown.rows], chosen)
        answers = answers * sight.fresh[shown.rows][:, None]
        then, summary = _moved(network, now, shown, items, answers, clock)
        minutes = (now.clock_s / 60).float()
        count = torch.full_like(minutes, number + 1)
        leave = network.leave(then.hidden, profile[at], summary, count, minutes, then.temper).sigmoid()
        left = uniform(generator, (alive.size,)) < leave
        moves.append(_Move(alive, exposures, now.hidden, then.hidden, summary, minutes, left, repeats, answers))
        for leaf, value in zip(users, then, strict=True):
            leaf[at] = value
        alive = alive[~left.numpy()]
        if alive.size == 0:
            break
    return _steps(moves, data, profile, sight, generator)


def _moved(
    network: ResponseNetwork, users: _Users, shown: Shown, items: Tensor, answers: Tensor, clock: Clock
) -> tuple[_Users, Tensor]:
    """The users after they answered, and what the step brought."""
    steps, owner = users.clock_s.shape[0], shown.owner
    scaled = network.scale(answers)
    taken = (answers != 0).any(1)
    count = torch.bincount(owner[taken], minlength=steps)
    summary = network.summary(shown.mean(scaled), shown.largest(scaled), count.float(), shown.log_size)
    spent = torch.zeros(steps).index_add(0, owner, answers @ clock.seconds) + clock.base_s
    now = users.clock_s + spent
    brought = network.consumption(network.item_vectors(items[taken]), answers[taken])
    mean = torch.zeros(steps, brought.shape[1]).index_add(0, owner[taken], brought) / count.clamp(min=1)[:, None]
    inputs = torch.cat([mean, gap_feature(now - users.last_s)[:, None]], 1)
    some = count > 0
    hidden = torch.where(some[:, None], network.move(users.hidden, inputs), users.hidden)
    recent, written = _write(users, owner[taken], items[taken], count)
    last = torch.where(some, now, users.last_s)
    return _Users(hidden, now, last, network.temper(users.temper, summary), recent, written), summary


def _write(users: _Users, owner: Tensor, items: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Write taken items to the ring of recent ones, in slate order; of more than T, the last T."""
    length = users.recent.shape[1]
    rank = torch.arange(owner.shape[0]) - (count.cumsum(0) - count)[owner]
    kept = rank >= count[owner] - length
    recent = users.recent.clone()
    recent[owner[kept], ((users.written[owner] + rank) % length)[kept]] = items[kept]
    return recent, users.written + count


def _steps(moves: list[_Move], data: Prepared, profile: Tensor, sight: Sight, generator: torch.Generator) -> Steps:
    """All that was played, sorted by session."""
    who = np.concatenate([move.who for move in moves])
    number = np.repeat(np.arange(len(moves)), [move.who.size for move in moves])
    order = np.lexsort((number, who))
    exposures = np.concatenate([move.exposures for move in moves])
    sizes = data.behaviour.step_rows[exposures + 1] - data.behaviour.step_rows[exposures]
    begin = np.cumsum(sizes) - sizes
    rows = torch.from_numpy(ranges(begin[order], (begin + sizes)[order]))
    at = torch.from_numpy(order)

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(move, name) for move in moves])

    session = who[order]
    shown, answers = Shown.of(data, exposures[order]), joined("answers")[rows]
    ends = Ends(
        exposures[order], session, profile[torch.from_numpy(session)], joined("summary")[at],
        torch.from_numpy(number[order] + 1).float(), joined("minutes")[at],
    )  # fmt: skip
    return Steps(
        session=torch.from_numpy(session), shown=shown, before=joined("before")[at], after=joined("after")[at],
        ends=ends, repeats=joined("repeats")[rows], answers=answers,
        counted=sight.fresh[shown.rows][:, None].expand(answers.shape), seen=sight.draw(answers, generator),
        left=joined("left")[at].float(),
    )  # fmt: skip
