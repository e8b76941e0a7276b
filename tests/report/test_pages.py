"""What the pages of runs say: figures, labels and tables come from the results."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recgym.report import Report, Section
from recgym.report.compare import overview
from recgym.report.document import Link
from recgym.report.html import render, render_site
from recgym.report.ope import estimates_plot, ope_report
from recgym.report.runs import Kind, Runs
from recgym.report.story import story_report
from recgym.report.sweep import sweep_report
from recgym.report.training import training_report
from tests.report.runs_sample import curve, encoder_result, epochs, ope_result, story, write_runs


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = Path(tmp_path_factory.mktemp("pages")) / "runs"
    write_runs(root)
    return overview(Runs([root]).look(), "Runs", lambda run: f"/run/{run.name}")


def section(report: Report, heading: str) -> Section:
    return next(part for part in report.sections if part.heading == heading)


def test_the_table_of_runs_leads_to_each_and_says_what_came_of_it(page: Report) -> None:
    rows = {row[0].text: row for row in section(page, "Runs").tables[0].rows if isinstance(row[0], Link)}
    assert rows["train/b"][0] == Link("train/b", "/run/train/b")
    assert rows["train/b"][1:5] == (
        "training", "recgym/ShortVideo-v0", "ppo: return 5.84 (5.54 to 6.14) after 15,000 steps", "running",
    )  # fmt: skip
    assert rows["check"][3] == "gate not passed: 1 checks failed"
    assert rows["ope"][3] == "2 policies judged by 2,048 episodes"
    assert str(rows["offline"][3]).startswith("bc: loss 0.25")
    assert rows["encoder/a"][3] == "gru4rec: NDCG@10 0.15 (0.14 to 0.16)"
    assert rows["encoder/b"][1:5] == (
        "encoder fit", "logs/a", "gru4rec: loss 2, ndcg@10 0.075 after 4 epochs", "running",
    )  # fmt: skip
    assert str(rows["sweep"][3]).startswith("gamma 0.9: return 8.1 (7.9 to 8.3)")
    assert {fact.label: fact.value for fact in page.facts}[Kind.TRAINING[0].upper() + Kind.TRAINING[1:]] == "3"


def test_curves_of_one_world_are_laid_over_one_another(page: Report) -> None:
    plots = section(page, "Learning").plots
    names = [sorted(trace.name for trace in plot.figure.data if trace.name) for plot in plots]
    assert ["sweep/trials/0000", "train/a", "train/b"] in names
    both = plots[names.index(["sweep/trials/0000", "train/a", "train/b"])].figure
    lines = {trace.name: trace for trace in both.data if trace.name}
    assert list(lines["train/b"].y) == [point["return"] for point in curve(3)]
    assert list(lines["train/a"].x) == [5000 * i for i in range(1, 9)]


def test_encoders_of_one_protocol_stand_in_one_table(page: Report) -> None:
    (table,) = section(page, "Encoders").tables
    assert table.rows == [("encoder/a", 0.28, "0.27 to 0.29", 0.15, "0.14 to 0.16")]
    assert "0123abcd" in table.caption


def test_a_fit_shows_its_ranking_when_it_is_done_and_its_epochs_before() -> None:
    told = {"encoder": "gru4rec", "data": "logs/a"}
    done = training_report(encoder_result(), told)
    assert done.title == "Training of gru4rec on logs/a"
    assert done.summary == "HR@10 0.28 (0.27 to 0.29), NDCG@10 0.15 (0.14 to 0.16)."
    assert ("coverage@10", 0.6, "0.59 to 0.61") in section(done, "Ranking").tables[0].rows
    going = training_report({"learning_curve": epochs(3)}, told)
    loss, ranked = (plot.figure.data[0] for plot in section(going, "Learning").plots)
    assert list(loss.x) == [1, 2, 3]
    assert list(ranked.x) == [2]  # where it was validated
    assert "Ranking" not in [part.heading for part in going.sections]


def test_fidelity_channels_and_sequences_of_all_runs_are_there(page: Report) -> None:
    fidelity = section(page, "Fidelity and calibration")
    assert {(row[0], row[1]) for row in fidelity.tables[0].rows} == {
        ("demo", "click"), ("demo", "watch_time"), ("check", "click"), ("check", "watch_time"),
    }  # fmt: skip
    assert {trace.name for trace in fidelity.plots[0].figure.data} == {"calibrated", "demo", "check"}
    outcomes = section(page, "Outcomes")
    assert len(outcomes.plots) == 2 * 3  # two worlds: return and two channels each
    assert "ppo" in {row[0] for row in outcomes.tables[0].rows}
    sequence = section(page, "A/B sequences").plots[0]
    assert "fixed" not in sequence.caption
    assert "peeking" not in sequence.caption


def test_an_estimate_without_a_value_is_left_out_of_the_plot_and_kept_in_the_table() -> None:
    entry = ope_result()["policies"]["runs/ppo"]
    figure = estimates_plot(entry, 5.4).figure
    assert [text.strip() for text in figure.layout.yaxis.ticktext] == ["WDR", "IS"]
    assert {trace.name: trace.x[0] for trace in figure.data[1:]} == {"in the log": 5.4, "really earned": 9.0}
    report = ope_report(ope_result())
    assert ("DM", None, None, 120.5, 8.1) in report.sections[0].tables[0].rows
    assert report.notes == ["runs/ppo: few weights carry the estimate", "random: few weights carry the estimate"]


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({}, "Nothing has been learned yet"),
        (
            {"learning_curve": curve(2)},
            "After 10,000 steps a session returns 5.2 (4.9 to 5.5); at the start it was 4.4.",
        ),
        ({"learning_curve": [{"updates": 5, "loss": 0.5, "kl": None}]}, "After 5 updates: loss 0.5."),
    ],
)
def test_a_training_run_is_told_from_its_first_moment(result: dict[str, Any], sentence: str) -> None:
    report = training_report(result, {"env": "recgym/X-v0", "agent": "ppo", "settings": {"net": {"hidden": [64, 64]}}})
    assert sentence in report.summary
    assert report.title == "Training of ppo on recgym/X-v0"
    settings = section(report, "Settings").tables[0].rows
    assert ("settings: net: hidden", "64, 64") in settings


def test_a_sweep_is_told_before_and_after_its_end() -> None:
    told = {"agent": "ppo", "env": "recgym/X-v0", "grid": {"a": [1, 2], "b": [3]}, "seeds": [0, 1], "steps": 9}
    assert "has come to an end yet" in sweep_report({}, told).summary
    rows = [{"a": 1, "b": 3, "return": 5.0, "low": 4.5, "high": 5.5, "finished": 2},
            {"a": 2, "b": 3, "return": 1.0, "low": 0.5, "high": 1.5, "finished": 2},
            {"a": 2, "b": 4, "return": None, "low": None, "high": None, "finished": 0}]  # fmt: skip
    report = sweep_report({"sweep": told, "settings": rows, "trials": []}, {})
    assert report.summary == "a 1, b 3 came to most, 5 (4.5 to 5.5)."
    assert [fact.value for fact in report.facts] == ["2", "0"]


def test_a_story_puts_answers_in_brackets_and_draws_the_state_above_the_slates() -> None:
    report = story_report(story())
    table = report.sections[0].tables[0]
    row = dict(zip(table.columns, table.rows[3], strict=True))
    assert row["Shown"] == "[click 3], click 10, click 12"
    assert (row["Step"], row["Session"], row["Time"], row["Reward"]) == ("3", 1, "1:30", 1.0)
    assert row["satisfaction"] == story()["policies"]["ppo"]["users"][0]["mood"]["satisfaction"][4]
    timeline = next(plot for plot in report.sections[0].plots if "One user under ppo" in plot.caption).figure
    domains = [timeline.layout[f"yaxis{row or ''}"].domain for row in ("", 2, 3, 4, 5, 6)]
    assert all(upper[0] > lower[1] for upper, lower in itertools.pairwise(domains))
    assert np.array(timeline.data[2].z).shape == (3, 46)
    starts = [shape.x0 for shape in timeline.layout.shapes]
    assert starts == [19.5, 39.5]


def test_a_story_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no story to report"):
        story_report({"env": "recgym/X-v0", "policies": {}})


def test_pages_of_a_site_have_anchors_of_their_own_and_names_are_escaped() -> None:
    one = Report("<b>one</b>", "s", [Section("h"), Section("h")])
    text = render_site(one, {"run-1": dataclasses.replace(one, title="two")})
    assert text.count('id="all-section-1"') == text.count('id="run-1-section-1"') == 1
    assert "<b>one</b>" not in text
    assert render(one).count('id="section-1"') == 1
