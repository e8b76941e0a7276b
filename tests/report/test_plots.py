"""The figures hold the numbers that they were given."""

from typing import Any

import numpy as np
import pytest

from recgym.report import channel_plot, distribution_plot, learning_curve, policy_plot, reliability_plot

POLICIES: dict[str, Any] = {
    "ppo": {"return": 3.0, "low": 2.5, "high": 3.75, "channels": {"click": {"mean": 0.2, "low": 0.1, "high": 0.4}}},
    "random": {"return": 1.0, "low": 0.5, "high": 1.25, "channels": {}},
    "failed": {"return": None},
}


def test_policies_stand_in_order_of_return_with_their_intervals() -> None:
    figure = policy_plot(POLICIES).figure
    (trace,) = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["random  ", "ppo  "]
    assert list(trace.x) == [1.0, 3.0]
    assert np.allclose(trace.error_x.array, [0.25, 0.75])
    assert np.allclose(trace.error_x.arrayminus, [0.5, 0.5])


def test_truth_is_a_second_series_on_the_same_rows() -> None:
    plot = policy_plot(POLICIES, {"ppo": {"return": 2.0, "low": None, "high": None}})
    learned, true = plot.figure.data
    assert (learned.name, true.name) == ("learned users", "true users")
    assert list(true.x) == [2.0]
    assert round(true.y[0]) == round(learned.y[1]) == 1
    assert list(true.error_x.array) == [0.0]
    assert "Orange" in plot.caption


def test_a_channel_is_shown_for_the_policies_that_have_it() -> None:
    plot = channel_plot(POLICIES, "click")
    (trace,) = plot.figure.data
    assert list(trace.x) == [0.2]
    assert not plot.wide


def test_the_learning_curve_has_a_band_where_bounds_are_known() -> None:
    points: list[dict[str, Any]] = [{"steps": 0, "return": 1.0}]
    points += [{"steps": s, "return": s / 2, "low": s / 4, "high": s} for s in (10, 20)]
    band, line, level = learning_curve(points, {"random": 1.5}).figure.data
    assert list(band.x) == [10, 20, 20, 10]
    assert list(band.y) == [10, 20, 5, 2.5]
    assert list(line.y) == [1.0, 5.0, 10.0]
    assert (list(level.x), list(level.y)) == ([0, 20], [1.5, 1.5])


def test_a_learning_curve_without_bounds_is_a_line() -> None:
    assert len(learning_curve([{"steps": 1, "return": 2.0}]).figure.data) == 1


def test_reliability_has_a_diagonal_and_a_curve_a_model() -> None:
    curve = [{"predicted": 0.1, "observed": 0.2, "n": 100}, {"predicted": 0.4, "observed": 0.3, "n": 25}]
    figure = reliability_plot({"model": curve, "base": curve[:1]}, "click").figure
    diagonal, model, base = figure.data
    assert list(diagonal.x) == list(diagonal.y)
    assert list(model.y) == [0.2, 0.3]
    assert model.marker.size[0] - 5 == pytest.approx(2 * (model.marker.size[1] - 5))
    assert base.name == "base"
    assert figure.layout.xaxis.range == figure.layout.yaxis.range


def test_session_lengths_become_shares_and_the_tail_one_bar() -> None:
    observed = [0, 600, 390, 5, 0, 5]
    bars, line = distribution_plot(observed, [0, 50, 50]).figure.data
    assert list(bars.x) == [1, 2]
    assert np.allclose(bars.y, [0.6, 0.4])
    assert np.allclose(line.y, [0.5, 0.5])
    assert list(bars.customdata) == ["1", "2 or more"]


def test_sessions_of_length_zero_are_not_lost() -> None:
    bars, _ = distribution_plot([25, 75], [0, 10]).figure.data
    assert list(bars.x) == [0, 1]
    assert np.allclose(bars.y, [0.25, 0.75])


def test_names_are_escaped_in_every_figure() -> None:
    bad = "<b>x</b>"
    entry = {"return": 1.0, "low": 0.5, "high": 2.0, "channels": {bad: {"mean": 1.0}}}
    bins = [{"predicted": 0.1, "observed": 0.2, "n": 1}]
    plots = [
        policy_plot({bad: entry}, {bad: entry}), channel_plot({bad: entry}, bad), reliability_plot({bad: bins}, bad),
        learning_curve([{"steps": 1, "return": 2.0}], {bad: 1.0}),
    ]  # fmt: skip
    for plot in plots:
        text = str(plot.figure.to_dict())
        assert bad not in text
        assert "&lt;b&gt;x&lt;/b&gt;" in text
