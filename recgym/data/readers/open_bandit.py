"""Open Bandit Dataset: items drawn by a known random policy on a fashion site, with the probability of each draw.

The path is one policy and campaign, such as ``random/all`` or ``bts/men``: a folder with ``all.csv`` (gzip or not) and
``item_context.csv``, or the CSV itself. Item ids of different campaigns are different items, so campaigns are never
mixed.

The data set has no user ids. Users are told only by four hashed features, which thousands of people share; joining
their rounds into one history would invent users. So each round is its own user, whose id is the number of the round in
the file, and the round's context (hashed features, affinities to the items) is that user's features. Each row is a
slate of its own; its position 1..3 (left, centre, right) becomes 0..2. Source: https://research.zozo.com/data.html.
"""

from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source
from recgym.data.readers.fields import channel_field, moment, parse, probability, whole
from recgym.data.readers.text import scan_text
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_CLICK = Channel("click", ChannelKind.BINARY)
_CAMPAIGNS = ("all", "men", "women")


def read(source: Source) -> RawLog:
    """Read one policy and campaign of the Open Bandit Dataset.

    Raises:
        ValueError: the path is not one campaign, or a column is missing.
    """
    file = _campaign(source.path)
    raw = scan_text(file, source.scratch, ",")
    fields = [
        moment("time_s", "timestamp", "iso"), whole("item", "item_id", low=0),
        whole("position", "position", low=1, shift=-1), channel_field(_CLICK, "click"),
        probability("propensity", "propensity_score"),
    ]  # fmt: skip
    number = (pl.col("line") - pl.col("line").min()).cast(pl.Int64)
    return RawLog(
        rows=parse(raw, fields, file, extra={"user": number}),
        schema=FeedbackSchema((_CLICK,)),
        exposed_alone=True,
        user_features=_contexts(raw, number),
        item_features=_items(file, source.scratch),
        notes=("the data set has no user ids: each round is a user of its own, so there are no histories",),
    )


def _campaign(path: Path) -> Path:
    if path.is_file():
        return path
    for campaign in _CAMPAIGNS:
        for ending in (".csv", ".csv.gz"):
            if (path / f"{campaign}{ending}").is_file():
                return path / f"{campaign}{ending}"
    inside = sorted(str(found.parent.relative_to(path)) for found in path.rglob("item_context.csv*"))
    hint = f"; choose one of {', '.join(inside)} in it" if inside else ""
    raise ValueError(
        f"{path}: expected one campaign of the Open Bandit Dataset, a folder with all.csv or the like{hint}"
    )


def _contexts(raw: pl.LazyFrame, number: pl.Expr) -> pl.LazyFrame | None:
    names = raw.collect_schema().names()
    hashed = [name for name in names if name.startswith("user_feature_")]
    affinities = [name for name in names if name.startswith("user-item_affinity_")]
    if not hashed and not affinities:
        return None
    return raw.select(
        number.alias("id"), *hashed, *(pl.col(name).cast(pl.Float32, strict=False) for name in affinities)
    )


def _items(file: Path, scratch: Path) -> pl.LazyFrame | None:
    for context in sorted(file.parent.glob("item_context.csv*")):
        table = scan_text(context, scratch, ",")
        features = [name for name in table.collect_schema().names() if name.startswith("item_feature_")]
        first = [pl.col(name).cast(pl.Float64, strict=False) for name in features[:1]]
        return table.select(pl.col("item_id").cast(pl.Int64, strict=False).alias("id"), *first, *features[1:])
    return None
