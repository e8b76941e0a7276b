"""How a ranking was measured: what explains more of a published number than the model does."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl

from recgym.data import InteractionLog

__all__ = ["NegativeLaw", "RankingProtocol", "SampledNegatives", "SeenItems", "TIE_RULE", "log_digest"]

TIE_RULE = "ties count against the model"


class SeenItems(StrEnum):
    """What becomes of items that the user consumed before.

    ``MASKED``: they are no candidates. A target that was seen before stays one all the same, so that every query has an
    answer; it then competes with unseen items alone, which flatters it. ``KEPT``: they are candidates like all others,
    as they should be where people come back to what they know.
    """

    MASKED = "masked"
    KEPT = "kept"


class NegativeLaw(StrEnum):
    """How sampled negatives are drawn: each item alike, or in proportion to how often it was consumed in training."""

    UNIFORM = "uniform"
    POPULARITY = "popularity"


@dataclass(frozen=True)
class SampledNegatives:
    """Rank the targets among a few drawn items instead of the whole catalogue.

    Cheap where a catalogue is huge, but not consistent with full ranking: metrics of sampled candidates can order two
    models the other way round (Krichene and Rendle, On Sampled Metrics for Item Recommendation, KDD 2020). Reports say
    so.

    Attributes:
        count: negatives a query, drawn without replacement from the items that are neither targets nor masked.
        law: how they are drawn.
        seed: decides the draw; queries and seed alike give the same negatives to every model.
    """

    count: int = 100
    law: NegativeLaw = NegativeLaw.UNIFORM
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"at least one sampled negative is needed, found {self.count}")


@dataclass(frozen=True)
class RankingProtocol:
    """All that two numbers must share before they can be compared.

    Ties always count against the model: a target stands behind every other candidate of the same score.

    Attributes:
        data: :func:`log_digest` of the log after all preprocessing.
        split: which queries, in words.
        candidates: None for the whole catalogue (full ranking).
        seen: what becomes of items that the user consumed before.
        query_time_visible: whether the recommender is told when the next item is asked for.
    """

    data: str
    split: str
    candidates: SampledNegatives | None = None
    seen: SeenItems = SeenItems.MASKED
    query_time_visible: bool = False

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        sampled = self.candidates
        return {
            "data": self.data,
            "split": self.split,
            "candidates": "all" if sampled is None else {
                "sampled_negatives": sampled.count, "law": sampled.law.value, "seed": sampled.seed,
                "consistent_with_full_ranking": False,
            },
            "seen_items": self.seen.value,
            "ties": TIE_RULE,
            "query_time_visible": self.query_time_visible,
        }  # fmt: skip

    def digest(self) -> str:
        """Twelve hexadecimal digits that differ wherever the protocols do."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def log_digest(log: InteractionLog) -> str:
    """Sixteen hexadecimal digits of a log's rows, in their order, and of its id maps; the same on every machine.

    Where a log came from, what is noted about it and the features of users and items do not count.
    """
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)

    add(log.time_unit, json.dumps(log.schema.to_json()))
    for name in sorted(log.frame.columns):
        add(name, *_column_bytes(log.frame[name]))
    for ids in (log.user_ids, log.item_ids):
        words = ids.cast(pl.String).fill_null("")
        add(_little(words.str.len_bytes().cast(pl.Int64)), "".join(words.to_list()))
    return digest.hexdigest()[:16]


def _column_bytes(column: pl.Series) -> tuple[bytes, ...]:
    if column.null_count() == len(column):
        return (b"nothing",)
    if column.null_count() == 0:
        return (_little(column),)
    return (np.packbits(column.is_null().to_numpy()).tobytes(), _little(column.fill_null(0)))


def _little(column: pl.Series) -> bytes:
    values: np.ndarray = column.to_numpy()
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
