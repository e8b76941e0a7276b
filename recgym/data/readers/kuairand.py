"""KuaiRand: exposures of short videos with many kinds of feedback (Pure, 1K, 27K, and tables with the same columns).

Each row is a video that was shown alone: it gets a slate of its own at position 0. In a folder all ``log_standard_*``
and ``log_random_*`` files are read, here or under ``data/``, with ``user_features*`` and ``video_features*`` beside
them; if there is none of those, the other tables that hold ``user_id``, ``video_id`` and ``time_ms`` are read, without
features, as ids of derived files need not be the public ones.

Time is ``time_ms`` (Unix): ``date`` and ``hourmin`` are Beijing time, and a ``timestamp`` text of derived files is UTC.
Channels: ``click``, ``like``, ``follow``, ``comment``, ``forward``, ``hate``, ``long_view``, ``profile_enter``
(binary), ``watch_time``, ``profile_stay``, ``comment_stay`` (s), as far as the file has them. A ``label`` column of
derived files says like (1) or hate (0) and stands for both. The length of the video is no feedback: it is the item
feature ``duration_s``, the median of what was logged above 0, as a share of rows logs a length of 0. Source:
https://kuairand.com.
"""

from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source
from recgym.data.readers.fields import Field, channel_field, moment, parse, whole
from recgym.data.readers.text import first_line, scan_text, sniff_separator
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_CHANNELS = {
    **{column: (Channel(name, ChannelKind.BINARY), 1.0) for column, name in {
        "is_click": "click", "is_like": "like", "is_follow": "follow", "is_comment": "comment", "is_forward": "forward",
        "is_hate": "hate", "long_view": "long_view", "is_profile_enter": "profile_enter",
    }.items()},
    **{column: (Channel(name, ChannelKind.DURATION, "s"), 1e-3) for column, name in {
        "play_time_ms": "watch_time", "profile_stay_time": "profile_stay", "comment_stay_time": "comment_stay",
    }.items()},
}  # fmt: skip
_NEEDED = ("user_id", "video_id", "time_ms")


def read(source: Source) -> RawLog:
    """Read a KuaiRand log file, or all those of a folder.

    Raises:
        ValueError: there is no log file, a column is missing, or the files of a folder differ in their feedback.
    """
    files = _log_files(source.path)
    tables = [_scan(file, source.scratch) for file in files]
    columns = [[name for name in _CHANNELS if name in table.collect_schema()] for table in tables]
    for file, found in zip(files, columns, strict=True):
        if found != columns[0]:
            raise ValueError(f"{file}: feedback columns {', '.join(found)} differ from those of {files[0]}")
    if not columns[0]:
        raise ValueError(f"{files[0]}: found no feedback column; expected some of {', '.join(_CHANNELS)}")
    public = files[0].name.startswith("log_")
    videos = _features(files[0].parent, "video", "video_id") if public else None
    lengths = _lengths(tables)
    if lengths is not None:
        videos = lengths if videos is None else videos.join(lengths, on="id", how="left")
    return RawLog(
        rows=pl.concat([_rows(table, file, columns[0]) for table, file in zip(tables, files, strict=True)]),
        schema=FeedbackSchema(tuple(_CHANNELS[name][0] for name in columns[0])),
        exposed_alone=True,
        user_features=_features(files[0].parent, "user", "user_id") if public else None,
        item_features=videos,
        notes=_notes(tables),
    )


def _log_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for folder in (path, path / "data"):
        public = sorted(file for kind in ("standard", "random") for file in folder.glob(f"log_{kind}_*"))
        if public:
            return public
    tables = sorted(file for pattern in ("*.csv*", "*.tsv*") for file in path.glob(pattern))
    derived = [file for file in tables if all(name in first_line(file) for name in _NEEDED)]
    if not derived:
        raise ValueError(
            f"{path}: found no KuaiRand log; expected log_standard_* or log_random_* files here or in data/, "
            f"or a table with the columns {', '.join(_NEEDED)}"
        )
    return derived


def _scan(file: Path, scratch: Path) -> pl.LazyFrame:
    table = scan_text(file, scratch, sniff_separator(file))
    names = table.collect_schema()
    if "label" in names and "is_like" not in names and "is_hate" not in names:
        hate = {"0": "1", "1": "0"}
        table = table.with_columns(is_like="label", is_hate=pl.col("label").replace(hate))
    return table


def _rows(table: pl.LazyFrame, file: Path, columns: list[str]) -> pl.LazyFrame:
    channels = [channel_field(*_with_source(name)) for name in columns]
    fields: list[Field] = [whole("user", "user_id"), whole("item", "video_id"), moment("time_s", "time_ms", "ms")]
    return parse(table, [*fields, *channels], file)


def _with_source(column: str) -> tuple[Channel, str, float]:
    channel, scale = _CHANNELS[column]
    return channel, column, scale


def _lengths(tables: list[pl.LazyFrame]) -> pl.LazyFrame | None:
    """The item feature ``duration_s``, or None if no file has lengths."""
    timed = [table for table in tables if "duration_ms" in table.collect_schema()]
    if not timed:
        return None
    video = pl.col("video_id").cast(pl.Int64, strict=False).alias("id")
    length = pl.col("duration_ms").cast(pl.Float64, strict=False)
    seen = pl.concat([table.select(video, duration_s=length / 1e3) for table in timed])
    return seen.filter(pl.col("duration_s") > 0).group_by("id").agg(pl.col("duration_s").median())


def _notes(tables: list[pl.LazyFrame]) -> tuple[str, ...]:
    timed = [table for table in tables if "duration_ms" in table.collect_schema()]
    if not timed:
        return ()
    zero = pl.col("duration_ms").cast(pl.Float64, strict=False) == 0
    share = pl.concat([table.select(zero=zero) for table in timed]).select(pl.col("zero").mean()).collect().item()
    if not share:
        return ()
    return (
        f"{share:.1%} of the rows log a video length of 0: do not divide watch_time by it; "
        "the item feature duration_s is the median of the lengths above 0, null where there is none",
    )


def _features(folder: Path, kind: str, key: str) -> pl.LazyFrame | None:
    """All feature files of one kind, joined; a video's tags are text, as there may be several."""
    joined: pl.LazyFrame | None = None
    for file in sorted(folder.glob(f"{kind}_features*")):
        table = pl.scan_csv(
            file, separator=sniff_separator(file), infer_schema_length=100_000, schema_overrides={"tag": pl.String}
        )
        if key not in table.collect_schema():
            raise ValueError(f"{file}: column {key!r} is missing; found {', '.join(table.collect_schema().names())}")
        table = table.rename({key: "id"}).with_columns(pl.col("id").cast(pl.Int64))
        joined = table if joined is None else joined.join(table, on="id", how="full", coalesce=True)
    return joined
