import numpy as np
import polars as pl
import pytest
import torch

from recgym.data import InteractionLog, split_by_time, split_each_user
from recgym.simulators.learned import LearnedConfig, LearnedUsers, fit, predict
from recgym.simulators.learned.notes import notes
from recgym.simulators.learned.steps import Behaviour, ExposureSource
from recgym.stats import auc
from tests.simulators.learned.known import LEAVE, SMALL, fitted, known, plain_log, released_log


def test_click_probabilities_of_unseen_behaviour_are_close_to_the_truth() -> None:
    log, truth = known()
    held_out = (log.frame["time_s"] > fitted().facts.end_time).to_numpy()
    found = predict(fitted(), log)
    assert found.labels.shape[0] == held_out.sum()
    clicks = fitted().schema.index("click")
    error = np.abs(found.positive[:, clicks] - truth[held_out])
    assert error.mean() < 0.04, f"mean error {error.mean():.3f}"
    assert np.corrcoef(found.positive[:, clicks], truth[held_out])[0, 1] > 0.97


def test_the_click_is_found_to_be_the_gate_and_the_values_behind_it_are_learned() -> None:
    found = predict(fitted(), known().log)
    assert fitted().plan.gate == fitted().schema.index("click")
    watch = fitted().schema.index("watch")
    rows = found.modelled[:, watch]
    assert rows.sum() == (found.labels[:, 0] > 0).sum()
    assert found.mean[rows, watch].mean() == pytest.approx(np.exp(2.0 + 0.125), rel=0.06)


def test_the_hazard_of_leaving_is_recovered() -> None:
    found = predict(fitted(), known().log)
    frame = known().log.frame.filter(pl.col("time_s") > fitted().facts.end_time)
    steps = frame.group_by("slate", "session", maintain_order=True).agg(clicked=(pl.col("click") > 0).any())
    steps = steps.filter(pl.col("session").is_in(pl.Series(np.unique(found.session)).implode()))
    clicked = steps["clicked"].to_numpy()
    assert found.leave[clicked].mean() == pytest.approx(LEAVE[True], abs=0.05)
    assert found.leave[~clicked].mean() == pytest.approx(LEAVE[False], abs=0.05)
    assert found.last.mean() == pytest.approx(found.leave.mean(), abs=0.03)


def test_shuffled_clicks_teach_nothing() -> None:
    log = known().log
    shuffled = log.frame["click"].to_numpy()[np.random.default_rng(0).permutation(log.n_rows)]
    frame = log.frame.with_columns(
        click=pl.Series(shuffled), watch=pl.Series(shuffled), stars=pl.lit(3.0, dtype=pl.Float32)
    )
    noise = log.with_frame(frame)
    learned = fit(split_by_time(noise, 0.2).train, LearnedConfig(hidden=16, item_width=8, max_epochs=2), seed=0)
    found = predict(learned, noise)
    assert auc(found.positive[:, 0], found.labels[:, 0]) == pytest.approx(0.5, abs=0.03)


