"""From a run to its report, whatever command wrote it: what ``recgym report`` and ``recgym view`` both show."""

from dataclasses import replace
from pathlib import Path

from recgym.report.abtest import abtest_report
from recgym.report.demo import demo_report
from recgym.report.document import Report
from recgym.report.fidelity import check_report
from recgym.report.ope import ope_report
from recgym.report.policies import evaluation_report
from recgym.report.runs import Kind, Run, Runs, State
from recgym.report.story import story_report, story_sections
from recgym.report.sweep import sweep_report
from recgym.report.training import training_report

__all__ = ["report_of", "run_in"]


def run_in(folder: Path) -> Run:
    """The run of a folder.

    Raises:
        ValueError: the folder holds no run, or a file of it cannot be read.
    """
    found = Runs([folder]).look()
    here = [run for run in found.runs if run.folder == folder.resolve()]
    if here and not found.problems:
        return here[0]
    if found.problems:
        raise ValueError(found.problems[0])
    raise ValueError(
        f"{folder} holds no run: the folder that a command wrote was expected, with a result.json, config.json or "
        "story.json"
    )


def report_of(run: Run) -> Report:
    """The page of one run.

    Raises:
        ValueError: nothing in it can be shown.
    """
    report = _report(run)
    if run.story and run.kind is not Kind.STORY:
        report = replace(report, sections=[*report.sections, *story_sections(run.story)])
    if run.state is State.STOPPED:
        note = (
            f"This run was broken off: {run.why}."
            if run.why
            else "This run has written no result and its files have not changed for a while: it seems to have stopped."
        )
        report = replace(report, notes=[note, *report.notes])
    return report


def _report(run: Run) -> Report:
    match run.kind:
        case Kind.EXPERIMENT:
            return abtest_report(run.result)
        case Kind.OPE:
            return ope_report(run.result)
        case Kind.CHECK:
            return check_report(run.result)
        case Kind.EVALUATION:
            return evaluation_report(run.result)
        case Kind.TRAINING | Kind.OFFLINE | Kind.ENCODER:
            return training_report(run.result, run.config)
        case Kind.SWEEP:
            return sweep_report(run.result, run.config)
        case Kind.STORY:
            return story_report(run.story)
        case _:
            return demo_report(run.result)
