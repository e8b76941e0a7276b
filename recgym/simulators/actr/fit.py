"""Fitting ACT-R users to a log: maximum likelihood, and the fit beside laws of recency and of frequency alone."""

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from recgym.data.batches import consumed_events
from recgym.data.schema import InteractionLog
from recgym.data.sessions import sessionise
from recgym.seeding import make_generator
from recgym.simulators.actr.choices import Choices, Sessions
from recgym.simulators.actr.explore import fit_exploring
from recgym.simulators.actr.facts import items_of, records_before, tastes_before, times_of
from recgym.simulators.actr.likelihood import (
    FREQUENCY,
    RECENCY,
    Estimate,
    fit_memory,
    fit_plain,
    mean_log_likelihood,
)
from recgym.simulators.actr.world import ACTRItems, ACTRManners, ACTRMemory, ACTRWorld

__all__ = ["ACTRFit", "ACTRFitConfig", "ACTRReport", "fit_actr", "sessions_of"]


@dataclass(frozen=True)
class ACTRFitConfig:
    """Settings of the fit.

    Attributes:
        window: H, the newest events that users remember.
        longest: distinct items of a session that count, its first ones.
        session_gap_s: a longer pause starts a new session, where the log has no sessions.
        test_fraction: share of the sessions, the last ones in time, that the fit is tried on.
        association_fraction: share of the sessions, the first ones, that associations and embeddings are taken from
            while the law of choice is fitted to the rest: a session must not count as evidence for itself.
        neighbours: L, associates of an item.
        width: D, of the embeddings.
        max_events: remembered events, over all choices, that the likelihood looks at; of longer logs random sessions.
        max_people: users that simulations start from.
        memory: what a log of choices does not tell of the law: ``satiation_s``.
        manners: how people answer what is shown, of which a log of what they take by themselves says nothing.
        seed: of the random sessions and users.
    """

    window: int = 200
    longest: int = 10
    session_gap_s: float = 1200.0
    test_fraction: float = 0.2
    association_fraction: float = 0.4
    neighbours: int = 20
    width: int = 16
    max_events: int = 3_000_000
    max_people: int = 5_000
    memory: ACTRMemory = field(default_factory=ACTRMemory)
    manners: ACTRManners = field(default_factory=ACTRManners)
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.association_fraction > 0 and self.test_fraction > 0):
            raise ValueError("association_fraction and test_fraction must be above 0")
        if self.association_fraction + self.test_fraction >= 1:
            raise ValueError(
                "association_fraction and test_fraction leave no sessions to fit to: their sum must be below 1"
            )
        for name in ("window", "longest", "neighbours", "width", "max_events", "max_people"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")


class ACTRReport(NamedTuple):
    """How the fit went.

    Attributes:
        parameters: estimates of the law of choice by name, with standard errors.
        sessions: sessions fitted to.
        choices: choices in them.
        held_out_choices: choices in the later sessions that the fit is tried on.
        log_likelihood: mean log-likelihood of these in nats: of which remembered item is taken, or that none is.
        recency_log_likelihood: that of a law of the time since the last consumption alone, fitted to the same choices.
        frequency_log_likelihood: that of a law of the number of consumptions alone.
        cut_s: when the held-out sessions begin.
    """

    parameters: dict[str, Estimate]
    sessions: int
    choices: int
    held_out_choices: int
    log_likelihood: float
    recency_log_likelihood: float
    frequency_log_likelihood: float
    cut_s: float


class ACTRFit(NamedTuple):
    """Users fitted to a log.

    Attributes:
        world: what :class:`recgym.simulators.actr.ACTRUsers` is made of; its people stand as at the start of their
            last session before the cut.
        report: how the fit went.
    """

    world: ACTRWorld
    report: ACTRReport


def sessions_of(log: InteractionLog, gap_s: float) -> Sessions:
    """All that was consumed, in the sessions of the log or, where rows have none, cut at gaps.

    Raises:
        ValueError: the log knows only the order of events and has no sessions.
    """
    if log.frame["session"].null_count():
        log = sessionise(log, gap_s)
    events = consumed_events(log)
    return Sessions.of_events(events.user, events.session, events.items, events.time_s)


def fit_actr(log: InteractionLog, config: ACTRFitConfig | None = None, items: ACTRItems | None = None) -> ACTRFit:
    """Fit the law of choice, exploring and times to what the users of a log consumed.

    Standard errors are by the observed information and so hold if the law does. Parameters are estimated on the
    sessions between the two cuts of the config (all before the held-out ones if the items are given).

    Args:
        log: a log with sessions, or with times to cut them at.
        config: settings.
        items: the catalogue, if its associations and embeddings are known; else they come from the first sessions.

    Raises:
        ValueError: the log has no times or sessions, fewer than 10 sessions, or no repeats.
    """
    config = config or ACTRFitConfig()
    sessions = sessions_of(log, config.session_gap_s)
    order = np.argsort(sessions.start_s, kind="stable")
    total = len(order)
    if total < 10:
        raise ValueError(f"{log.source}: at least 10 sessions are needed, found {total}")
    cut = math.floor(total * (1 - config.test_fraction))
    known = 0 if items is not None else math.ceil(total * config.association_fraction)
    rng = make_generator(config.seed, "actr fit", device="numpy")
    assert isinstance(rng, np.random.Generator)

    def catalogue(until: int) -> ACTRItems:
        return items or items_of(sessions, until, log.n_items, config.neighbours, config.width)

    def choices(which: np.ndarray, of: ACTRItems) -> tuple[np.ndarray, Choices]:
        some = _budget(sessions, which, config, rng)
        return some, Choices.of(sessions, some, of, config.window, config.longest)

    early, final = catalogue(known), catalogue(cut)
    which, train = choices(order[known:cut], early)
    _, test = choices(order[cut:], final)
    law = fit_memory(train, config.memory)
    taste = tastes_before(sessions, which, early.embeddings, config.window)
    exploring = fit_exploring(train, early, taste, rng)
    memory = replace(law.memory, **{name: estimate.value for name, estimate in exploring.items()})
    times, pace = times_of(sessions, cut, config.longest)
    last = _last_before(sessions, order[:cut], config.max_people, rng)
    records = records_before(sessions, last, sessions.start_s[last], config.window, final.embeddings, pace)
    report = ACTRReport(
        {**law.parameters, **exploring}, len(which), train.size, test.size, mean_log_likelihood(test, memory),
        fit_plain(RECENCY, train, test), fit_plain(FREQUENCY, train, test), float(sessions.start_s[order[cut]]),
    )  # fmt: skip
    return ACTRFit(ACTRWorld(memory, config.manners, final, times, records), report)


def _budget(sessions: Sessions, which: np.ndarray, config: ACTRFitConfig, rng: np.random.Generator) -> np.ndarray:
    """Sessions that follow another of their user, ascending; random ones if there are more events than allowed."""
    which = which[sessions.first[which] > sessions.user_start[which]]
    which = rng.permutation(which)
    events = np.minimum(sessions.first[which] - sessions.user_start[which], config.window)
    return np.sort(which[: max(1, int(np.searchsorted(np.cumsum(events), config.max_events, side="right")))])


def _last_before(sessions: Sessions, which: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Each user's last session among some, of users who have one before it; random users if there are too many."""
    which = np.sort(which)
    last = which[np.append(np.diff(sessions.user[which]) != 0, True)]
    last = last[sessions.first[last] > sessions.user_start[last]]
    return np.sort(rng.choice(last, most, replace=False)) if len(last) > most else last
