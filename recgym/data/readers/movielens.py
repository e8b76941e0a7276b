"""MovieLens ratings: ``u.data`` (100K), ``ratings.dat`` (1M, 10M), ``ratings.csv`` (20M, latest), ``.inter``.

The layout is told by the first line of the file, so a renamed file is read too. Ratings are consumption that no slate
explains, with one channel, ``rating`` (0.5 to 5). Titles, years and genres of the films and what is known of the users
are read from the files beside the ratings where they exist. Source: https://grouplens.org/datasets/movielens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source, find_file
from recgym.data.readers.fields import channel_field, moment, parse, whole
from recgym.data.readers.text import first_line, scan_text
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_RATING = Channel("rating", ChannelKind.RATING, "stars", 0.5, 5.0)
_GENRES_100K = (
    "unknown Action Adventure Animation Children's Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
).split()  # fmt: skip


@dataclass(frozen=True)
class _Layout:
    """How a ratings file is written: separator, columns of a file without a header, and which four are meant."""

    separator: str
    names: list[str] | None
    columns: tuple[str, str, str, str]


_U_DATA = _Layout("\t", ["user", "item", "rating", "timestamp"], ("user", "item", "rating", "timestamp"))
# "::" is two separators of one character with nothing between.
_DAT = _Layout(":", ["user", "", "item", " ", "rating", "  ", "timestamp"], ("user", "item", "rating", "timestamp"))
_CSV = _Layout(",", None, ("userId", "movieId", "rating", "timestamp"))
_INTER = _Layout("\t", None, ("user_id:token", "item_id:token", "rating:float", "timestamp:float"))


def read(source: Source) -> RawLog:
    """Read a MovieLens ratings file, or the one in a folder, with the features beside it.

    Raises:
        ValueError: there is no ratings file, or a column is missing.
    """
    file = find_file(source.path, ("u.data", "ratings.dat", "ratings.csv", "*.inter"), "MovieLens ratings")
    layout = _layout(first_line(file))
    raw = scan_text(file, source.scratch, layout.separator, layout.names)
    user, item, rating, time = layout.columns
    fields = [whole("user", user), whole("item", item), moment("time_s", time, "s"), channel_field(_RATING, rating)]
    return RawLog(
        rows=parse(raw, fields, file),
        schema=FeedbackSchema((_RATING,)),
        user_features=_users(file.parent),
        item_features=_items(file.parent),
    )


def _layout(line: str) -> _Layout:
    if "::" in line:
        return _DAT
    if ":token" in line:
        return _INTER
    return _U_DATA if "\t" in line else _CSV


def _items(folder: Path) -> pl.LazyFrame | None:
    for file in sorted(folder.glob("*.item")):
        if file.name == "u.item":
            return _genres_of_flags(_lines(file, "|", ("id", "title", "released", "_video", "_url", *_GENRES_100K)))
        return _atomic(file, "item_id")
    if (folder / "movies.dat").is_file():
        return _lines(folder / "movies.dat", "::", ("id", "title", "genres"))
    if (folder / "movies.csv").is_file():
        return pl.scan_csv(folder / "movies.csv", infer_schema=False).select(
            "title", "genres", id=pl.col("movieId").cast(pl.Int64)
        )
    return None


def _users(folder: Path) -> pl.LazyFrame | None:
    for file in sorted(folder.glob("*.user")):
        if file.name == "u.user":
            return _lines(file, "|", ("id", "age", "gender", "occupation", "zip_code"))
        return _atomic(file, "user_id")
    if (folder / "users.dat").is_file():
        return _lines(folder / "users.dat", "::", ("id", "gender", "age", "occupation", "zip_code"))
    return None


def _lines(file: Path, separator: str, names: Sequence[str]) -> pl.LazyFrame:
    """A small table without a header, in Latin-1 as the older releases are."""
    rows = [line.split(separator) for line in file.read_text(encoding="latin-1").splitlines() if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(
                f"{file}: row {number} has {len(row)} fields separated by {separator!r}, expected {len(names)}"
            )
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    return frame.lazy().with_columns(pl.col("id").cast(pl.Int64, strict=False))


def _genres_of_flags(items: pl.LazyFrame) -> pl.LazyFrame:
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in _GENRES_100K]
    return items.select("id", "title", "released", genres=pl.concat_str(flags, separator="|", ignore_nulls=True))


def _atomic(file: Path, key: str) -> pl.LazyFrame:
    """A feature file whose header says the types: ``age:token``, ``movie_title:token_seq``."""
    table = pl.scan_csv(file, separator="\t", infer_schema=False, quote_char=None, encoding="utf8-lossy")
    table = table.rename(lambda name: name.split(":")[0])
    if key not in table.collect_schema():
        raise ValueError(f"{file}: column {key!r} is missing; found {', '.join(table.collect_schema().names())}")
    return table.rename({key: "id"}).with_columns(pl.col("id").cast(pl.Int64, strict=False))
