"""Fitting encoders to logs: parts that do not overlap, the best epoch kept, other logs of the same items."""

import numpy as np
import polars as pl
import pytest

from recgym.data import InteractionLog, markov_log, random_transitions
from recgym.encoders import FitConfig, SASRecConfig
from recgym.evaluation import encoder_split, evaluate_ranking, fit_encoder, with_items_of

_CONFIG = SASRecConfig(width=16, blocks=1, window=8, fit=FitConfig(epochs=8, batch_size=32, step_size=1e-2))


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return markov_log(120, 12, random_transitions(30, 3, seed=0), seed=0)


@pytest.mark.parametrize("by_time", [False, True])
def test_nothing_that_is_asked_for_is_trained_on(log: InteractionLog, by_time: bool) -> None:
    split = encoder_split(log, by_time)
    trained = split.train.frame.group_by("user").len()
    lengths = dict(zip(trained["user"], trained["len"], strict=True))
    for queries in (split.validation, split.test):
        first = queries.events.start[queries.users]
        for user, asked_at, begin in zip(queries.users, queries.end, first, strict=True):
            assert asked_at - begin >= lengths.get(int(user), 0)  # what is asked for comes after all of training
    assert split.validation.query_time_s.max() <= split.test.query_time_s.max()


def test_the_best_epoch_is_kept(log: InteractionLog) -> None:
    split = encoder_split(log)
    encoder, epochs = fit_encoder("sasrec", _CONFIG, split, 0, validation_queries=1000)
    found = evaluate_ranking(encoder.model, split.validation, ks=(10,)).means()["ndcg@10"]
    best = max(epoch.validation for epoch in epochs if epoch.validation is not None)
    assert found == pytest.approx(best)
    assert [epoch.validation for epoch in epochs if epoch.best][-1] == best


def test_validation_may_ask_a_part_of_the_queries(log: InteractionLog) -> None:
    split = encoder_split(log)
    encoder, epochs = fit_encoder("sasrec", _CONFIG, split, 0, validation_queries=30)
    values = {round(epoch.validation * 30, 6) for epoch in epochs if epoch.validation is not None}
    assert len(values) > 1
    assert encoder.model.num_items == 30


def test_items_are_matched_by_their_ids(log: InteractionLog) -> None:
    encoder, _ = fit_encoder("sasrec", _CONFIG, encoder_split(log), 0)
    turned = InteractionLog(
        log.frame.with_columns(item=29 - pl.col("item")), log.schema, log.user_ids, log.item_ids.reverse(),
        source="turned", time_unit=log.time_unit,
    )  # fmt: skip
    back = with_items_of(turned, encoder)
    assert back.frame["item"].equals(log.frame["item"])
    assert np.array_equal(back.item_ids.to_numpy(), encoder.item_ids.to_numpy())
    with pytest.raises(ValueError, match="item ids have type String, the encoder was fitted to Int64"):
        with_items_of(
            InteractionLog(log.frame, log.schema, log.user_ids, log.item_ids.cast(pl.String), source="turned"), encoder
        )
