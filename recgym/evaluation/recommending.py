"""What a fitted encoder recommends to the users of a log, in memory or larger than it."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from jaxtyping import Int64

from recgym.data import InteractionLog, consumed_events, gather_events
from recgym.data.large import ROWS
from recgym.data.pieces import Piece, log_pieces, read_piece
from recgym.encoders.fitted import FittedEncoder
from recgym.encoders.retrieval import ItemRetriever
from recgym.evaluation.encoders import with_items_of
from recgym.files import atomic_file
from recgym.workers import Workers, workers_of

__all__ = ["recommend", "recommend_saved"]

_BLOCK = 256
"""Users served at once: their whole histories, the longest of which decides how wide all are."""


def recommend(
    encoder: FittedEncoder, log: InteractionLog, users: Int64[np.ndarray, "Q"], k: int, *, repeats: bool = False
) -> Int64[np.ndarray, "Q K"]:
    """The best items for users at the end of a log.

    Args:
        encoder: recommends.
        log: over the items of the encoder, see :func:`recgym.evaluation.with_items_of`.
        users: who is asked about.
        k: items a user.
        repeats: whether items that a user has consumed may be recommended again.

    Returns:
        Item ids, the best first; N where nothing is left to recommend.

    Raises:
        ValueError: ``k`` is not between 1 and the number of items.
    """
    if not 1 <= k <= log.n_items:
        raise ValueError(f"k must be in 1..{log.n_items}, the number of items, found {k}")
    events, retriever = consumed_events(log), ItemRetriever(encoder.model, repeats=repeats)
    served = np.zeros((len(users), k), np.int64)
    for start in range(0, len(users), _BLOCK):
        chosen = users[start : start + _BLOCK]
        first, end = events.start[chosen], events.start[chosen + 1]
        # Histories as they are, of which the model takes its window: what is older has been seen all the same.
        history = gather_events(events, first, end, max(int((end - first).max()), 1), log.n_items, "cpu")
        served[start : start + _BLOCK] = retriever.retrieve(torch.tensor(chosen), history, k).numpy()
    return served


class _Setup(NamedTuple):
    """What all blocks share."""

    encoder: FittedEncoder
    folder: Path
    k: int
    repeats: bool


def recommend_saved(
    encoder: FittedEncoder,
    folder: Path | str,
    out: Path | str,
    k: int,
    *,
    repeats: bool = False,
    rows: int = ROWS,
    workers: int | Workers = 1,
) -> None:
    """Recommend to all users of a saved log that have rows, block of users by block.

    Args:
        encoder: recommends.
        folder: the saved log; workers read it themselves, so all machines must see it.
        out: Parquet file, all or nothing: a row a user with its original id, ``user``, and a list of original ids,
            ``items``, the best first.
        k: items a user, at most.
        repeats: whether items that a user has consumed may be recommended again.
        rows: of a block of users, about.
        workers: processes, or others, that share the blocks; the file does not depend on them.

    Raises:
        ValueError: the folder is not a saved log, or not of the encoder's items, or as :func:`recommend`.
    """
    pieces = log_pieces(folder, rows)
    out = Path(out)
    with tempfile.TemporaryDirectory(prefix=".recgym-", dir=out.parent) as scratch, atomic_file(out) as target:
        parts = []
        setup = _Setup(encoder, Path(folder).absolute(), k, repeats)
        for number, served in enumerate(workers_of(workers).map(_served, setup, pieces)):
            parts.append(Path(scratch) / f"{number:06d}.parquet")
            served.write_parquet(parts[-1])
        pl.scan_parquet(parts).sink_parquet(target)


def _served(setup: _Setup, piece: Piece) -> pl.DataFrame:
    log = read_piece(setup.folder, piece)
    users = log.frame["user"].unique().sort()
    known = with_items_of(log, setup.encoder)
    best = recommend(setup.encoder, known, users.to_numpy(), setup.k, repeats=setup.repeats)
    items = pl.Series("items", best)
    ids = pl.concat([known.item_ids, pl.Series([None], dtype=known.item_ids.dtype)])
    listed = pl.DataFrame({"user": log.user_ids.gather(users), "items": items}).explode("items")
    return (
        listed.with_columns(items=ids.gather(listed["items"]))
        .group_by("user", maintain_order=True)
        .agg(pl.col("items").drop_nulls())
    )