def test_the_same_seed_gives_the_same_simulator_and_leaves_global_randomness_alone() -> None:
    log = plain_log()
    config = LearnedConfig(hidden=8, item_width=4, max_epochs=1)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = fit(log, config, 3), fit(log, config, 3), fit(log, config, 4)
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [f.network.state_dict() for f in (first, second, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["gru.weight_hh_l0"], weights[2]["gru.weight_hh_l0"])


def test_ratings_get_imputed_exposures_and_say_so() -> None:
    log = plain_log(n_users=250)
    learned = fit(split_by_time(log, 0.2).train, SMALL, seed=0)
    assert learned.schema.names == ("consumed", "rating")
    assert learned.plan.gate == 0
    assert any("IMPUTED" in note for note in learned.report.notes)
    found = predict(learned, log)
    rated = found.modelled[:, 1]
    assert auc(found.positive[:, 0], found.labels[:, 0]) > 0.7, "the next item of the walk is easy to tell"
    assert np.corrcoef(found.mean[rated, 1], found.labels[rated, 1])[0, 1] > 0.8, "ratings depend on the item alone"


def test_items_that_come_out_over_time_give_no_skill_where_there_is_none() -> None:
    log = released_log(n_users=400)
    config = LearnedConfig(hidden=16, item_width=8, max_epochs=4)
    found = predict(fit(split_by_time(log, 0.2).train, config, seed=0), log)
    rows = found.modelled[:, 0]
    assert rows.mean() > 0.99
    assert auc(found.positive[rows, 0], found.labels[rows, 0]) == pytest.approx(0.5, abs=0.03)


def test_a_log_without_any_feedback_is_refused() -> None:
    log = known().log
    silent = log.with_frame(log.frame.with_columns(pl.col("click", "watch") * 0, stars=pl.col("stars") * 0))
    with pytest.raises(ValueError, match="no row has any feedback, so there is nothing to learn"):
        fit(silent, SMALL)


def test_a_channel_that_is_always_one_serves_as_the_imputed_one() -> None:
    learned = fit(plain_log(rated=False), LearnedConfig(hidden=8, item_width=4, max_epochs=1), seed=0)
    assert learned.schema.names == ("event",)
    assert learned.facts.imputed == "event"


def test_a_log_in_which_items_come_back_only_at_its_end_is_learned_without_nonsense() -> None:
    log = plain_log(n_users=40, length=30, rated=False)
    rows, late = np.arange(log.n_rows), log.frame["time_s"].rank("dense").to_numpy() > 27
    items = np.where(late, rows % 50, rows)
    fresh = InteractionLog(
        log.frame.with_columns(item=pl.Series(items, dtype=pl.Int64)), log.schema, log.user_ids, pl.Series(rows)
    )
    learned = fit(fresh, LearnedConfig(hidden=8, item_width=4, max_epochs=2), seed=0)
    assert not any(bool(value.isnan().any()) for value in learned.network.state_dict().values())
    users, draw = LearnedUsers(learned), torch.Generator().manual_seed(0)
    state = users.sample_users(50, draw)
    assert bool(users.expected(state, torch.arange(100).reshape(50, 2)).feedback.isfinite().all())


def test_a_log_of_nothing_but_first_appearances_is_refused_in_a_sentence() -> None:
    log = plain_log(n_users=40, length=30, rated=False)
    rows = np.arange(log.n_rows)
    once = InteractionLog(
        log.frame.with_columns(item=pl.Series(rows, dtype=pl.Int64)), log.schema, log.user_ids, pl.Series(rows)
    )
    with pytest.raises(ValueError, match="has no value"):
        fit(once, LearnedConfig(hidden=8, item_width=4, max_epochs=1), seed=0)


def test_answers_that_hang_on_how_the_log_was_selected_are_noted() -> None:
    log = known().log
    draw = np.random.default_rng(0)
    click = log.frame["click"].to_numpy() > 0
    items = np.where(click, draw.integers(20, size=click.size), 20 + np.arange(click.size))
    chosen = InteractionLog(
        log.frame.with_columns(item=pl.Series(items, dtype=pl.Int64)), log.schema, log.user_ids,
        pl.Series(np.arange(20 + click.size)), user_features=log.user_features,
    )  # fmt: skip
    behaviour = Behaviour.of(chosen, ExposureSource.SLATES, 4, 1800.0, draw)
    found = notes(chosen, behaviour, ExposureSource.SLATES, SMALL, sessions_known=True)
    assert any("click: how the log was selected gives it away" in note for note in found)
    assert not any("selected" in note for note in fitted().report.notes)


def test_order_alone_gives_no_leave_model_and_no_item_context() -> None:
    log = plain_log(timed=False)
    learned = fit(split_each_user(log, 0.2).train, LearnedConfig(hidden=8, item_width=4, max_epochs=2), seed=0)
    assert learned.context is None
    assert learned.sessions.leave_probability == pytest.approx(1 / learned.config.mean_session_steps)
    assert any("no times" in note for note in learned.report.notes)
    found = predict(learned, log)
    assert found.leave.size == 0
    assert found.labels[:, 0].sum() == 60 * 6, "the last 6 of 30 steps of each user are new"


def test_a_log_without_spread_in_time_is_refused() -> None:
    log = plain_log()
    flat = log.with_frame(log.frame.unique("user", maintain_order=True).with_columns(time_s=pl.lit(5.0)))
    with pytest.raises(ValueError, match="too short to hold out"):
        fit(flat)


@pytest.mark.parametrize(
    "wrong", [{"hidden": 0}, {"dropout": 1.0}, {"validation_fraction": 0.0}, {"mean_session_steps": 0.5}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LearnedConfig(**wrong)  # type: ignore[arg-type]
