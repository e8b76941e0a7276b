"""The interaction log: what was shown to whom, when, and how they answered."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import polars as pl

from recgym.files import atomic_folder, read_json, write_json

__all__ = ["Channel", "ChannelKind", "FeedbackSchema", "InteractionLog", "LeftOut"]


class ChannelKind(StrEnum):
    """How the values of a feedback channel are to be read.

    ``BINARY`` is 0 or 1; ``COUNT`` is 0, 1, 2, ...; ``DURATION`` is a non-negative real; ``RATING`` is a bounded real.
    """

    BINARY = "binary"
    COUNT = "count"
    DURATION = "duration"
    RATING = "rating"


@dataclass(frozen=True)
class Channel:
    """One kind of feedback.

    Attributes:
        name: lower-case word, such as ``click`` or ``watch_time``.
        kind: how values are to be read.
        unit: such as ``s``; empty for none.
        low: smallest legal value.
        high: largest legal value; infinity where there is none.
    """

    name: str
    kind: ChannelKind
    unit: str = ""
    low: float = 0.0
    high: float = float("inf")

    def __post_init__(self) -> None:
        if self.kind is ChannelKind.BINARY and self.high == float("inf"):
            object.__setattr__(self, "high", 1.0)
        if not self.name.isidentifier():
            raise ValueError(f"channel name {self.name!r} is not a word of letters, digits and underscores")
        if self.name in _COLUMNS:
            raise ValueError(f"channel name {self.name!r} is taken by a column of the log: {', '.join(_COLUMNS)}")
        if not self.low < self.high:
            raise ValueError(f"channel {self.name!r}: low must be below high, found low={self.low}, high={self.high}")


@dataclass(frozen=True)
class FeedbackSchema:
    """The feedback channels of a log or user model, in the order of the last axis F of every feedback array."""

    channels: tuple[Channel, ...]

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a feedback schema needs at least one channel and no name twice, found {list(names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names in order."""
        return tuple(channel.name for channel in self.channels)

    def __len__(self) -> int:
        return len(self.channels)

    def index(self, name: str) -> int:
        """Position of a channel on the axis F.

        Raises:
            ValueError: there is no such channel; the sentence names those there are.
        """
        if name not in self.names:
            raise ValueError(f"there is no feedback channel {name!r}; there are: {', '.join(self.names)}")
        return self.names.index(name)

    def to_json(self) -> list[dict[str, Any]]:
        """A value that JSON can hold; an infinite bound becomes null."""
        return [
            {
                "name": c.name, "kind": c.kind.value, "unit": c.unit,
                "low": None if c.low == -float("inf") else c.low,
                "high": None if c.high == float("inf") else c.high,
            }
            for c in self.channels
        ]  # fmt: skip

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> "FeedbackSchema":
        """The inverse of :meth:`to_json`."""
        return cls(
            tuple(
                Channel(
                    name=c["name"], kind=ChannelKind(c["kind"]), unit=c["unit"],
                    low=-float("inf") if c["low"] is None else c["low"],
                    high=float("inf") if c["high"] is None else c["high"],
                )
                for c in value
            )
        )  # fmt: skip


@dataclass(frozen=True)
class LeftOut:
    """Rows of the source that are not in the log, and why."""

    reason: str
    rows: int


_COLUMNS = {
    "user": pl.Int64,
    "item": pl.Int64,
    "time_s": pl.Float64,
    "session": pl.Int64,
    "slate": pl.Int64,
    "position": pl.Int32,
    "propensity": pl.Float64,
}
_KEY = ("user", "time_s", "slate", "position", "item")


