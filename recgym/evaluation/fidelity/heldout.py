"""The real sessions after a simulator's end of log, and simulated users at the start of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64

from recgym.arrays import take_rows, to_numpy
from recgym.data.schema import InteractionLog
from recgym.evaluation.fidelity.traces import Traces
from recgym.seeding import make_generator
from recgym.simulators.learned import FittedSimulator, LearnedState, LearnedUsers
from recgym.simulators.learned.context import ItemContext
from recgym.simulators.learned.continued import Continued
from recgym.simulators.learned.sessions import leave_labels
from recgym.simulators.learned.snapshots import Snapshots, take_snapshots
from recgym.simulators.learned.steps import Behaviour, ExposureSource, ranges

__all__ = ["HeldOut", "Stretch", "held_out"]


class Stretch(NamedTuple):
    """Sessions that begin close together, and learned users at the start of them.

    Attributes:
        sessions: which sessions, as indices into :attr:`HeldOut.real`.
        model: the learned users, to whom items are what they were when the stretch began.
        state: one user a session.
    """

    sessions: Int64[np.ndarray, "n"]
    model: LearnedUsers
    state: LearnedState


@dataclass(frozen=True)
class HeldOut:
    """Sessions that began after a simulator's end of log and ended within the log.

    Attributes:
        real: the sessions; items in the simulator's ids.
        fitted: the simulator.
        snapshots: its users at the start of each session, who remember all that the log says of them.
        context: what was known of the items at each time, held-out time included.
        left_out: shown items that the simulator has no id for; they are not in the sessions.
    """

    real: Traces
    fitted: FittedSimulator
    snapshots: Snapshots
    context: ItemContext
    left_out: int

    def pick(self, sessions: Int64[np.ndarray, "s"]) -> "HeldOut":
        """Some of the sessions."""
        return replace(
            self, real=self.real.pick(sessions), snapshots=_snapshots_of(self.snapshots, torch.from_numpy(sessions))
        )

    def stretches(self, most: int, generator: torch.Generator) -> Iterator[Stretch]:
        """The sessions in the order of time, cut into stretches of equal numbers of them.

        In each, learned users see the items as they were at its beginning: their age, popularity and rates up to then.

        Args:
            most: how many stretches.
            generator: source of randomness of the draw of users.
        """
        order = np.argsort(self.real.start_s, kind="stable")
        for sessions in np.array_split(order, min(most, order.size)):
            begin = float(self.real.start_s[sessions[0]])
            # The tables are as of one second after the end of the log.
            fitted = replace(
                self.fitted,
                snapshots=_snapshots_of(self.snapshots, torch.from_numpy(sessions)),
                context=self.context,
                facts=replace(self.fitted.facts, end_time=begin - 1.0),
            )
            model = LearnedUsers(fitted)
            yield Stretch(sessions, model, _one_each(model, sessions.size, generator))


def _snapshots_of(snapshots: Snapshots, rows: torch.Tensor) -> Snapshots:
    return Snapshots(*(getattr(snapshots, name)[rows] for name in Snapshots.__dataclass_fields__))


def _one_each(model: LearnedUsers, n: int, generator: torch.Generator) -> LearnedState:
    """One user for each of the model's ``n`` snapshots, in their order: users are drawn until each has turned up."""
    found: list[np.ndarray] = []
    states: list[LearnedState] = []
    missing = np.ones(n, dtype=bool)
    while missing.any():
        state = model.sample_users(4 * n, generator)
        names, first = np.unique(to_numpy(state.snapshot), return_index=True)
        fresh = missing[names]
        missing[names] = False
        found.append(names[fresh])
        states.append(take_rows(state, torch.from_numpy(first[fresh])))
    joined = LearnedState(*(torch.cat(leaves) for leaves in zip(*states, strict=True)))
    return take_rows(joined, torch.from_numpy(np.argsort(np.concatenate(found), kind="stable")))


def held_out(fitted: FittedSimulator, log: InteractionLog, seed: int) -> HeldOut | None:
    """The sessions of a log that lie after the simulator's end of log.

    Args:
        fitted: the simulator.
        log: a log of the same kind; rows up to the simulator's end of log serve as history.
        seed: root seed.

    Returns:
        None if there is nothing to show to simulated users (no slates were logged), no times, or no whole session.
    """
    facts = fitted.facts
    if facts.exposures is not ExposureSource.SLATES or fitted.context is None:
        return None
    generator = make_generator(seed, "held-out sessions", device="numpy")
    seen = Continued.of(fitted, log, generator)
    behaviour = seen.data.behaviour
    assert seen.context is not None  # the simulator has one
    starts = np.flatnonzero((behaviour.step_index == 0) & (behaviour.step_session >= 0))
    if starts.size == 0:
        return None
    snapshots = take_snapshots(seen.data, seen.before, fitted.n_items, fitted.config.history, starts.size, generator)
    end = float(log.frame["time_s"].max())  # type: ignore[arg-type]
    ended = leave_labels(behaviour, end, fitted.config.session_gap_s).known[starts]
    real, left_out = _traces(behaviour, starts, seen.network_id, end)
    blank = real.step_session[np.bincount(real.row_step, minlength=real.n_steps) == 0]
    fresh = ended & (real.start_s > facts.end_time)
    fresh[blank] = False
    new = np.flatnonzero(fresh)
    if new.size == 0:
        return None
    whole = HeldOut(real, fitted, snapshots, seen.context.remapped(seen.network_id, fitted.n_items), left_out)
    return whole.pick(new)


def _traces(behaviour: Behaviour, starts: np.ndarray, network_id: np.ndarray, end_time: float) -> tuple[Traces, int]:
    """All sessions of a log, items renamed; and how many shown items have no new name."""
    numbers = behaviour.step_session[starts]
    index = np.full(int(behaviour.step_session.max()) + 1, -1)
    index[numbers] = np.arange(starts.size)
    session = np.where(behaviour.step_session >= 0, index[np.maximum(behaviour.step_session, 0)], -1)
    steps = np.flatnonzero(session >= 0)
    steps = steps[np.lexsort((behaviour.step_index[steps], session[steps]))]
    rows = ranges(behaviour.step_rows[steps], behaviour.step_rows[steps + 1])
    sizes = behaviour.step_rows[steps + 1] - behaviour.step_rows[steps]
    row_step = np.repeat(np.arange(steps.size), sizes)
    place = ranges(np.zeros_like(sizes), sizes)
    item = network_id[behaviour.row_item[rows]]
    kept = item >= 0
    start, user = behaviour.step_time[starts], behaviour.step_user[starts]
    last = np.zeros(starts.size)
    np.maximum.at(last, session[steps], behaviour.step_time[steps])
    order = np.lexsort((start, user))
    next_start = np.full(starts.size, np.inf)
    same = user[order][1:] == user[order][:-1]
    next_start[order[:-1][same]] = start[order][1:][same]
    seen = np.isfinite(next_start)
    traces = Traces(
        user=user, start_s=start, gap_s=np.maximum(np.where(seen, next_start, end_time) - last, 0.0), gap_seen=seen,
        step_session=session[steps], step_index=behaviour.step_index[steps],
        step_time=behaviour.step_time[steps] - start[session[steps]],
        row_step=row_step[kept], item=item[kept], position=place[kept],
        feedback=behaviour.row_labels[rows][kept], observed=behaviour.row_observed[rows][kept],
    )  # fmt: skip
    return traces, int((~kept).sum())
