"""Whether ACT-R users fitted to a log repeat themselves as the people of its later weeks did.

Simulated users start from what each person had consumed by the cut, and consume when and as much as that person did in
the held-out weeks; what they take is their own. So calendars do not differ, and what is compared is the choice alone. A
simulator by popularity is held against the same weeks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from scipy.stats import ks_2samp, spearmanr

from recgym.data.schema import InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.actr import ACTRFit, ACTRFitConfig, Calendar, Taken, fit_actr, live
from recgym.simulators.actr.choices import Sessions, distinct_items
from recgym.simulators.actr.facts import records_before, times_of
from recgym.simulators.actr.fit import sessions_of
from recgym.stats import Interval, bootstrap_mean

__all__ = ["RelistenFidelity", "RepeatBehaviour", "relisten_fidelity", "repeats"]

_TOGETHER = 1_024


class RepeatBehaviour(NamedTuple):
    """How people repeat themselves, and how far that is from the held-out weeks.

    Attributes:
        repeat_ratio: share of consumptions of items that the user had consumed in an earlier session, with an interval
            by resampling users.
        gap_ks: Kolmogorov-Smirnov distance of the times from one consumption of an item to the next, for repeats; 1
            where nothing was repeated.
        user_ks: the same distance of the users' own repeat ratios.
        user_error: mean absolute difference between a user's repeat ratio and that of the same user in the held-out
            weeks, each user counting by held-out consumptions.
        user_correlation: Spearman's correlation between the two; NaN where either is constant.
    """

    repeat_ratio: Interval
    gap_ks: float
    user_ks: float
    user_error: float
    user_correlation: float


@dataclass(frozen=True)
class RelistenFidelity:
    """The held-out weeks, the fitted users and users who go by popularity.

    Attributes:
        fit: the fitted users, with the report of the fit.
        users: people with sessions on both sides of the cut.
        consumptions: of theirs, held out.
        held_out: the truth; its distances are 0.
        actr: the fitted users.
        popularity: users who take the items of a session by how often each was consumed before the cut.
    """

    fit: ACTRFit
    users: int
    consumptions: int
    held_out: RepeatBehaviour
    actr: RepeatBehaviour
    popularity: RepeatBehaviour


class _Repeats(NamedTuple):
    """Which consumptions repeat an item, and how long after the last time; NaN for first times."""

    again: Bool[np.ndarray, "E"]
    gap_s: Float64[np.ndarray, "E"]


def repeats(past: Taken, taken: Taken) -> _Repeats:
    """Find the repeats.

    Args:
        past: what the same users (by row) had consumed before, in any order.
        taken: what they consumed then, on the same clock; no session holds an item twice.
    """
    user, item, time_s = (
        np.concatenate([getattr(past, name), getattr(taken, name)]) for name in ("user", "item", "time_s")
    )
    order = np.lexsort((time_s, item, user))
    same = np.zeros(len(order), dtype=bool)
    same[1:] = (np.diff(user[order]) == 0) & (np.diff(item[order]) == 0)
    gap = np.full(len(order), np.nan)
    gap[order[1:]] = np.where(same[1:], np.diff(time_s[order]), np.nan)
    found: np.ndarray = gap[len(past.user) :]
    return _Repeats(~np.isnan(found), found)


def relisten_fidelity(
    log: InteractionLog, config: ACTRFitConfig | None = None, fit: ACTRFit | None = None, seed: int = 0
) -> RelistenFidelity:
    """Fit users to the first part of a log and compare how they repeat themselves with the rest of it.

    Args:
        log: a log with times, or sessions and times.
        config: settings of the fit; ``test_fraction`` of the sessions are held out.
        fit: a fit of the same log with the same config, if there is one.
        seed: of the simulation.

    Raises:
        ValueError: the log cannot be fitted, or nobody has sessions on both sides of the cut.
    """
    config = config or ACTRFitConfig()
    fit = fit or fit_actr(log, config)
    sessions = sessions_of(log, config.session_gap_s)
    weeks = _Weeks.of(sessions, fit.report.cut_s, config.longest, log.source)
    early = int((sessions.start_s < fit.report.cut_s).sum())
    _, pace = times_of(sessions, early, config.longest)
    now = np.full(len(weeks.first), fit.report.cut_s)
    records = records_before(sessions, weeks.first, now, config.window, fit.world.items.embeddings, pace)
    generator = make_generator(seed, "relisten")
    assert isinstance(generator, torch.Generator)
    actr = live(fit.world.memory, fit.world.items, records, weeks.calendar, config.window, generator)
    popular = _by_popularity(sessions, early, weeks, log.n_items, generator)
    rng = make_generator(seed, "relisten intervals", device="numpy")
    assert isinstance(rng, np.random.Generator)
    truth = repeats(weeks.past, weeks.taken)

    def behaviour(taken: Taken) -> RepeatBehaviour:
        return _compare(weeks.taken, truth, taken, repeats(weeks.past, taken), rng)

    return RelistenFidelity(
        fit, len(weeks.first), len(weeks.taken.user), behaviour(weeks.taken), behaviour(actr), behaviour(popular)
    )


def _compare(
    held_out: Taken, truth: _Repeats, taken: Taken, found: _Repeats, rng: np.random.Generator
) -> RepeatBehaviour:
    real, simulated = _by_user(held_out, truth), _by_user(taken, found)
    weight = np.bincount(held_out.user).astype(np.float64)
    constant = np.ptp(real) == 0 or np.ptp(simulated) == 0
    return RepeatBehaviour(
        bootstrap_mean(found.again.astype(np.float64), taken.user, rng),
        _distance(truth.gap_s[truth.again], found.gap_s[found.again]),
        _distance(real, simulated),
        float((np.abs(real - simulated) * weight).sum() / weight.sum()),
        float("nan") if constant else float(spearmanr(real, simulated).statistic),
    )


def _by_user(taken: Taken, found: _Repeats) -> Float64[np.ndarray, "U"]:
    ratio: np.ndarray = np.bincount(taken.user, weights=found.again) / np.bincount(taken.user)
    return ratio


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(ks_2samp(one, other).statistic) if len(one) and len(other) else 1.0


@dataclass(frozen=True)
class _Weeks:
    """The held-out weeks of the users who were there before; times are relative to the cut.

    Attributes:
        first: each user's first held-out session.
        past: all that they had consumed before.
        taken: what they consumed then, the first distinct items of each session.
        calendar: when.
    """

    first: Int64[np.ndarray, "U"]
    past: Taken
    taken: Taken
    calendar: Calendar

    @classmethod
    def of(cls, sessions: Sessions, cut_s: float, longest: int, source: str) -> "_Weeks":
        late = sessions.start_s >= cut_s
        opens = np.append(True, (np.diff(sessions.user) != 0) | ~late[:-1])
        first = np.flatnonzero(late & opens)
        first = first[sessions.first[first] > sessions.user_start[first]]
        if len(first) == 0:
            raise ValueError(f"{source}: nobody has sessions on both sides of the cut at {cut_s:g} s")
        which = np.flatnonzero(late & np.isin(sessions.user, sessions.user[first]))
        user = np.searchsorted(sessions.user[first], sessions.user[which])
        number = np.arange(len(which)) - np.searchsorted(user, user)
        row, event = distinct_items(sessions, which, longest)
        taken = _taken(user[row], number[row], sessions, event, cut_s)
        before = sessions.first[first] - sessions.user_start[first]
        owner = np.repeat(np.arange(len(first)), before)
        old = np.arange(len(owner)) + np.repeat(sessions.user_start[first] - np.cumsum(before) + before, before)
        past = _taken(owner, np.full(len(owner), -1), sessions, old, cut_s)
        return cls(first, past, taken, _calendar(taken, row, longest))


def _taken(user: np.ndarray, number: np.ndarray, sessions: Sessions, event: np.ndarray, cut_s: float) -> Taken:
    known = np.zeros(len(event), dtype=bool)
    return Taken(user, number, sessions.item[event], sessions.time_s[event] - cut_s, known)


def _calendar(taken: Taken, row: np.ndarray, longest: int) -> Calendar:
    """When each user consumed; events must be sorted by session ``row``."""
    place = np.arange(len(row)) - np.searchsorted(row, row)
    shape = (int(taken.user.max()) + 1, int(taken.session.max()) + 1)
    time_s, length = np.zeros((*shape, longest)), np.zeros(shape, dtype=np.int64)
    time_s[taken.user, taken.session, place] = taken.time_s
    np.maximum.at(length, (taken.user, taken.session), place + 1)
    return Calendar(torch.from_numpy(time_s), torch.from_numpy(length))


def _by_popularity(sessions: Sessions, early: int, weeks: _Weeks, num_items: int, generator: torch.Generator) -> Taken:
    """Distinct items of each held-out session by how often they were consumed before the cut: successive draws."""
    latest = np.sort(sessions.start_s)[early - 1]
    before = np.repeat(sessions.start_s, np.diff(sessions.first)) <= latest
    counts = np.bincount(sessions.item[before], minlength=num_items).astype(np.float32)
    log_counts = torch.from_numpy(counts).log()
    held = weeks.taken
    new = np.append(True, (np.diff(held.user) != 0) | (np.diff(held.session) != 0))
    row = np.cumsum(new) - 1
    place = np.arange(len(row)) - np.searchsorted(row, row)
    longest = int(place.max()) + 1
    drawn = torch.empty((int(row[-1]) + 1, longest), dtype=torch.int64)
    for first in range(0, len(drawn), _TOGETHER):
        size = min(_TOGETHER, len(drawn) - first)
        # The largest of independent Gumbel variates around log-weights are successive draws without replacement.
        noise = -torch.empty((size, num_items)).exponential_(generator=generator).log()
        drawn[first : first + size] = torch.topk(log_counts + noise, longest, dim=1).indices
    return held._replace(item=drawn.numpy()[row, place])
