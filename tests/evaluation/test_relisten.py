"""How fitted users repeat themselves beside the held-out weeks, on a log of known law and on real invoices."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recgym.data import InteractionLog, read_log
from recgym.evaluation.relisten import RelistenFidelity, relisten_fidelity, repeats
from recgym.simulators.actr import ACTRConfig, ACTRFitConfig, ACTRMemory, Taken, actr_log, fit_actr, make_items
from tests.shared import shared_data

WORLD = ACTRConfig(num_items=400, num_topics=10, session=(4, 8), window=100)
SETTINGS = ACTRFitConfig(window=100, longest=8)


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return actr_log(WORLD, 300, 16, 2)


@pytest.fixture(scope="module")
def fidelity(log: InteractionLog) -> RelistenFidelity:
    return relisten_fidelity(log, SETTINGS)


def taken(rows: list[tuple[int, int, int, float]]) -> Taken:
    user, session, item, time_s = (np.array(column) for column in zip(*rows, strict=True))
    return Taken(user, session, item, time_s.astype(np.float64), np.zeros(len(rows), dtype=bool))


def test_repeats_look_back_over_the_past_and_what_follows() -> None:
    past = taken([(0, -1, 3, -50.0), (0, -1, 3, -20.0), (1, -1, 4, -5.0)])
    later = taken([(0, 0, 3, 10.0), (0, 0, 4, 11.0), (0, 1, 4, 40.0), (1, 0, 3, 2.0), (1, 1, 3, 9.0)])
    found = repeats(past, later)
    assert found.again.tolist() == [True, False, True, False, True]
    np.testing.assert_array_equal(found.gap_s, [30.0, np.nan, 29.0, np.nan, 7.0])


def test_users_of_a_known_law_repeat_themselves_as_they_did(fidelity: RelistenFidelity) -> None:
    truth, actr, popularity = fidelity.held_out, fidelity.actr, fidelity.popularity
    assert (truth.gap_ks, truth.user_ks, truth.user_error) == (0.0, 0.0, 0.0)
    assert truth.user_correlation == pytest.approx(1.0)
    assert fidelity.users > 150
    assert actr.repeat_ratio.mean == pytest.approx(truth.repeat_ratio.mean, abs=0.05)
    assert popularity.repeat_ratio.mean < truth.repeat_ratio.mean - 0.1
    assert actr.gap_ks < 0.06 < popularity.gap_ks
    assert actr.user_ks < 0.15 < popularity.user_ks
    assert actr.user_error < popularity.user_error


def test_a_wrong_law_is_told_apart(log: InteractionLog) -> None:
    """Users who hardly forget, or who mind the threshold less, do not pass for those of the log."""
    fit = fit_actr(log, SETTINGS, make_items(WORLD))
    right = relisten_fidelity(log, SETTINGS, fit)
    fresh = replace(fit.world.memory, threshold=fit.world.memory.threshold - 1.0)
    eager = relisten_fidelity(log, SETTINGS, fit._replace(world=replace(fit.world, memory=fresh)))
    assert eager.actr.repeat_ratio.mean > right.actr.repeat_ratio.mean + 0.1
    assert eager.actr.user_ks > right.actr.user_ks + 0.1
    steep = ACTRMemory(decay=2.0, noise=0.7, threshold=-20.0)
    hasty = relisten_fidelity(log, SETTINGS, fit._replace(world=replace(fit.world, memory=steep)))
    assert hasty.actr.gap_ks > right.actr.gap_ks + 0.1


def test_the_same_seed_gives_the_same_report(log: InteractionLog, fidelity: RelistenFidelity) -> None:
    again = relisten_fidelity(log, SETTINGS, fidelity.fit)
    assert again.actr == fidelity.actr
    assert relisten_fidelity(log, SETTINGS, fidelity.fit, seed=1).actr != fidelity.actr


def test_nobody_on_both_sides_of_the_cut(log: InteractionLog, fidelity: RelistenFidelity) -> None:
    late = log.with_frame(log.frame.filter(pl.col("time_s") >= fidelity.fit.report.cut_s))
    with pytest.raises(ValueError, match="nobody has sessions on both sides of the cut"):
        relisten_fidelity(late, SETTINGS, fidelity.fit)


@pytest.mark.data
def test_fitted_to_invoices_of_a_shop() -> None:
    """A fifth of the customers: repeats, their gaps and the users' own ratios come closer than by popularity."""
    log = read_log(shared_data("online-retail"), "online-retail")
    some = log.with_frame(log.frame.filter(pl.col("user") % 5 == 0))
    found = relisten_fidelity(some, ACTRFitConfig(session_gap_s=86_400.0, max_events=200_000))
    report = found.fit.report
    assert report.log_likelihood > max(report.recency_log_likelihood, report.frequency_log_likelihood) + 0.02
    truth, actr, popularity = found.held_out, found.actr, found.popularity
    assert abs(actr.repeat_ratio.mean - truth.repeat_ratio.mean) < 0.1
    assert abs(popularity.repeat_ratio.mean - truth.repeat_ratio.mean) > 0.2
    assert actr.gap_ks < popularity.gap_ks
    assert actr.user_ks < popularity.user_ks - 0.2
    assert actr.user_error < popularity.user_error
