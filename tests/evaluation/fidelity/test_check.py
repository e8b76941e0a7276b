import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.data import read_log, split_by_time
from recgym.evaluation.fidelity import FidelityReport, GateConfig, check_fidelity
from recgym.simulators.learned import FittedSimulator, LearnedConfig, fit
from tests.shared import shared_data
from tests.simulators.learned.known import fitted, known


@pytest.fixture(scope="module")
def report() -> FidelityReport:
    return check_fidelity(fitted(), known().log, seed=0)


def test_a_good_simulator_beats_the_baselines_and_passes(report: FidelityReport) -> None:
    click = report.channels["click"]
    assert report.passed
    assert click.scores.ece <= 0.03
    for name in ("position", "popularity", "global"):
        assert click.auc_gain[name].low > 0
        assert click.log_loss_gain[name].low > 0
    assert click.scores.auc.low < click.scores.auc.mean < click.scores.auc.high
    assert click.scores.rate_ratio.mean == pytest.approx(1.0, abs=0.1)


def test_channels_behind_the_gate_are_judged_where_it_is_open(report: FidelityReport) -> None:
    click, watch = report.channels["click"], report.channels["watch"]
    assert (click.given, watch.given) == (None, "click")
    assert watch.n < click.n
    assert np.isnan(watch.scores.auc.mean), "all durations of clicked items are above 0"


def test_the_report_is_json_without_nan(report: FidelityReport) -> None:
    value = report.to_json()
    text = json.dumps(value, allow_nan=False)
    assert json.loads(text) == value
    click = value["channels"]["click"]
    assert {"auc", "auc_low", "auc_high", "log_loss", "ece", "rate_ratio", "reliability", "baselines"} <= set(click)
    assert set(click["baselines"]) == {"position", "popularity", "global"}
    assert {"auc", "log_loss", "auc_gain", "auc_gain_low", "log_loss_gain_high"} <= set(
        click["baselines"]["popularity"]
    )
    assert sum(point["n"] for point in click["reliability"]) == click["n"]
    assert value["channels"]["watch"]["auc"] is None
    assert value["passed"] is True
    assert value["failures"] == []


def test_the_same_seed_gives_the_same_report(report: FidelityReport) -> None:
    again = check_fidelity(fitted(), known().log, seed=0)
    assert json.dumps(again.to_json()) == json.dumps(report.to_json())


def spoiled(shift: float, scale: float) -> FittedSimulator:
    """The simulator with other click logits."""
    simulator = fitted()
    network = type(simulator.network)(simulator.network.shape, simulator.schema)
    network.load_state_dict(simulator.network.state_dict())
    with torch.no_grad():
        network.logit_scale[0] *= scale
        network.logit_shift[0] += shift
    return replace(simulator, network=network.eval())


def test_wrong_levels_fail_the_gate_by_calibration() -> None:
    report = check_fidelity(spoiled(1.0, 1.0), known().log)
    assert not report.passed
    assert len(report.failures) == 1
    assert "calibration error of click" in report.failures[0]
    assert report.channels["click"].scores.rate_ratio.low > 1.1


def test_every_channel_with_enough_positives_is_in_the_gate(report: FidelityReport) -> None:
    names = [check.name for check in report.checks]
    for channel in ("click", "watch", "stars"):
        assert f"predicted / observed mean of {channel}" in names
    assert "expected calibration error of watch" not in names, "all durations of clicked items are above 0"
    spoilt = check_fidelity(fitted(), known().log, gate=GateConfig(max_rate_ratio=1.0, min_positives=10**6))
    judged = {check.name for check in spoilt.checks if check.name.startswith("predicted")}
    assert judged == {"predicted / observed mean of click"}, "too few positives are no ground to judge a channel"


def test_a_failed_check_says_what_was_found_and_wanted() -> None:
    report = check_fidelity(fitted(), known().log, gate=GateConfig(max_ece=0.0))
    assert not report.passed
    value = next(
        check for check in report.to_json()["checks"] if check["check"] == "expected calibration error of click"
    )
    assert value["passed"] is False
    assert value["expected"] == "at most 0"
    assert report.failures[0] == (f"expected calibration error of click is {value['found']:.3g}, at most 0 was wanted")


def test_thresholds_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"max_two_sample_auc must lie in \[0.5, 1\], found 0.3"):
        GateConfig(max_two_sample_auc=0.3)
    with pytest.raises(ValueError, match="max_rate_ratio must be at least 1"):
        GateConfig(max_rate_ratio=0.5)
    with pytest.raises(ValueError, match="max_ece must not be negative"):
        GateConfig(max_ece=-1.0)


def test_a_wrong_order_fails_the_gate_by_auc() -> None:
    report = check_fidelity(spoiled(0.0, -1.0), known().log)
    assert any("AUC of click" in failure for failure in report.failures)
    assert report.channels["click"].auc_gain["popularity"].high < 0


def test_session_lengths_of_the_log_and_of_the_model_are_close(report: FidelityReport) -> None:
    length = report.session_length
    assert length is not None
    assert length.simulated_mean == pytest.approx(length.observed_mean, rel=0.1)
    assert length.ks < 0.08, "443 sessions alone make for up to 0.065"
    assert sum(length.observed) == pytest.approx(length.sessions)
    assert sum(length.simulated) == pytest.approx(length.sessions)


@pytest.mark.data
def test_readers_of_news_are_learned_better_than_by_position_or_popularity() -> None:
    log = read_log(shared_data("ebnerd"), "ebnerd")
    # Two passes come close to what all passes reach.
    report = check_fidelity(fit(split_by_time(log, 0.2).train, LearnedConfig(max_epochs=2), seed=0), log)
    click = report.channels["click"]
    failed = [check.name for check in report.checks if not check.passed]
    assert not any("click" in name for name in failed), report.failures
    for name in ("position", "popularity"):
        assert click.auc_gain[name].low > 0.1
        assert click.log_loss_gain[name].low > 0.02
    run = report.free_run
    assert run is not None
    assert run.baseline is not None
    assert run.two_sample.auc.mean < run.baseline.auc.mean
    assert run.control.auc.low < 0.5 < run.control.auc.high
    assert 0.2 < run.return_gap.censored < 0.6, "a quarter of a week is left to come back in"
