"""Fitting a sequence encoder to a log: trained on one part, the best epoch chosen on a second, judged on a third."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recgym.data import InteractionLog, LeftOut
from recgym.encoders import Catalogue, Epoch, NextItemModel, Sequences, fit, seeded
from recgym.encoders.fit import Team
from recgym.encoders.fitted import FittedEncoder, ModelConfig
from recgym.evaluation.ranking import (
    RankingProtocol,
    RankingQueries,
    evaluate_ranking,
    leave_one_out_queries,
    time_split_queries,
)
from recgym.seeding import make_generator

__all__ = ["EncoderSplit", "encoder_split", "fit_encoder", "with_items_of"]

_TAIL = 0.1


@dataclass(frozen=True)
class EncoderSplit:
    """A log in three parts.

    Attributes:
        train: what encoders are trained on.
        validation: queries by which the best epoch is chosen.
        test: queries that nothing is chosen by.
    """

    train: InteractionLog
    validation: RankingQueries
    test: RankingQueries


def encoder_split(log: InteractionLog, by_time: bool = False, test_fraction: float = 0.2) -> EncoderSplit:
    """Cut a log for training and judging encoders.

    Args:
        log: the log.
        by_time: cut at one moment for all users, and the part before it once more for validation; otherwise
            leave-one-out: each user's last consumption is tested on, the one before validates.
        test_fraction: of a cut by time.

    Raises:
        ValueError: the log cannot be cut so.
    """
    if not by_time:
        return EncoderSplit(*leave_one_out_queries(log))
    outer = time_split_queries(log, test_fraction)
    inner = time_split_queries(outer.train, _TAIL)
    return EncoderSplit(inner.train, inner.test, outer.test)


def fit_encoder(
    name: str,
    config: ModelConfig,
    split: EncoderSplit,
    seed: int,
    *,
    protocol: Callable[[RankingQueries], RankingProtocol] = RankingQueries.protocol,
    validation_queries: int = 5000,
    progress: Callable[[Epoch], None] | None = None,
    team: Team | None = None,
) -> tuple[FittedEncoder, tuple[Epoch, ...]]:
    """Train an encoder; the epoch of the best NDCG@10 on the validation queries is kept.

    Args:
        name: of the settings, in :data:`recgym.encoders.MODELS`.
        config: the settings.
        split: of :func:`encoder_split`.
        seed: root seed of the first weights, the order of batches, negatives and dropout.
        protocol: how validation queries are to be answered; full ranking with seen items masked by default.
        validation_queries: how many of the validation queries are asked after an epoch, drawn once.
        progress: called after each epoch.
        team: other processes that call this with the same arguments; they end with the same encoder.

    Returns:
        The encoder, and what each epoch achieved.
    """
    sequences = Sequences.from_log(split.train)
    catalogue = Catalogue.of(sequences)
    with seeded(seed, "encoder weights"):
        model = config.build(catalogue)
    asked = split.validation
    if len(asked) > validation_queries:
        draw = make_generator(seed, "validation queries", device="numpy")
        assert isinstance(draw, np.random.Generator)
        rows = np.sort(draw.choice(len(asked), validation_queries, replace=False))
        asked = asked.take(rows, f"{validation_queries} drawn")

    def validate(candidate: NextItemModel) -> float:
        return evaluate_ranking(candidate, asked, protocol(asked), ks=(10,)).means()["ndcg@10"]

    epochs = fit(model, sequences, config.stages(catalogue), seed, validate, progress, team)
    log = split.train
    return FittedEncoder(name, config, catalogue, model, log.item_ids, log.schema.names), epochs


def with_items_of(log: InteractionLog, encoder: FittedEncoder) -> InteractionLog:
    """A log over the catalogue of an encoder, so that it can be asked about behaviour that it was not fitted to.

    Args:
        log: any log of the same kind of items.
        encoder: whose item ids count.

    Returns:
        The rows whose items the encoder knows; what was left out is counted in ``left_out``.

    Raises:
        ValueError: the ids are of another type, none of the items is known, or a feedback channel is missing.
    """
    ours, theirs = encoder.item_ids, log.item_ids
    if ours.dtype != theirs.dtype:
        raise ValueError(f"{log.source}: item ids have type {theirs.dtype}, the encoder was fitted to {ours.dtype}")
    if log.schema.names != encoder.channels:
        raise ValueError(
            f"{log.source}: found the feedback channels {', '.join(log.schema.names)}, the encoder was fitted to "
            f"{', '.join(encoder.channels)}"
        )
    if ours.equals(theirs):
        return log
    known = pl.DataFrame({"id": ours}).with_row_index("item").with_columns(pl.col("item").cast(pl.Int64))
    mapping = pl.DataFrame({"id": theirs}).join(known, on="id", how="left", maintain_order="left")["item"]
    frame = log.frame.with_columns(item=mapping.gather(log.frame["item"]))
    kept = frame.filter(pl.col("item").is_not_null())
    if kept.height == 0:
        raise ValueError(f"{log.source}: the encoder knows none of the {log.n_items} items of this log")
    left_out = log.left_out
    if kept.height < frame.height:
        left_out = (*left_out, LeftOut("items that the encoder does not know", frame.height - kept.height))
    return InteractionLog(
        kept, log.schema, log.user_ids, ours, log.user_features, None, left_out, log.source, log.time_unit, log.notes
    )
