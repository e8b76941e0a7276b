"""EB-NeRD: impressions of a Danish news site, and what each user read in the three weeks before.

Layouts: ``behaviors.parquet`` and ``history.parquet`` in one folder, or in the folders ``train`` and ``validation`` of
the public download (both are read if both are there). ``articles.parquet`` beside either gives item features.

Each article of an impression's in-view list is a row; the impression is the slate and the place in the list the
position. Channels: ``click``; ``read_time`` (s) and ``scroll`` (percent) are those of the page that the click led to, 0
for articles that were not clicked, null where unknown: the data set gives one value an impression, so it is unknown for
each of several clicks. The ``session`` is the data set's own. Reads of the history are rows without slate, session or
position, with ``click`` 1. Times are taken as UTC. Source: https://recsys.eb.dk.
"""

from datetime import datetime
from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source
from recgym.data.readers.fields import Field, channel_field, moment, parse, whole
from recgym.data.readers.text import explode, scan_parquet
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_CLICK = Channel("click", ChannelKind.BINARY)
_READ_TIME = Channel("read_time", ChannelKind.DURATION, "s")
_SCROLL = Channel("scroll", ChannelKind.RATING, "%", 0.0, 100.0)
_USER_COLUMNS = ("device_type", "is_sso_user", "gender", "postcode", "age", "is_subscriber")
_LISTS = {
    "impression_time_fixed": "time", "article_id_fixed": "item",
    "read_time_fixed": "read_time", "scroll_percentage_fixed": "scroll",
}  # fmt: skip


def read(source: Source) -> RawLog:
    """Read an EB-NeRD folder; see the module for what becomes of it.

    Raises:
        ValueError: there is no ``behaviors.parquet``, or a column is missing.
    """
    folders = [folder for folder in (source.path, source.path / "train", source.path / "validation")
               if (folder / "behaviors.parquet").is_file()]  # fmt: skip
    if not folders:
        raise ValueError(
            f"{source.path}: found no EB-NeRD impressions; expected behaviors.parquet, "
            "or train/ and validation/ with one each"
        )
    files = [folder / "behaviors.parquet" for folder in folders]
    starts = [scan_parquet(file).select(pl.col("impression_time").min()).collect().item() for file in _checked(files)]
    parts = [_impressions(file) for file in files]
    for folder in folders:
        history = folder / "history.parquet"
        if history.is_file():
            parts.append(_history(history, min(starts)))
    return RawLog(
        rows=pl.concat(parts, how="diagonal"),
        schema=FeedbackSchema((_CLICK, _READ_TIME, _SCROLL)),
        user_features=_user_features(files),
        item_features=_articles(source.path),
    )


def _checked(files: list[Path]) -> list[Path]:
    for file in files:
        names = scan_parquet(file).collect_schema().names()
        for column in ("impression_time", "article_ids_inview", "article_ids_clicked"):
            if column not in names:
                raise ValueError(
                    f"{file}: column {column!r} is missing; found {', '.join(n for n in names if n != 'line')}"
                )
    return files


def _log_fields(item: str, time: str) -> list[Field]:
    return [
        whole("user", "user_id"), whole("item", item), moment("time_s", time, "iso"),
        channel_field(_READ_TIME, "read_time"), channel_field(_SCROLL, "scroll"),
    ]  # fmt: skip


def _impressions(file: Path) -> pl.LazyFrame:
    alone = pl.col("article_ids_clicked").list.n_unique() == 1
    clicked = pl.col("article_ids_clicked").list.contains(pl.col("article_ids_inview"))

    def on_click(column: str) -> pl.Expr:
        return pl.when(~clicked).then(0.0).when(alone).then(pl.col(column))

    impressions = scan_parquet(file).drop("read_time", strict=False)
    impressions = impressions.with_columns(place=pl.int_ranges(pl.col("article_ids_inview").list.len()))
    shown = explode(impressions, ["article_ids_inview", "place"]).with_columns(
        click=clicked.cast(pl.Float32),
        read_time=on_click("next_read_time"),
        scroll=on_click("next_scroll_percentage"),
    )
    fields = [
        *_log_fields("article_ids_inview", "impression_time"), channel_field(_CLICK, "click"),
        whole("session", "session_id"), whole("slate", "impression_id"), whole("position", "place"),
    ]  # fmt: skip
    empty = {"impression without any article in view": pl.col("article_ids_inview").is_null()}
    return parse(shown, fields, file, drop=empty)


def _history(file: Path, start: datetime) -> pl.LazyFrame:
    reads = scan_parquet(file)
    names = reads.collect_schema().names()
    for column in _LISTS:
        if column not in names:
            raise ValueError(
                f"{file}: column {column!r} is missing; found {', '.join(n for n in names if n != 'line')}"
            )
    reads = explode(reads.rename(_LISTS), list(_LISTS.values()))
    # The validation part's history covers the training part's impressions, whose clicks are rows already.
    drop = {
        "user without any read in the history": pl.col("item").is_null(),
        "history read within the time of the impressions, which tell of it already": pl.col("time") >= start,
    }
    return parse(reads, _log_fields("item", "time"), file, drop=drop, extra={"click": pl.lit(1.0, dtype=pl.Float32)})


def _user_features(files: list[Path]) -> pl.LazyFrame | None:
    seen = pl.concat([scan_parquet(file) for file in files], how="diagonal_relaxed")
    columns = [name for name in _USER_COLUMNS if name in seen.collect_schema().names()]
    if not columns:
        return None
    latest = [pl.col(name).drop_nulls().last() for name in columns]
    return seen.sort("impression_time").group_by("user_id").agg(latest).rename({"user_id": "id"})


def _articles(folder: Path) -> pl.LazyFrame | None:
    for file in (folder / "articles.parquet", folder.parent / "articles.parquet"):
        if file.is_file():
            articles = scan_parquet(file).drop("line").rename({"article_id": "id"})
            schema = articles.collect_schema()
            return articles.select(name for name, dtype in schema.items() if not dtype.is_nested())
    return None
