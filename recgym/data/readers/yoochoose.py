"""Yoochoose (RecSys Challenge 2015): clicks and purchases of anonymous shop sessions.

Layouts: ``yoochoose-clicks.dat`` and, if it is there, ``yoochoose-buys.dat`` (no header; session, ISO time, item, ...),
or tables with the header ``SessionId ItemId Time`` (Unix seconds), tab-separated, as session-based recommendation uses
them. In a folder all of them are read. There are no users: each session is one. Channels: ``click``, and ``buy`` where
purchases are read. Source: https://recsys.acm.org/recsys15/challenge.
"""

from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source
from recgym.data.readers.fields import constant, identifier, moment, parse, whole
from recgym.data.readers.text import first_line, scan_text, sniff_separator
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_CLICK, _BUY = Channel("click", ChannelKind.BINARY), Channel("buy", ChannelKind.BINARY)
_NAMES = {
    "clicks": ["SessionId", "Time", "ItemId", "Category"],
    "buys": ["SessionId", "Time", "ItemId", "Price", "Quantity"],
}


def read(source: Source) -> RawLog:
    """Read a Yoochoose file, or all those of a folder.

    Raises:
        ValueError: there is no such file, or a column is missing.
    """
    files = [source.path] if source.path.is_file() else _files(source.path)
    with_buys = any("buys" in file.name for file in files)
    return RawLog(
        rows=pl.concat([_rows(file, source.scratch, with_buys) for file in files]),
        schema=FeedbackSchema((_CLICK, _BUY) if with_buys else (_CLICK,)),
        merge={"click": pl.col("click").max(), "buy": pl.col("buy").max()} if with_buys else {},
        notes=("the data set has no users: each session is a user of its own",),
    )


def _files(folder: Path) -> list[Path]:
    for patterns in (("yoochoose-clicks.dat*", "yoochoose-buys.dat*"), ("*.tsv*", "rsc15_train_full*", "rsc15_test*")):
        found = [file for pattern in patterns for file in sorted(folder.glob(pattern))]
        if found:
            return found
    raise ValueError(
        f"{folder}: found no Yoochoose log; expected yoochoose-clicks.dat, or tables SessionId, ItemId, Time"
    )


def _rows(file: Path, scratch: Path, with_buys: bool) -> pl.LazyFrame:
    bought = "buys" in file.name
    if first_line(file).lower().startswith("sessionid"):
        raw, unit = scan_text(file, scratch, sniff_separator(file)), "s"
    else:
        raw, unit = scan_text(file, scratch, ",", _NAMES["buys" if bought else "clicks"]), "iso"
    fields = [
        whole("user", "SessionId"), whole("item", "ItemId"), moment("time_s", "Time", unit),
        identifier("session", "SessionId"),
    ]  # fmt: skip
    channels = {"click": constant(float(not bought))} | ({"buy": constant(float(bought))} if with_buys else {})
    return parse(raw, fields, file, extra=channels)
