"""What was known about an item at a moment: its age, how often it was shown and taken, lately and ever.

Strictly causal: a feature at time t counts only rows with time below t, of all users.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.schema import InteractionLog
from recgym.simulators.learned.steps import ExposureSource

__all__ = ["CONTEXT_NAMES", "ItemContext", "ItemStream", "size_rates"]

WINDOWS_S = (3600.0, 86400.0)
MAX_SIZE = 100
_PRIOR = 2.0

CONTEXT_NAMES = (
    "unseen", "log_age", "log_shown", "log_taken", "lift",
    "log_shown_hour", "log_taken_hour", "lift_hour",
    "log_shown_day", "log_taken_day", "lift_day",
)  # fmt: skip


@dataclass(frozen=True)
class ItemStream:
    """What happened to items, row by row, in any order.

    Attributes:
        item: item ids.
        time: when.
        shown: whether the row is an exposure.
        taken: whether the item was taken: any feedback, or consumption without a slate.
        liked: whether an exposure got the primary feedback; False on other rows.
        expected: how likely that was for an exposure in a slate of this size; 0 on other rows.
    """

    item: Int64[np.ndarray, "n"]
    time: Float64[np.ndarray, "n"]
    shown: Bool[np.ndarray, "n"]
    taken: Bool[np.ndarray, "n"]
    liked: Bool[np.ndarray, "n"]
    expected: Float32[np.ndarray, "n"]

    @classmethod
    def of(
        cls, log: InteractionLog, source: ExposureSource, primary: str, rates: Float32[np.ndarray, "sizes"]
    ) -> "ItemStream":
        """The rows of a log.

        Args:
            log: the log.
            source: where exposures are known from.
            primary: the channel that says whether the user took the item.
            rates: see :func:`size_rates`.
        """
        frame = log.frame
        some = np.zeros(frame.height, dtype=bool)
        for name in log.schema.names:
            some |= frame[name].fill_null(0).to_numpy() != 0
        shown = (
            frame["slate"].is_not_null().to_numpy()
            if source is ExposureSource.SLATES
            else np.ones(some.size, dtype=bool)
        )
        liked = frame[primary].fill_null(0).to_numpy() > 0 if primary in frame.columns else some
        expected = np.where(shown, rates[np.minimum(_slate_sizes(log, source), rates.size - 1)], 0)
        return cls(
            frame["item"].to_numpy(), frame["time_s"].to_numpy(), shown, some | ~shown, liked & shown,
            expected.astype(np.float32),
        )  # fmt: skip

    def pick(self, rows: Bool[np.ndarray, "n"] | Int64[np.ndarray, "m"]) -> "ItemStream":
        """Some of the rows."""
        return ItemStream(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def then(self, other: "ItemStream") -> "ItemStream":
        """The rows of both."""
        return ItemStream(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__dataclass_fields__))


def _slate_sizes(log: InteractionLog, source: ExposureSource) -> np.ndarray:
    """Items in the slate of each row; 1 where it was shown by itself."""
    if source is not ExposureSource.SLATES:
        return np.ones(log.n_rows, dtype=np.int64)
    slate = log.frame["slate"].fill_null(-1).to_numpy()
    _, inverse, counts = np.unique(slate, return_inverse=True, return_counts=True)
    return counts[inverse].astype(np.int64)


def size_rates(log: InteractionLog, source: ExposureSource, primary: str) -> Float32[np.ndarray, "sizes"]:
    """Rate of the primary feedback in slates of 0, 1, 2, ... items, shrunk towards the overall rate."""
    blank = np.zeros(MAX_SIZE + 1, dtype=np.float32)
    stream = ItemStream.of(log, source, primary, blank)
    size = np.minimum(_slate_sizes(log, source), MAX_SIZE)[stream.shown]
    liked = stream.liked[stream.shown]
    overall = float(liked.mean()) if liked.size else 0.0
    shown_of_size = np.bincount(size, minlength=MAX_SIZE + 1)
    liked_of_size = np.bincount(size, weights=liked, minlength=MAX_SIZE + 1)
    return ((liked_of_size + 20 * overall) / (shown_of_size + 20)).astype(np.float32)


@dataclass(frozen=True)
class ItemContext:
    """Answers what was known about an item at a time, from earlier counts and a stream of rows.

    Attributes:
        first_time: when each item was first seen, infinity if never.
        base: counts of (shown, taken, liked, expected) before the stream, one row an item.
        stream: rows that the counts do not hold yet, sorted by item and time.
    """

    first_time: Float64[np.ndarray, "N"]
    base: Float64[np.ndarray, "N 4"]
    stream: ItemStream

    @classmethod
    def start(cls, stream: ItemStream, n_items: int) -> "ItemContext":
        """From nothing but a stream."""
        return cls(np.full(n_items, np.inf), np.zeros((n_items, 4)), stream).extended(None)

    def extended(self, more: ItemStream | None) -> "ItemContext":
        """With further rows."""
        stream = self.stream if more is None else self.stream.then(more)
        order = np.lexsort((stream.time, stream.item))
        stream = stream.pick(order)
        first_time = self.first_time.copy()
        np.minimum.at(first_time, stream.item, stream.time)
        return ItemContext(first_time, self.base, stream)

    def compacted(self, now: float) -> "ItemContext":
        """The same answers from ``now`` on, with only the rows that the longest window still looks back on."""
        old = self.stream.time < now - WINDOWS_S[-1]
        base = self.base.copy()
        np.add.at(base, self.stream.item[old], self._values(self.stream)[old])
        return ItemContext(self.first_time, base, self.stream.pick(~old))

    def remapped(self, ids: Int64[np.ndarray, "N"], n_items: int) -> "ItemContext":
        """With items renamed: item i becomes ``ids[i]``, or is dropped if that is negative."""
        first_time, base = np.full(n_items, np.inf), np.zeros((n_items, 4))
        kept = ids >= 0
        first_time[ids[kept]], base[ids[kept]] = self.first_time[kept], self.base[kept]
        stream = self.stream.pick(kept[self.stream.item])
        renamed = ItemStream(ids[stream.item], stream.time, stream.shown, stream.taken, stream.liked, stream.expected)
        return ItemContext(first_time, base, renamed).extended(None)

    @staticmethod
    def _values(stream: ItemStream) -> np.ndarray:
        return np.stack([stream.shown, stream.taken, stream.liked, stream.expected], 1).astype(np.float64)

    def at(self, item: Int64[np.ndarray, "Q"], time: Float64[np.ndarray, "Q"]) -> Float32[np.ndarray, "Q X"]:
        """The features :data:`CONTEXT_NAMES` of each item at each time.

        ``unseen``: no earlier row. ``log_age``: log(1 + minutes since the first row). ``log_shown``, ``log_taken``:
        log(1 + count). ``lift``: log of (primary feedback + 2) / (what slates of these sizes let one expect + 2). The
        last three again for the last hour and the last day.
        """
        stream = self.stream
        clock = np.concatenate([stream.time, time])
        origin = float(clock.min()) if clock.size else 0.0
        span = (float(clock.max()) - origin if clock.size else 0.0) + 2 * WINDOWS_S[-1] + 1
        keys = stream.item * span + (stream.time - origin)
        asked = item * span + (time - origin)
        sums = np.concatenate([np.zeros((1, 4)), np.cumsum(self._values(stream), axis=0)])
        now = np.searchsorted(keys, asked)
        begin = np.searchsorted(keys, item * span - WINDOWS_S[-1] - 0.5)
        age = np.maximum(time - self.first_time[item], 0.0)
        unseen = ~(self.first_time[item] < time)
        columns = [unseen, np.where(unseen, 0.0, np.log1p(np.where(unseen, 0.0, age) / 60))]
        columns += _describe(self.base[item] + sums[now] - sums[begin])
        for window in WINDOWS_S:
            since = np.maximum(np.searchsorted(keys, asked - window), begin)
            columns += _describe(sums[now] - sums[since])
        return np.stack(columns, 1).astype(np.float32)


def _describe(counts: np.ndarray) -> list[np.ndarray]:
    shown, taken, liked, expected = counts.T
    return [np.log1p(shown), np.log1p(taken), np.log((liked + _PRIOR) / (np.maximum(expected, 0.0) + _PRIOR))]
