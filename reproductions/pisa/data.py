"""The logs of the table, in sessions and cut for fitting and judging."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from recgym.data import InteractionLog, distinct_sessions, read_log
from recgym.data.synthetic import iid_log, markov_log, random_transitions, zipf_popularity
from recgym.evaluation.sessions import SessionSplit, session_split
from recgym.simulators.actr import ACTRConfig, ACTRMemory, actr_log

__all__ = ["DATASETS", "Cut", "Dataset", "cut_of", "in_sessions", "known_memory", "memory_of", "unit_time"]

_HOUR_S, _DAY_S = 3_600.0, 86_400.0


@dataclass(frozen=True)
class Dataset:
    """How a log is made or read.

    Attributes:
        read: the log in sessions, given the folder of all data sets and a seed; real logs do not look at the seed.
        pause_s: what divides its sessions, for models that are shown histories.
        test: sessions of a user that are tested on.
        validation: sessions of a user that validate.
        seeded: whether each seed makes another log.
    """

    read: Callable[[Path, int], InteractionLog]
    pause_s: float
    test: int = 1
    validation: int = 1
    seeded: bool = False


@dataclass(frozen=True)
class Cut:
    """A log, cut.

    Attributes:
        split: its parts.
        pause_s: see :class:`Dataset`.
        repeats: share of all its rows whose item the user had had before.
    """

    split: SessionSplit
    pause_s: float
    repeats: float

    @classmethod
    def of(cls, log: InteractionLog, pause_s: float, test: int, validation: int) -> "Cut":
        """Cut a log of sessions."""
        first = log.frame.select(pl.struct("user", "item").is_first_distinct()).to_series()
        return cls(session_split(log, test, validation), pause_s, float(1 - np.mean(first.to_numpy())))


def memory_of(items: int, sessions: int) -> ACTRConfig:
    """The world of :func:`known_memory`."""
    return ACTRConfig(
        num_items=items, num_topics=max(items // 130, 2), session=(10, 10), window=10 * sessions,
        memory=ACTRMemory(noise=1.5, spreading=5.0, matching=0.3, satiation=0.0, threshold=0.25, follow=0.9),
    )  # fmt: skip


def known_memory(users: int, items: int, sessions: int, seed: int) -> InteractionLog:
    """People with the memory of ACT-R and without satiation, whose sessions hang together by associations.

    The memory is noisy, so that what comes back spreads over all that a user knows: with less noise few items crowd out
    all others, and personal frequency foretells three quarters of a session. With 2,000 items and 40 sessions, 60 to
    70 % of what they take is not new to them.
    """
    return distinct_sessions(actr_log(memory_of(items, sessions), users, sessions, seed), _HOUR_S)


def in_sessions(log: InteractionLog, events: int = 10) -> InteractionLog:
    """A log of one event a second, as sessions of some events four minutes apart, one session a day."""
    place = pl.int_range(pl.len()).over("user")
    time_s = (place // events) * _DAY_S + (place % events) * 240.0
    return distinct_sessions(log.with_frame(log.frame.with_columns(time_s=time_s.cast(pl.Float64))), _HOUR_S, 10, 5)


def unit_time(log: InteractionLog) -> InteractionLog:
    """A log that knows only the order of events, each now a session of its own, a second after the one before."""
    frame = log.frame.with_columns(
        time_s=pl.int_range(pl.len()).over("user").cast(pl.Float64), session=pl.int_range(pl.len(), dtype=pl.Int64)
    )
    note = "the order of events stands for their times: each is a session, a second after the one before"
    return replace(log, frame=frame, time_unit="s", notes=(*log.notes, note))


def _invoices(root: Path, seed: int) -> InteractionLog:
    return distinct_sessions(read_log(root / "online-retail", "online-retail"), _DAY_S, 10, 5)


def _edits(root: Path, seed: int) -> InteractionLog:
    return unit_time(read_log(root / "wikipedia", "sequences"))


def _markov(root: Path, seed: int) -> InteractionLog:
    return in_sessions(markov_log(2000, 200, random_transitions(500, 0.02, seed), seed))


def _iid(root: Path, seed: int) -> InteractionLog:
    return in_sessions(iid_log(2000, 200, zipf_popularity(500), seed))


DATASETS: dict[str, Dataset] = {
    "actr": Dataset(lambda root, seed: known_memory(2000, 2000, 40, seed), _HOUR_S, 5, 5, seeded=True),
    "markov": Dataset(_markov, _HOUR_S, 2, 2, seeded=True),
    "iid": Dataset(_iid, _HOUR_S, 2, 2, seeded=True),
    "online-retail": Dataset(_invoices, _DAY_S),
    "wikipedia": Dataset(_edits, 0.5),
}
"""Name -> how it is read."""


@cache
def cut_of(dataset: str, root: Path, seed: int) -> Cut:
    """The data set in three parts.

    Raises:
        ValueError: the files are not there; the sentence names them.
    """
    known = DATASETS[dataset]
    log = known.read(root, seed if known.seeded else 0)
    return Cut.of(log, known.pause_s, known.test, known.validation)
