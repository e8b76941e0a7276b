"""What policies came to: the section of a report, and the sentence and the figure that sum it up."""

from collections.abc import Mapping, Sequence
from typing import Any

from recgym.report.constraints import constraints_section
from recgym.report.document import Fact, Report, Section, Table
from recgym.report.making import making_section
from recgym.report.plots import channel_plot, policy_plot
from recgym.report.ranking import best_policies, ranked
from recgym.report.words import bounds, listed, with_bounds

__all__ = ["best_fact", "evaluation_report", "policies_section", "verdict"]

Result = Mapping[str, Any]


def evaluation_report(result: Result) -> Report:
    """The page of policies rolled out beside one another.

    Args:
        result: ``policies`` (see :func:`recgym.report.demo_report`), and ``env`` if it is known.
    """
    policies = result["policies"]
    section, making = policies_section(policies), making_section(result)
    users = max((int(entry.get("users") or 0) * int(entry.get("seeds") or 1) for entry in policies.values()), default=0)
    served = f" {users:,} simulated users were served by each." if users else ""
    title = f"Policies on {result['env']}" if result.get("env") else "Policies compared"
    sections = [part for part in (section, constraints_section(result), making) if part]
    return Report(title, f"{verdict(policies)}{served}".strip(), sections, (), best_fact(policies))


def verdict(policies: Mapping[str, Result]) -> str:
    """Which policy is best, as far as the intervals allow to say; no oracle ever is."""
    contenders = [name for name in ranked(policies) if not policies[name].get("oracle")]
    if len(contenders) < 2:
        return ""
    best = best_policies(policies)
    first, count = best[0], len(contenders)
    if len(best) == 1:
        second = contenders[1]
        return (
            f"Of {count} policies, {first} earned most in a session, {with_bounds(policies[first], 'return')}, "
            f"ahead of {second}, {with_bounds(policies[second], 'return')}."
        )
    return (
        f"Of {count} policies none is best for certain: the intervals of {listed(best)} overlap "
        f"(highest mean: {first}, {with_bounds(policies[first], 'return')})."
    )


def best_fact(policies: Mapping[str, Result]) -> list[Fact]:
    """The best policy as a figure; none if no return is known."""
    best = best_policies(policies)
    if len(best) == 1:
        others = sum(not policies[name].get("oracle") for name in ranked(policies)) > 1
        label = "Best policy" if others else "Return"
        return [Fact(label, f"{policies[best[0]]['return']:.4g}", f"return of {best[0]}" if others else best[0])]
    return [Fact("Best policy", "undecided", f"{listed(best)} cannot be told apart")] if best else []


def policies_section(policies: Mapping[str, Result]) -> Section | None:
    """Returns, channels and the like of each policy, with plots; None if no return is known."""
    if not ranked(policies):
        return None
    channels = list(dict.fromkeys(channel for entry in policies.values() for channel in entry.get("channels") or {}))
    plots = [policy_plot(policies), *(channel_plot(policies, channel) for channel in channels)]
    text = "Each policy serves new simulated users from the start to the end of their sessions."
    return Section("Policies", text, [_policy_table(policies, channels)], plots)


def _policy_table(policies: Mapping[str, Result], channels: Sequence[str]) -> Table:
    fields = {"session_length": "Session length", "coverage": "Coverage", "repeat_rate": "Repeat rate"}
    shown = [field for field in fields if any(entry.get(field) is not None for entry in policies.values())]
    columns = ("Policy", "Return", "Interval", *(fields[field] for field in shown), *channels)
    rows = [
        (
            name, policies[name]["return"], bounds(policies[name]), *(policies[name].get(field) for field in shown),
            *((policies[name].get("channels") or {}).get(channel, {}).get("mean") for channel in channels),
        )
        for name in ranked(policies)
    ]  # fmt: skip
    return Table(columns, rows, "Policies by return; session length in steps, coverage as a share of the catalogue")
