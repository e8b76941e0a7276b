"""RetailRocket: what the visitors of a shop looked at, put into the cart and bought.

The path is ``events.csv`` (timestamp in ms, visitorid, event, itemid, transactionid), or a folder that holds it. Each
event is a row with 1 in its channel, ``view``, ``addtocart`` or ``transaction``, and 0 in the others; events of one
visitor, item and millisecond are one row. Source: https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset.
"""

import polars as pl

from recgym.data.readers.base import RawLog, Source, find_file
from recgym.data.readers.fields import Convert, DataType, Field, moment, parse, whole
from recgym.data.readers.text import scan_text
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_EVENTS = ("view", "addtocart", "transaction")


def read(source: Source) -> RawLog:
    """Read RetailRocket's events.

    Raises:
        ValueError: there is no ``events.csv``, or a column is missing.
    """
    file = find_file(source.path, ("events.csv", "events.csv.gz"), "RetailRocket events")
    raw = scan_text(file, source.scratch, ",")
    events = [Field(name, "event", _is(name), f"one of {', '.join(_EVENTS)}") for name in _EVENTS]
    fields = [whole("user", "visitorid"), whole("item", "itemid"), moment("time_s", "timestamp", "ms"), *events]
    return RawLog(
        rows=parse(raw, fields, file),
        schema=FeedbackSchema(tuple(Channel(name, ChannelKind.BINARY) for name in _EVENTS)),
        merge={name: pl.col(name).max() for name in _EVENTS},
        merge_reason="another event of the same visitor, item and millisecond; the events were joined into one row",
    )


def _is(name: str) -> Convert:
    def convert(raw: pl.Expr, dtype: DataType) -> pl.Expr:
        return pl.when(raw.is_in(_EVENTS)).then((raw == name).cast(pl.Float32))

    return convert
