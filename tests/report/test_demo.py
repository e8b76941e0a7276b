"""The report of a run: every part that the result has, and none that it lacks."""

import pytest

from recgym.report import Report, Tone, demo_report
from recgym.report.document import render
from tests.report.sample import result


def headings(report: Report) -> list[str]:
    return [section.heading for section in report.sections]


def test_a_whole_result_becomes_every_section() -> None:
    report = demo_report(result())
    assert headings(report) == ["The log", "Fidelity", "Policies", "Learning", "Against the truth", "How this was made"]
    assert [len(section.plots) for section in report.sections] == [0, 3, 3, 1, 1, 0]
    assert "The log is embedded" in report.summary
    assert "one-step oracle earned most in a session, 9.31 (8.938 to 9.682), ahead of ppo" in report.summary


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
    rows = [tuple(row[:3]) for row in section.tables[0].rows]
    assert rows[:3] == [
        ("click", "learned users", 0.7312),
        ("click", "popularity", 0.6604),
        ("click", "position-only", 0.5478),
    ]


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
