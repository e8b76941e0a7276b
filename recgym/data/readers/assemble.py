"""From the rows that a reader hands over to an interaction log: ids mapped, duplicates out, sorted, all counted."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog
from recgym.data.readers.text import explain_polars
from recgym.data.schema import InteractionLog, LeftOut

__all__ = ["Assembly"]

_KEY = ["user", "item", "time_s", "slate", "position"]
_OPTIONAL = {"session": pl.Int64, "slate": pl.Int64, "position": pl.Int32, "propensity": pl.Float64}
_DUPLICATE = "exact duplicate of another row"


class Assembly:
    """Makes logs of staged rows, all at once or user block by user block.

    What is held in memory besides one block: the distinct user and item ids with their features.

    Attributes:
        user_ids: distinct original ids of the users, sorted.
        item_ids: distinct original ids of the items, sorted.
    """

    def __init__(self, raw: RawLog, staged: pl.LazyFrame, path: Path) -> None:
        """Check the staged rows and find their ids.

        Args:
            raw: the reader's description of the log.
            staged: ``raw.rows`` with a column ``order`` (0, 1, ... over all files), in memory or in a Parquet file.
            path: where the log comes from.

        Raises:
            ValueError: a row holds a value that cannot be read, or no row is left.
        """
        self._raw, self._path = raw, path
        self._left_out: Counter[str] = Counter()
        _raise_first_problem(staged)
        dropped = staged.group_by("dropped").len().collect(engine="streaming")
        self._left_out.update(dict(dropped.filter(pl.col("dropped").is_not_null()).sort("dropped").iter_rows()))
        self._rows = staged.filter(pl.col("dropped").is_null()).drop("dropped", "problem", "found")
        counts = self._rows.group_by("user").len("rows").collect(engine="streaming")
        if counts.height == 0:
            reasons = "; ".join(f"{rows} left out: {reason}" for reason, rows in self._left_out.items())
            raise ValueError(
                f"{path}: the log is empty, at least one row was expected" + (f" ({reasons})" if reasons else "")
            )
        self._users = _number_ids(counts, "user", path)
        self._items = _number_ids(self._rows.select("item").unique().collect(engine="streaming"), "item", path)
        self.user_ids, self.item_ids = self._users["id"], self._items["id"]
        self._user_features = _align(raw.user_features, self.user_ids)
        self._item_features = _align(raw.item_features, self.item_ids)
        self._next_session = self._next_slate = 0

    def whole(self) -> InteractionLog:
        """The whole log in memory."""
        return self._log(self._piece(self._users))

    def pieces(self, rows: int) -> Iterator[InteractionLog]:
        """The log in blocks of whole users, of about ``rows`` rows or one user each.

        All blocks share the id maps. ``left_out`` counts what has been left out up to the end of that block.
        """
        block = (self._users["rows"].cum_sum() - 1) // rows
        for _, users in self._users.group_by(block.alias("block"), maintain_order=True):
            yield self._log(self._piece(users))

    def _log(self, frame: pl.DataFrame) -> InteractionLog:
        return InteractionLog(
            frame, self._raw.schema, self.user_ids, self.item_ids, self._user_features, self._item_features,
            tuple(LeftOut(reason, rows) for reason, rows in self._left_out.items() if rows), str(self._path),
            "order" if self._raw.ordered else "s", self._raw.notes,
        )  # fmt: skip

    def _piece(self, users: pl.DataFrame) -> pl.DataFrame:
        frame = (
            self._rows.join(users.lazy().select(user="raw", user_index="index"), on="user")
            .join(self._items.lazy().select(item="raw", item_index="index"), on="item")
            .drop("user", "item", "line")
            .rename({"user_index": "user", "item_index": "item"})
            .collect(engine="streaming")
        )
        frame = frame.with_columns(
            pl.lit(None, dtype=dtype).alias(name) for name, dtype in _OPTIONAL.items() if name not in frame.columns
        )
        if self._raw.ordered:
            frame = frame.sort("user", "order").with_columns(
                time_s=pl.int_range(pl.len()).over("user").cast(pl.Float64)
            )
        else:
            frame = self._without_duplicates(frame)
        return self._with_groups(frame.sort("user", "time_s", "slate", "position", "order"))

    def _without_duplicates(self, frame: pl.DataFrame) -> pl.DataFrame:
        content = [name for name in frame.columns if name != "order"]
        distinct = frame.sort("order").unique(content, keep="first", maintain_order=True)
        self._left_out[_DUPLICATE] += frame.height - distinct.height
        # Rows shown alone get a slate each, so that equal keys are different exposures.
        if self._raw.exposed_alone or not distinct.select(_KEY).is_duplicated().any():
            return distinct
        rest = [name for name in distinct.columns if name not in _KEY]
        merged = distinct.group_by(_KEY, maintain_order=True).agg(
            self._raw.merge.get(name, pl.col(name).first()).alias(name) for name in rest
        )
        self._left_out[self._raw.merge_reason] += distinct.height - merged.height
        return merged

    def _with_groups(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Number sessions and slates by their first row, so that the numbers are unique over users and pieces."""
        frame = frame.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64))
        if self._raw.exposed_alone:
            frame = frame.with_columns(slate=pl.col("row"), position=pl.col("position").fill_null(0))
        first_rows = [
            pl.when(pl.col(name).is_not_null()).then(pl.col("row").min().over("user", name)).alias(name)
            for name in ("session", "slate")
        ]
        frame = frame.with_columns(first_rows).with_columns(
            session=pl.col("session").rank("dense").cast(pl.Int64) - 1 + self._next_session,
            slate=pl.col("slate").rank("dense").cast(pl.Int64) - 1 + self._next_slate,
        )
        self._next_session = _after(frame["session"], self._next_session)
        self._next_slate = _after(frame["slate"], self._next_slate)
        names = ["user", "item", "time_s", *_OPTIONAL, *self._raw.schema.names]
        types = {"user": pl.Int64, "item": pl.Int64, "time_s": pl.Float64, **_OPTIONAL}
        return frame.select(pl.col(name).cast(types.get(name, pl.Float32)) for name in names)


