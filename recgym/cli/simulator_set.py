"""The report of a set of simulators: the mean over its members, and each of them."""

from collections.abc import Sequence
from typing import Any

from recgym.evaluation.fidelity import FidelityReport

__all__ = ["mean_of", "set_report"]


def set_report(reports: Sequence[FidelityReport]) -> dict[str, Any]:
    """What :meth:`FidelityReport.to_json` says of members, as means; the members' own reports under ``members``.

    The gate is passed if every member passes it.
    """
    values = [report.to_json() for report in reports]
    named = [f"member {number}: {reason}" for number, report in enumerate(reports) for reason in report.failures]
    parts = {name: mean_of([value[name] for value in values]) for name in ("channels", "session_length", "free_run")}
    return {
        **parts, "primary": reports[0].primary, "passed": not named, "failures": named, "notes": list(reports[0].notes),
        "members": values,
    }  # fmt: skip


def mean_of(values: Sequence[Any]) -> Any:
    """The mean of numbers, place by place in dictionaries and lists of one form.

    Places that some lack (null) count where they are there; what is no number is kept if all agree, else null.
    """
    there = [value for value in values if value is not None]
    if not there:
        return None
    if all(isinstance(value, dict) for value in there):
        names = [name for name in there[0] if all(name in value for value in there)]
        return {name: mean_of([value[name] for value in there]) for name in names}
    if all(isinstance(value, list) and len(value) == len(there[0]) for value in there):
        return [mean_of(place) for place in zip(*there, strict=True)]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return sum(there) / len(there)
    return there[0] if all(value == there[0] for value in there) else None
