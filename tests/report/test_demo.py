"""The report of a run: every part that the result has, and none that it lacks."""

import pytest

from recgym.report import Report, Tone, demo_report
from recgym.report.html import render
from tests.report.sample import result


def headings(report: Report) -> list[str]:
    return [section.heading for section in report.sections]


def test_a_whole_result_becomes_every_section() -> None:
    report = demo_report(result())
    assert headings(report) == ["The log", "Fidelity", "Policies", "Learning", "Against the truth", "How this was made"]
    assert [len(section.plots) for section in report.sections] == [0, 5, 3, 1, 1, 0]
    assert "The log is embedded" in report.summary
    assert "Of 4 policies none is best for certain: the intervals of ppo and greedy-by-model overlap" in report.summary
    assert ("Best policy", "undecided") in [(fact.label, fact.value) for fact in report.facts]


def test_a_failed_gate_is_said_in_summary_facts_and_notes() -> None:
    report = demo_report(result())
    assert "did not pass the fidelity gate" in report.summary
    assert report.notes[0].startswith("Fidelity gate: watch_time: ECE is 0.041")
    assert [fact.value for fact in report.facts if fact.tone is Tone.BAD] == ["not passed"]


def test_a_passed_gate_is_good_news() -> None:
    report = demo_report({**result(), "gate": {"passed": True, "failures": []}, "warnings": []})
    assert "they passed the fidelity gate" in report.summary
    assert not report.notes
    assert [fact.value for fact in report.facts if fact.tone is Tone.GOOD] == ["passed"]


@pytest.mark.parametrize(
    ("part", "heading"),
    [
        ("dataset", "The log"),
        ("fidelity", "Fidelity"),
        ("session_length", "Fidelity"),
        ("free_run", "Fidelity"),
        ("policies", "Policies"),
        ("learning_curve", "Learning"),
        ("truth", "Against the truth"),
        ("seconds", "How this was made"),
    ],
)
def test_one_part_alone_is_a_report(part: str, heading: str) -> None:
    report = demo_report({part: result()[part]})
    assert headings(report) == [heading]
    assert render(report)


def test_the_title_names_the_log() -> None:
    dataset = {"source": "/data/ebnerd/", "embedded": False, "rows": 3}
    assert demo_report({"dataset": dataset}).title == "From a log to a policy: ebnerd"


def test_the_log_is_described_with_its_channels_notes_and_what_was_left_out() -> None:
    report = demo_report({"dataset": {**result()["dataset"], "notes": ["impressions without a click are absent"]}})
    properties, channels, left_out = report.sections[0].tables
    assert ("repeat ratio", "0.0831") in properties.rows
    assert channels.rows[0] == ("click", "binary", "100 %", "18.3 %", 0.1834)
    assert channels.rows[1] == ("watch_time (s)", "duration", "40 %", None, None)
    assert left_out.rows[0][1] == 118
    assert report.notes == ["impressions without a click are absent"]


def test_baselines_stand_beside_the_learned_users() -> None:
    (section,) = demo_report({"fidelity": result()["fidelity"]}).sections
    assert section.tables[0].caption.startswith("Predictions")
    rows = [tuple(row[:3]) for row in section.tables[0].rows]
    assert rows[:3] == [
        ("click", "learned users", 0.7312),
        ("click", "popularity", 0.6604),
        ("click", "position-only", 0.5478),
    ]


def test_a_policy_is_crowned_only_where_its_interval_lies_above_all_others() -> None:
    policies = {
        "oracle": {"return": 9.0, "low": 8.9, "high": 9.1, "oracle": True},
        "a": {"return": 2.0, "low": 1.8, "high": 2.2},
        "b": {"return": 1.0, "low": 0.9, "high": 1.1},
        "c": {"return": 0.5},
    }
    report = demo_report({"policies": policies})
    assert "Of 3 policies, a earned most in a session, 2 (1.8 to 2.2), ahead of b, 1 (0.9 to 1.1)." in report.summary
    assert [(f.label, f.value, f.detail) for f in report.facts] == [("Best policy", "2", "return of a")]
    close = {**policies, "b": {"return": 1.9, "low": 1.7, "high": 2.1}}
    report = demo_report({"policies": close})
    assert "none is best for certain: the intervals of a and b overlap" in report.summary
    assert [(f.value, f.detail) for f in report.facts] == [("undecided", "a and b cannot be told apart")]


def test_an_oracle_alone_is_no_best_policy() -> None:
    report = demo_report({"policies": {"oracle": {"return": 9.0, "oracle": True}}})
    assert not report.facts
    assert "best" not in report.summary


def test_whole_sessions_and_the_gate_are_shown() -> None:
    given = {name: result()[name] for name in ("free_run", "gate")}
    (section,) = demo_report(given).sections
    captions = [table.caption for table in section.tables]
    assert captions[0] == "The fidelity gate"
    assert section.tables[0].rows[1][-1] == "FAILED"
    tests = next(table for table in section.tables if table.columns[0] == "Sessions of")
    assert [row[0] for row in tests.rows] == ["learned users", "popularity and overall rates", "real against real"]
    assert "tells the two apart with an AUC of 0.712" in section.text
    assert any("Kaplan" in plot.caption for plot in section.plots)
    assert [plot.caption for plot in section.plots][1] == "Mean click by position."


def test_policies_are_listed_by_return_with_the_columns_that_are_known() -> None:
    policies = {
        "a": {"return": 1.0, "coverage": 0.5},
        "b": {"return": 2.0, "low": 1.5, "high": 2.5},
        "c": {"return": None},
    }
    (section,) = demo_report({"policies": policies}).sections
    table = section.tables[0]
    assert table.columns == ("Policy", "Return", "Interval", "Coverage")
    assert table.rows == [("b", 2.0, "1.5 to 2.5", None), ("a", 1.0, None, 0.5)]


def test_nothing_to_report_is_one_clear_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"nothing to report: found the keys \['colour'\], expected any of dataset, fidelity"
    ):
        demo_report({"colour": "red"})


def test_a_hostile_channel_name_is_only_text() -> None:
    page = render(demo_report(result("<script>alert(1)</script>")))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