def _after(ids: pl.Series, start: int) -> int:
    last = ids.max()
    return start if last is None else int(last) + 1  # type: ignore[arg-type]


def _raise_first_problem(staged: pl.LazyFrame) -> None:
    bad = (
        staged.filter(pl.col("problem").is_not_null())
        .head(1)
        .select("problem", "line", "found")
        .collect(engine="streaming")
    )
    if bad.height:
        problem, line, found = bad.row(0)
        raise ValueError(problem.replace("{line}", str(line)).replace("{found}", repr(found)))


def _number_ids(distinct: pl.DataFrame, name: str, path: Path) -> pl.DataFrame:
    """Columns ``id`` (sorted; Int64 if all are whole numbers, else text), ``raw`` (as staged), ``index``, and the rest.

    Raises:
        ValueError: all ids are whole numbers, but one does not fit 64 bits.
    """
    frame = distinct.rename({name: "raw"})
    ids = pl.col("raw")
    if frame.schema["raw"] == pl.String:
        number = frame["raw"].cast(pl.Int64, strict=False)
        if not (number.cast(pl.String) == frame["raw"]).fill_null(False).all():
            digits = frame["raw"].str.contains(r"^-?\d+$")
            if digits.all() and number.null_count():
                value = frame["raw"].filter(number.is_null())[0]
                raise ValueError(
                    f"{path}: column {name!r}: found id {value}, expected a whole number of at most 64 bits"
                )
        else:
            ids = pl.Series(number)  # type: ignore[assignment]
    return frame.with_columns(id=ids).sort("id").with_row_index("index").with_columns(pl.col("index").cast(pl.Int64))


def _align(features: pl.LazyFrame | None, ids: pl.Series) -> pl.DataFrame | None:
    """One row an id, in the order of the ids; null where nothing is known of one. None if nothing is known of any."""
    if features is None:
        return None
    known = features.collect_schema()["id"]
    keys = pl.DataFrame({"id": ids}).with_row_index("index")
    if known != ids.dtype:
        keys = keys.with_columns(pl.col("id").cast(known, strict=False))
    table = keys.lazy().join(features.unique("id", keep="first"), on="id", how="left").sort("index")
    return table.drop("index", "id").collect(engine="streaming")


def stage(raw: RawLog, path: Path, scratch: Path | None) -> pl.LazyFrame:
    """Read a reader's rows once: into memory, or through to a Parquet file in ``scratch``, in bounded memory."""
    rows = raw.rows.with_row_index("order")
    with explain_polars(path):
        if scratch is None:
            return rows.collect(engine="streaming").lazy()
        target = scratch / "staged.parquet"
        rows.sink_parquet(target)
        return pl.scan_parquet(target)
