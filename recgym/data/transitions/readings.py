"""What counts as a step in a log of real behaviour: a slate shown, an item picked from a slate, or an event."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int64

from recgym.data.schema import InteractionLog, LeftOut

__all__ = ["EventReading", "PickReading", "Reading", "Rows", "SlateReading", "Steps"]


class Steps(NamedTuple):
    """Steps of a log.

    Attributes:
        user: whose each step is.
        session: of the log; -1 where unknown.
        begin_s: when the slate was shown.
        end_s: time of its last row.
        slate: what was shown, or taken.
        action: indices of these among the candidates.
        candidates: what was on offer, padded with N; M = 0 where the full catalogue always is.
        feedback: the answer; 0 where it was not observed.
        propensity: of the action; NaN where unknown.
        row: rows of the log's frame that the step shows.
    """

    user: Int64[np.ndarray, "n"]
    session: Int64[np.ndarray, "n"]
    begin_s: Float64[np.ndarray, "n"]
    end_s: Float64[np.ndarray, "n"]
    slate: Int64[np.ndarray, "n K"]
    action: Int64[np.ndarray, "n K"]
    candidates: Int64[np.ndarray, "n M"]
    feedback: Float32[np.ndarray, "n K F"]
    propensity: Float64[np.ndarray, "n"]
    row: Int64[np.ndarray, "n K"]


class Rows:
    """The rows of a log that are still to be read, and what became of the others.

    Args:
        log: the log.

    Attributes:
        log: the log.
        frame: its rows, with their numbers in ``row`` and whether each was ``consumed``.
        left_out: rows that are no longer in.
    """

    def __init__(self, log: InteractionLog) -> None:
        self.log = log
        number = pl.int_range(pl.len(), dtype=pl.Int64)
        self.frame = log.frame.with_columns(consumed=log.consumed, row=number, session=pl.col("session").fill_null(-1))
        self.left_out: list[LeftOut] = []

    def keep(self, condition: pl.Expr, reason: str) -> None:
        """Go on with the rows for which a condition holds.

        Raises:
            ValueError: there are none.
        """
        kept = self.frame.filter(condition)
        if kept.height < self.frame.height:
            self.left_out.append(LeftOut(reason, self.frame.height - kept.height))
        if kept.height == 0:
            raise ValueError(f"{self.log.source}: no step is left; the last rows went because they were {reason}")
        self.frame = kept

    def keep_slates(self) -> None:
        """Go on with rows of slates, in the order of positions within each.

        Raises:
            ValueError: there are none.
        """
        if not self.log.has_slates:
            raise ValueError(f"{self.log.source}: the log has no slates; only its events can be read")
        self.keep(pl.col("slate").is_not_null(), "in no slate")
        begin = pl.col("time_s").min().over("slate")
        self.frame = self.frame.with_columns(begin_s=begin, end_s=pl.col("time_s").max().over("slate"))
        self.frame = self.frame.sort("user", "begin_s", "slate", "position", "row", maintain_order=True)

    def steps(self, k: int, action: Int64[np.ndarray, "n K"], candidates: Int64[np.ndarray, "n M"]) -> Steps:
        """Each K rows as a step."""
        frame, names = self.frame, self.log.schema.names
        first = frame.gather_every(k)
        feedback = frame.select(pl.col(name).fill_null(0.0) for name in names).to_numpy()
        user, session, begin_s, end_s = (first[name].to_numpy() for name in ("user", "session", "begin_s", "end_s"))
        return Steps(
            user, session, begin_s, end_s, frame["item"].to_numpy().reshape(-1, k), action, candidates,
            np.ascontiguousarray(feedback, np.float32).reshape(-1, k, len(names)),
            _joint(frame["propensity"].fill_null(np.nan).to_numpy().reshape(-1, k)),
            frame["row"].to_numpy().reshape(-1, k),
        )  # fmt: skip


def _joint(rows: Float64[np.ndarray, "n K"]) -> Float64[np.ndarray, "n"]:
    """The propensity of each slate: that of its rows, which each carry that of the whole; unknown where they differ."""
    joint: np.ndarray = np.where((rows == rows[:, :1]).all(1), rows[:, 0], np.nan)
    return joint


@runtime_checkable
class Reading(Protocol):
    """A way to read a log as steps."""

    def read(self, rows: Rows) -> Steps:
        """The steps, in the order of users and of time.

        Raises:
            ValueError: there are none.
        """
        ...


@dataclass(frozen=True)
class SlateReading:
    """Every slate of exactly K different items is a step, and its items, in order, are the action.

    Attributes:
        size: K; the most common size of a slate if None (the largest of equally common ones).
        candidates: what was on offer, one row a slate: ``slate`` (Int64) and ``items`` (a list of item ids; M is the
            length of the longest). Slates that are not in it, or that show what was not on offer, are no steps. The
            full catalogue is always on offer if None.
    """

    size: int | None = None
    candidates: pl.DataFrame | None = None

    def read(self, rows: Rows) -> Steps:
        """See :class:`Reading`."""
        rows.keep_slates()
        rows.keep(pl.col("item").n_unique().over("slate") == pl.len().over("slate"), "in a slate with an item twice")
        size = _most_common_size(rows.frame) if self.size is None else self.size
        rows.keep(pl.len().over("slate") == size, f"in a slate of other than {size} items")
        if self.candidates is None:
            slate = rows.frame["item"].to_numpy().reshape(-1, size)
            return rows.steps(size, slate, np.zeros((len(slate), 0), np.int64))
        place = pl.col("items").list.eval(pl.element().cast(pl.Int64))
        offered = self.candidates.select(pl.col("slate").cast(pl.Int64), items=place)
        rows.frame = rows.frame.join(offered, on="slate", how="left", maintain_order="left")
        rows.keep(pl.col("items").is_not_null(), "in a slate of unknown candidates")
        rows.keep(pl.col("item").is_in(pl.col("items")).all().over("slate"), "in a slate with items not on offer")
        candidates = _padded(rows.frame["items"].gather_every(size), rows.log.n_items)
        slate = rows.frame["item"].to_numpy().reshape(-1, size)
        return rows.steps(size, _places(slate, candidates), candidates)


@dataclass(frozen=True)
class PickReading:
    """Every slate that the user took something from is a step: the slate was on offer, the first item taken the action.

    So it is users who choose here, and an agent that imitates them ranks a slate as they would. Propensities of the log
    are those of showing the slates: of the picks they are unknown.

    Attributes:
        most: M; longer slates are no steps, shorter ones are padded with the id N. The longest slate's size if None.
        channel: feedback above 0 that counts as taking; see :attr:`InteractionLog.consumed` if None.
    """

    most: int | None = None
    channel: str | None = None

    def read(self, rows: Rows) -> Steps:
        """See :class:`Reading`."""
        if self.channel is not None:
            rows.log.schema.index(self.channel)
        taken = pl.col("consumed") if self.channel is None else (pl.col(self.channel) > 0).fill_null(False)
        rows.keep_slates()
        rows.keep(taken.any().over("slate"), "in a slate that nothing was taken from")
        sizes = pl.len().over("slate")
        most = int(rows.frame.select(sizes.max()).item()) if self.most is None else self.most
        rows.keep(sizes <= most, f"in a slate of more than {most} items")
        rows.frame = rows.frame.with_columns(
            taken=taken, place=pl.int_range(pl.len(), dtype=pl.Int64).over("slate"),
            step=pl.col("slate").rle_id().cast(pl.Int64),
        )  # fmt: skip
        shown = rows.frame
        candidates = np.full((int(shown["step"].max()) + 1, most), rows.log.n_items)  # type: ignore[arg-type]
        candidates[shown["step"].to_numpy(), shown["place"].to_numpy()] = shown["item"].to_numpy()
        picks = shown.filter("taken").sort("step", "time_s", "place").unique("step", keep="first", maintain_order=True)
        later = int(shown["taken"].sum()) - picks.height
        if later:
            rows.left_out.append(LeftOut("taken from a slate after its first item", later))
        rows.frame = picks
        return rows.steps(1, picks["place"].to_numpy()[:, None], candidates)._replace(
            propensity=np.full(picks.height, np.nan)
        )


@dataclass(frozen=True)
class EventReading:
    """Every consumption is a step of one item, whether a slate explains it or not; the full catalogue is on offer."""

    def read(self, rows: Rows) -> Steps:
        """See :class:`Reading`."""
        rows.keep(pl.col("consumed"), "not consumed")
        rows.frame = rows.frame.with_columns(begin_s="time_s", end_s="time_s")
        items = rows.frame["item"].to_numpy()[:, None]
        return rows.steps(1, items, np.zeros((len(items), 0), np.int64))


def _most_common_size(frame: pl.DataFrame) -> int:
    sizes = frame.group_by("slate").len()["len"].value_counts().sort("count", "len")
    return int(sizes["len"][-1])


def _padded(lists: pl.Series, padding: int) -> Int64[np.ndarray, "n M"]:
    """Lists of items as rows of a matrix."""
    lengths = lists.list.len().cast(pl.Int64).to_numpy()
    matrix = np.full((len(lists), lengths.max()), padding)
    matrix[np.arange(matrix.shape[1]) < lengths[:, None]] = lists.explode().to_numpy()
    return matrix


def _places(slate: Int64[np.ndarray, "n K"], candidates: Int64[np.ndarray, "n M"]) -> Int64[np.ndarray, "n K"]:
    """Where each shown item stands among the candidates."""
    columns = [(candidates == slate[:, position, None]).argmax(1) for position in range(slate.shape[1])]
    return np.stack(columns, 1).astype(np.int64)
