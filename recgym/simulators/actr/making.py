"""A world of ACT-R users made by hand: topics, associations within them, and people with some sessions behind them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, Int64

from recgym.data.synthetic import zipf_popularity
from recgym.seeding import make_generator
from recgym.simulators.actr.sessions import Calendar, Taken, blank_records, draw_calendar, live
from recgym.simulators.actr.world import ACTRItems, ACTRManners, ACTRMemory, ACTRRecords, ACTRTimes, ACTRWorld

__all__ = ["ACTRConfig", "make_items", "make_people", "make_times", "make_world", "records_of"]

_DAY_S = 86_400.0
_QUANTILES = 1_000


@dataclass(frozen=True)
class ACTRConfig:
    """A made-up world.

    Attributes:
        num_items: N.
        num_topics: an item belongs to one; about a third of the square root of N is a good number.
        width: D, of the embeddings.
        neighbours: L, associates of an item, all of its topic.
        popularity_exponent: of Zipf's law.
        taste: how strongly a user's taste leans to one topic: length of the taste vector.
        session: items of a session, at least and at most; all lengths between are equally likely.
        gap_days: median time between sessions, in days.
        gap_sd: standard deviation of its logarithm within a user.
        pace_sd: standard deviation of the logarithm of the users' own pace.
        listen_s: seconds from one item of a session to the next.
        skip_s: seconds that it takes to pass over what is shown.
        window: H, the newest events that people remember.
        people: how many users there are to start from.
        past_sessions: sessions that they have behind them.
        memory: the law of choice.
        manners: how people answer what is shown.
        seed: of the world.
    """

    num_items: int = 200
    num_topics: int = 8
    width: int = 16
    neighbours: int = 8
    popularity_exponent: float = 0.8
    taste: float = 2.0
    session: tuple[int, int] = (5, 15)
    gap_days: float = 1.0
    gap_sd: float = 0.8
    pace_sd: float = 0.4
    listen_s: float = 240.0
    skip_s: float = 15.0
    window: int = 96
    people: int = 512
    past_sessions: int = 8
    memory: ACTRMemory = field(default_factory=ACTRMemory)
    manners: ACTRManners = field(default_factory=ACTRManners)
    seed: int = 0

    def __post_init__(self) -> None:
        shortest, longest = self.session
        if not 1 <= shortest <= longest <= self.num_items:
            raise ValueError(f"session must be two ascending numbers in 1..{self.num_items}, found {self.session}")
        for name in ("num_topics", "width", "neighbours", "window", "people", "past_sessions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")


def make_world(config: ACTRConfig) -> ACTRWorld:
    """Items, people and the sessions they have behind them, all from the seed of the config."""
    items, times = make_items(config), make_times(config)
    blank = make_people(config, items, config.people)
    generator = make_generator(config.seed, "actr past")
    assert isinstance(generator, torch.Generator)
    calendar = draw_calendar(times, blank.pace, config.past_sessions + 1, generator)
    past = Calendar(calendar.time_s[:, :-1], calendar.length[:, :-1])
    taken = live(config.memory, items, blank, past, config.window, generator)
    records = records_of(taken, blank, calendar.time_s[:, -1, 0].numpy(), config.window, items.num_items)
    return ACTRWorld(config.memory, config.manners, items, times, records)


def make_items(config: ACTRConfig) -> ACTRItems:
    """Topics of about equal size; embeddings around their topic's; associates drawn from the topic."""
    rng = _numpy(config.seed, "actr items")
    n, width = config.num_items, config.width
    topic = rng.integers(config.num_topics, size=n)
    centre = rng.standard_normal((config.num_topics, width))
    centre /= np.linalg.norm(centre, axis=1, keepdims=True)
    vectors = centre[topic] + 0.7 * rng.standard_normal((n, width)) / np.sqrt(width)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    neighbours = _associates(topic, config.neighbours, rng)
    strengths = rng.dirichlet(np.full(config.neighbours, 1.0), size=n)
    strengths[neighbours == n] = 0.0
    popularity = rng.permutation(zipf_popularity(n, config.popularity_exponent))
    return ACTRItems(
        vectors.astype(np.float32), popularity.astype(np.float32), neighbours, strengths.astype(np.float32)
    )


def _associates(topic: Int64[np.ndarray, "N"], count: int, rng: np.random.Generator) -> Int64[np.ndarray, "N L"]:
    """Distinct other items of the same topic: those at ``count`` fixed distances on a random ring of the topic."""
    n = len(topic)
    order = np.lexsort((rng.random(n), topic))
    size = np.bincount(topic)
    first = (np.cumsum(size) - size)[topic[order]]
    place, around = np.arange(n) - first, size[topic[order]]
    # Distances 1, 2, 4, 7, 11, ...: two items share few associates.
    apart = 1 + np.cumsum(np.arange(count))
    there = apart < around[:, None]
    ring = order[first[:, None] + (place[:, None] + apart) % around[:, None]]
    neighbours = np.empty((n, count), dtype=np.int64)
    neighbours[order] = np.where(there, ring, n)
    return neighbours


def make_times(config: ACTRConfig) -> ACTRTimes:
    """Lengths uniform, gaps log-normal, pauses exponential around the time that an item takes."""
    rng = _numpy(config.seed, "actr times")
    return ACTRTimes(
        np.arange(config.session[0], config.session[1] + 1),
        config.gap_days * _DAY_S * np.exp(config.gap_sd * np.sort(rng.standard_normal(_QUANTILES))),
        config.listen_s * np.sort(rng.standard_exponential(_QUANTILES)),
        config.listen_s,
        config.skip_s,
    )


def make_people(config: ACTRConfig, items: ACTRItems, users: int) -> ACTRRecords:
    """People who have consumed nothing yet: each leans to the topic of a random item."""
    rng = _numpy(config.seed, "actr people")
    lean: Float32[np.ndarray, "U D"] = items.embeddings[rng.integers(items.num_items, size=users)]
    pace = config.pace_sd * rng.standard_normal(users)
    return blank_records(users, (config.taste * lean).astype(np.float32), pace.astype(np.float32))


def records_of(taken: Taken, people: ACTRRecords, now_s: np.ndarray, window: int, num_items: int) -> ACTRRecords:
    """The same people later, with what they took.

    Args:
        taken: all that they have ever consumed, sorted by user and time.
        people: their tastes and paces.
        now_s: the moment of each user's new record, on the clock of ``taken``.
        window: H, events kept.
        num_items: N, the padding.
    """
    users = len(people.pace)
    end = np.cumsum(np.bincount(taken.user, minlength=users))
    index = end[:, None] - window + np.arange(window)
    there = index >= (end - np.bincount(taken.user, minlength=users))[:, None]
    index = np.where(there, index, 0)
    time_s = np.where(there, taken.time_s[index] - now_s[:, None], 0.0)
    latest = np.zeros(users, dtype=np.int64)
    np.maximum.at(latest, taken.user, taken.session)
    first = there & (taken.session[index] == latest[:, None])
    previous = np.where(first, time_s, 0.0).min(1)
    return ACTRRecords(np.where(there, taken.item[index], num_items), time_s, previous, people.taste, people.pace)


def _numpy(seed: int, name: str) -> np.random.Generator:
    generator = make_generator(seed, name, device="numpy")
    assert isinstance(generator, np.random.Generator)
    return generator
