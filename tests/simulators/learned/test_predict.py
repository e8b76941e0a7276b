from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recgym.data import FeedbackSchema, InteractionLog, split_each_user
from recgym.simulators.learned import Predictions, fit, predict
from tests.simulators.learned.known import SMALL, fitted, known, plain_log


def held_out() -> pl.DataFrame:
    return known().log.frame.filter(pl.col("time_s") > fitted().facts.end_time)


def with_click_flipped(slate: int) -> InteractionLog:
    """The log with other feedback on every item of one slate."""
    here = pl.col("slate") == slate
    frame = known().log.frame.with_columns(
        click=pl.when(here).then(1 - pl.col("click")).otherwise(pl.col("click")),
        watch=pl.when(here).then(50.0 * (1 - pl.col("click"))).otherwise(pl.col("watch")).cast(pl.Float32),
        stars=pl.when(here).then(2.0).otherwise(pl.col("stars")).cast(pl.Float32),
    )
    return known().log.with_frame(frame)


def test_feedback_at_a_step_touches_only_what_comes_after_it() -> None:
    frame = held_out()
    session = (
        frame.group_by("session").agg(steps=pl.col("slate").n_unique()).filter(pl.col("steps") >= 3)["session"].min()
    )
    slate = frame.filter(pl.col("session") == session)["slate"].unique().sort()[1]
    at = frame.filter(pl.col("slate") == slate)["time_s"][0]
    before, after = predict(fitted(), known().log), predict(fitted(), with_click_flipped(slate))
    earlier = (frame["time_s"] <= at).to_numpy()
    np.testing.assert_array_equal(before.positive[earlier], after.positive[earlier])
    np.testing.assert_array_equal(before.mean[earlier], after.mean[earlier])
    own = ((frame["session"] == session) & (frame["time_s"] > at)).to_numpy()
    assert own.any()
    assert np.abs(before.positive[own] - after.positive[own]).max() > 1e-4, "earlier held-out steps are history"


def test_only_rows_after_the_end_of_the_fit_are_evaluated() -> None:
    found = predict(fitted(), known().log)
    assert found.labels.shape[0] == held_out().height
    assert found.history_rows == known().log.n_rows - held_out().height


def test_a_later_log_alone_is_used_whole_and_items_are_known_from_the_fit() -> None:
    later = known().log.with_frame(held_out())
    found, reference = predict(fitted(), later), predict(fitted(), known().log)
    assert found.history_rows == 0
    assert found.labels.shape == reference.labels.shape
    # Only the users' own past is missing: item contexts and embeddings are the same.
    assert np.corrcoef(found.positive[:, 0], reference.positive[:, 0])[0, 1] > 0.95


def test_items_and_users_are_matched_by_their_original_ids() -> None:
    log = known().log
    order = np.random.default_rng(0).permutation(log.n_items)
    back = np.argsort(order)
    frame = log.frame.with_columns(item=pl.Series(back[log.frame["item"].to_numpy()]))
    renumbered = replace(log.with_frame(frame), item_ids=log.item_ids.gather(order))
    first, second = predict(fitted(), log), predict(fitted(), renumbered)
    np.testing.assert_allclose(first.positive, second.positive, atol=1e-6)


def test_unknown_items_and_users_are_predicted_too() -> None:
    log = known().log
    strange = replace(
        log.with_frame(held_out()), item_ids=pl.Series([f"new{i}" for i in range(log.n_items)]),
        user_ids=pl.Series([f"new{i}" for i in range(log.n_users)]), user_features=None,
    )  # fmt: skip
    found = predict(fitted(), strange)
    assert np.isfinite(found.positive).all()
    popularity = found.baselines["popularity"][:, 0]
    assert np.allclose(popularity, popularity[0]), "unknown items have no popularity of their own"


def test_a_later_log_without_any_feedback_is_predicted_too() -> None:
    silent = held_out().with_columns(pl.col("click", "watch") * 0, stars=pl.lit(None, dtype=pl.Float32))
    found = predict(fitted(), known().log.with_frame(silent))
    assert found.labels.shape[0] == silent.height
    assert np.isfinite(found.positive).all()


def test_order_logs_are_cut_user_by_user() -> None:
    log = plain_log(timed=False)
    simulator = fit(split_each_user(log, 0.5).train, SMALL, seed=0)
    found: Predictions = predict(simulator, log)
    assert found.labels[:, 0].sum() == 60 * 15


def test_logs_that_do_not_fit_are_refused() -> None:
    log = known().log
    fewer = InteractionLog(
        log.frame.drop("watch", "stars"), FeedbackSchema(log.schema.channels[:1]), log.user_ids, log.item_ids
    )
    with pytest.raises(ValueError, match=r"\['watch', 'stars'\] of the simulator are missing"):
        predict(fitted(), fewer)
    with pytest.raises(ValueError, match="times are in 'order'"):
        predict(fitted(), replace(log, time_unit="order"))
    organic = log.frame.with_columns(slate=pl.lit(None, dtype=pl.Int64), position=pl.lit(None, dtype=pl.Int32))
    with pytest.raises(ValueError, match="exposures come from 'imputed'"):
        predict(fitted(), log.with_frame(organic))
    with pytest.raises(ValueError, match="no exposure lies after"):
        predict(fitted(), log.with_frame(log.frame.filter(pl.col("time_s") <= fitted().facts.end_time)))