@dataclass(frozen=True)
class InteractionLog:
    """A validated, frozen log of user behaviour, sorted by user and time.

    One row is one item that one user saw or consumed. Rows that share a slate were shown together; a row without a
    slate is consumption that no slate explains (an organic read, a purchase): history, not an exposure.

    Columns of ``frame``: ``user`` and ``item`` (Int64, ``0..n-1``), ``time_s`` (Float64, seconds, or the order of
    events where ``time_unit`` is ``"order"``), ``session`` (Int64, unique over users, null if unknown), ``slate``
    (Int64, unique over users, null for organic rows), ``position`` (Int32 from 0, null where unknown), ``propensity``
    (Float64 in (0, 1], null where not logged), then one Float32 column a feedback channel (null where that feedback was
    not observed).

    Attributes:
        frame: the rows.
        schema: the feedback channels.
        user_ids: original id of user ``i`` at row ``i``.
        item_ids: original id of item ``i`` at row ``i``.
        user_features: one row a user in the order of ``user_ids``, or None.
        item_features: one row an item in the order of ``item_ids``, or None.
        left_out: rows of the source that were dropped, with the reason.
        source: the file, folder or environment that the log came from.
        time_unit: ``"s"`` or ``"order"``.
        notes: what one should know before trusting the rows, one sentence each.
    """

    frame: pl.DataFrame
    schema: FeedbackSchema
    user_ids: pl.Series
    item_ids: pl.Series
    user_features: pl.DataFrame | None = None
    item_features: pl.DataFrame | None = None
    left_out: tuple[LeftOut, ...] = ()
    source: str = "memory"
    time_unit: Literal["s", "order"] = "s"
    notes: tuple[str, ...] = ()
    _validated: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self._validated:
            self._validate()
            object.__setattr__(self, "_validated", True)

    @property
    def n_users(self) -> int:
        """Users in the id map, whether or not they have rows."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Items in the id map (N), whether or not they have rows."""
        return len(self.item_ids)

    @property
    def n_rows(self) -> int:
        """Rows of the log."""
        return self.frame.height

    @property
    def has_slates(self) -> bool:
        """Whether any row says what was shown together; without it nothing is known of what users passed over."""
        return self.frame["slate"].null_count() < self.n_rows

    def with_frame(self, frame: pl.DataFrame) -> "InteractionLog":
        """The same maps and schema over other rows, as when a log is split."""
        return InteractionLog(
            frame, self.schema, self.user_ids, self.item_ids, self.user_features, self.item_features,
            self.left_out, self.source, self.time_unit, self.notes,
        )  # fmt: skip

    @property
    def consumed(self) -> pl.Series:
        """Which rows the user consumed: any feedback channel above 0, or no slate that explains the row. Boolean."""
        answered = pl.any_horizontal([pl.col(name) > 0 for name in self.schema.names]).fill_null(False)
        return self.frame.select(consumed=pl.col("slate").is_null() | answered)["consumed"]

    def save(self, folder: Path | str) -> None:
        """Write the log as a folder of Parquet files and one JSON file, all or nothing."""
        with atomic_folder(Path(folder), "log.json") as temporary:
            self.frame.write_parquet(temporary / "rows.parquet")
            self.save_maps(temporary)

    def save_maps(self, folder: Path) -> None:
        """Write all but the rows into an existing folder, for a log whose rows are written piece by piece."""
        pl.DataFrame({"id": self.user_ids}).write_parquet(folder / "users.parquet")
        pl.DataFrame({"id": self.item_ids}).write_parquet(folder / "items.parquet")
        for name in ("user_features", "item_features"):
            features: pl.DataFrame | None = getattr(self, name)
            if features is not None:
                features.write_parquet(folder / f"{name}.parquet")
        write_json(
            folder / "log.json",
            {
                "format": "recgym-log",
                "version": 1,
                "channels": self.schema.to_json(),
                "left_out": [[entry.reason, entry.rows] for entry in self.left_out],
                "source": self.source,
                "time_unit": self.time_unit,
                "notes": list(self.notes),
            },
        )

    @classmethod
    def load(cls, folder: Path | str, rows: pl.DataFrame | None = None) -> "InteractionLog":
        """Read a folder written by :meth:`save`.

        Args:
            folder: the saved log.
            rows: some of its rows, if not all are wanted in memory.

        Raises:
            ValueError: the folder is not a saved log, or its rows break the rules of the class.
        """
        folder = Path(folder)
        meta = read_json(folder / "log.json")
        if not isinstance(meta, dict) or meta.get("format") != "recgym-log":
            raise ValueError(f"{folder / 'log.json'} does not describe a saved recgym log")

        def read(name: str) -> pl.DataFrame:
            try:
                return pl.read_parquet(folder / f"{name}.parquet")
            except (OSError, pl.exceptions.PolarsError) as error:
                raise ValueError(f"{folder / name}.parquet is not readable as Parquet: {error}") from error

        def optional(name: str) -> pl.DataFrame | None:
            return read(name) if (folder / f"{name}.parquet").exists() else None

        return cls(
            read("rows") if rows is None else rows, FeedbackSchema.from_json(meta["channels"]),
            read("users")["id"], read("items")["id"],
            optional("user_features"), optional("item_features"),
            tuple(LeftOut(reason, rows) for reason, rows in meta["left_out"]), meta["source"], meta["time_unit"],
            tuple(meta.get("notes", ())),
        )  # fmt: skip

    def _validate(self) -> None:
        wanted = {**_COLUMNS, **{name: pl.Float32 for name in self.schema.names}}
        for name, dtype in wanted.items():
            if name not in self.frame.columns:
                raise ValueError(f"{self.source}: column {name!r} is missing; found {', '.join(self.frame.columns)}")
            if self.frame.schema[name] != dtype:
                raise ValueError(f"{self.source}: column {name!r} has type {self.frame.schema[name]}, expected {dtype}")
        extra = set(self.frame.columns) - set(wanted)
        if extra:
            raise ValueError(f"{self.source}: columns {sorted(extra)} are neither log columns nor feedback channels")
        if self.frame.height == 0:
            raise ValueError(f"{self.source}: the log is empty, at least one row was expected")
        for name, count in (("user", self.n_users), ("item", self.n_items)):
            self._check_rows(
                pl.col(name).is_null() | ~pl.col(name).is_between(0, count - 1), name, f"an id in 0..{count - 1}"
            )
        self._check_rows(pl.col("time_s").is_null() | ~pl.col("time_s").is_finite(), "time_s", "a finite time")
        self._check_rows(
            pl.col("propensity").is_not_null() & ~((pl.col("propensity") > 0) & (pl.col("propensity") <= 1)),
            "propensity", "a probability above 0 and at most 1, or nothing",
        )  # fmt: skip
        self._validate_feedback()
        self._validate_order()
        self._validate_features()

    def _validate_feedback(self) -> None:
        for channel in self.schema.channels:
            column = pl.col(channel.name)
            legal = column.is_finite() & (column >= channel.low) & (column <= channel.high)
            expected = f"a finite number in [{channel.low:g}, {channel.high:g}]"
            if channel.kind in (ChannelKind.BINARY, ChannelKind.COUNT):
                legal &= column == column.floor()
                expected = (
                    "0 or 1" if channel.kind is ChannelKind.BINARY else f"a whole number, {channel.low:g} or more"
                )
            self._check_rows(column.is_not_null() & ~legal, channel.name, expected)

    def _validate_order(self) -> None:
        previous_user, user = pl.col("user").shift(1), pl.col("user")
        backwards = (user < previous_user) | ((user == previous_user) & (pl.col("time_s") < pl.col("time_s").shift(1)))
        self._check_rows(backwards.fill_null(False), "time_s", "rows sorted by user and then by time")
        if self.frame.select(_KEY).is_duplicated().any():
            row = self.frame.with_row_index("row").filter(pl.struct(_KEY).is_duplicated()).row(1, named=True)
            raise ValueError(
                f"{self.source}: row {row['row']} repeats user {row['user']}, item {row['item']} "
                f"at time {row['time_s']:g} in the same slate and position; each such row was expected once"
            )

    def _validate_features(self) -> None:
        for name, features, count in (
            ("user_features", self.user_features, self.n_users),
            ("item_features", self.item_features, self.n_items),
        ):
            if features is not None and features.height != count:
                raise ValueError(f"{self.source}: {name} has {features.height} rows, expected {count}, one an id")

    def _check_rows(self, bad: pl.Expr, column: str, expected: str) -> None:
        found = self.frame.with_row_index("row").filter(bad).select("row", column).head(1)
        if found.height:
            row, value = found.row(0)
            raise ValueError(f"{self.source}: row {row}, column {column!r}: found {value}, expected {expected}")
