"""Sequence files: ``user item`` on each line, or ``user item item ...``, in the order of events, gzip or not.

Both are the same rule, so nothing has to be detected: the first word of a line is the user, each further word an item
that the user consumed next; a user may have any number of lines. There are no times and no feedback: ``time_s`` is the
place in the user's sequence (0, 1, ...), and the one channel ``event`` is 1.
"""

import polars as pl

from recgym.data.readers.base import RawLog, Source, find_file
from recgym.data.readers.fields import constant, identifier, parse
from recgym.data.readers.text import explode, scan_text
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]


def read(source: Source) -> RawLog:
    """Read a sequence file, or the only one (``*.txt``, ``*.txt.gz``) of a folder.

    Raises:
        ValueError: there is no such file, or a folder holds several.
    """
    if source.path.is_dir() and len(found := sorted(source.path.glob("*.txt*"))) > 1:
        raise ValueError(
            f"{source.path}: found several sequence files, expected one of {', '.join(f.name for f in found)}"
        )
    file = find_file(source.path, ("*.txt", "*.txt.gz"), "sequence file")
    # A separator that never occurs makes each line one field.
    lines = scan_text(file, source.scratch, "\x1f", ["text"])
    words = pl.col("text").str.replace_all(r"[ \t\r]+", " ").str.strip_chars(" ").str.split(" ")
    split = lines.select("line", words=words).select(
        "line", user=pl.col("words").list.first(), item=pl.col("words").list.slice(1)
    )
    raw = explode(split, ["item"])
    blank = {"blank line": pl.col("user").is_null() | (pl.col("user") == "")}
    rows = parse(
        raw, [identifier("user", "user"), identifier("item", "item")], file, drop=blank, extra={"event": constant(1.0)}
    )
    return RawLog(rows=rows, schema=FeedbackSchema((Channel("event", ChannelKind.BINARY),)), ordered=True)
