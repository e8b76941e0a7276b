"""The report of a run, from its results as they stand in JSON. What a run did not produce is left out of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from recgym.report.document import Fact, Report, Section, Table, Tone
from recgym.report.fidelity import fidelity_section
from recgym.report.making import making_section
from recgym.report.plots import learning_curve, policy_plot
from recgym.report.policies import best_fact, policies_section, verdict
from recgym.report.ranking import ranked
from recgym.report.words import bounds, duration, share

__all__ = ["demo_report"]

Result = Mapping[str, Any]

_PARTS = ("dataset", "fidelity", "session_length", "free_run", "gate", "policies", "truth", "learning_curve", "seconds")


def demo_report(result: Result) -> Report:
    """The page for the whole way from a log to policies, or for any part of it.

    Args:
        result: any of ``dataset`` (what was read), ``fidelity`` (per channel: AUC, log-loss, ECE, reliability and
            baselines), ``session_length`` (``observed`` and ``simulated`` counts by length), ``free_run`` (whole
            simulated sessions against real ones), ``gate`` (``passed``, ``failures``, ``checks``), ``policies``
            (return, session length, coverage, repeat rate, channels, and ``oracle`` for one that sees what no policy
            can), ``truth`` (the policies with the true users, and the rank correlation), ``learning_curve``,
            ``seconds``, ``versions``, ``command``, ``warnings``.

    Raises:
        ValueError: the result holds none of these parts.
    """
    if not any(result.get(part) for part in _PARTS):
        raise ValueError(
            f"there is nothing to report: found the keys {sorted(result)}, expected any of {', '.join(_PARTS)}"
        )
    sections = (
        _log(result.get("dataset") or {}),
        fidelity_section(result),
        policies_section(result.get("policies") or {}),
        _learning(result.get("learning_curve") or [], result.get("policies") or {}),
        _truth(result.get("truth") or {}, result.get("policies") or {}),
        making_section(result),
    )
    dataset = result.get("dataset") or {}
    source = str(dataset.get("source", "")).rstrip("/")
    title = (
        "From a log to a policy"
        if dataset.get("embedded") or not source
        else f"From a log to a policy: {source.rsplit('/')[-1]}"
    )
    return Report(
        title, _summary(result), [section for section in sections if section], _notes(result), _facts(result)
    )  # fmt: skip


def _summary(result: Result) -> str:
    sentences = []
    dataset, gate, policies = (result.get(key) or {} for key in ("dataset", "gate", "policies"))
    if dataset.get("rows") is not None:
        sentences.append(f"Simulated users were learned from a log of {dataset['rows']:,} rows.")
    if gate:
        sentences.append(
            "On behaviour they had not seen, they passed the fidelity gate."
            if gate.get("passed")
            else "On behaviour they had not seen, they did not pass the fidelity gate: read what follows with care."
        )
    if verdict(policies):
        sentences.append(verdict(policies))
    paragraphs = [" ".join(sentences)]
    if dataset.get("embedded"):
        paragraphs.append(
            "The log is embedded: a behaviour policy rolled out on a hand-made user model. So the truth is known, "
            "and this page shows how far the learned users are from it."
        )
    return "\n\n".join(paragraphs)


def _notes(result: Result) -> list[str]:
    gate, dataset = result.get("gate") or {}, result.get("dataset") or {}
    failures = [f"Fidelity gate: {failure}" for failure in gate.get("failures") or ()]
    return [*failures, *(str(note) for note in (*(result.get("warnings") or ()), *(dataset.get("notes") or ())))]


def _facts(result: Result) -> list[Fact]:
    facts = []
    dataset, fidelity, gate, policies, truth = (
        result.get(key) or {} for key in ("dataset", "fidelity", "gate", "policies", "truth")
    )
    if dataset.get("users") is not None and dataset.get("items") is not None:
        facts.append(Fact("Users in the log", f"{dataset['users']:,}", f"{dataset['items']:,} items"))
    if gate:
        passed = bool(gate.get("passed"))
        facts.append(
            Fact("Fidelity gate", "passed" if passed else "not passed", tone=Tone.GOOD if passed else Tone.BAD)
        )
    ranked_channels = [channel for channel, entry in fidelity.items() if entry.get("auc") is not None]
    if ranked_channels:
        channel = ranked_channels[0]
        facts.append(Fact(f"AUC of {channel}", f"{fidelity[channel]['auc']:.3f}", _best_baseline(fidelity[channel])))
    facts += best_fact(policies)
    if truth.get("kendall_tau") is not None:
        facts.append(Fact("Order of policies kept", f"{truth['kendall_tau']:.2f}", "Kendall's tau with the true users"))
    total = (result.get("seconds") or {}).get("total")
    if total is not None:
        facts.append(Fact("Time", duration(total), "the whole way"))
    return facts


def _log(dataset: Result) -> Section | None:
    if not dataset:
        return None
    plain = {
        key: value
        for key, value in dataset.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }
    tables = [Table(("Property", "Value"), [(key.replace("_", " "), _text(value)) for key, value in plain.items()])]
    channels = dataset.get("channels") or []
    if channels:
        columns = ("Channel", "Kind", "Observed in", "Above 0", "Mean")
        channel_rows = [
            (_named(c), c.get("kind"), share(c.get("observed")), share(c.get("positive")), c.get("mean"))
            for c in channels
        ]
        tables.append(
            Table(columns, channel_rows, "Feedback: share of rows that know it, share of those above 0, mean")
        )
    left_out = dataset.get("left_out") or []
    if left_out:
        rows = [(str(entry["reason"]), int(entry["rows"])) for entry in left_out]
        tables.append(Table(("Reason", "Rows"), rows, "Rows of the source that were left out, and why"))
    return Section("The log", "What the simulated users learned from.", tables)


def _best_baseline(entry: Result) -> str:
    known = {name: b["auc"] for name, b in (entry.get("baselines") or {}).items() if b.get("auc") is not None}
    if not known:
        return ""
    best = max(known, key=lambda name: float(known[name]))
    return f"best baseline {best} {known[best]:.3f}"


def _learning(points: Sequence[Result], policies: Mapping[str, Result]) -> Section | None:
    if not points:
        return None
    references: dict[str, float] = {
        name: float(policies[name]["return"]) for name in ("random", "popularity") if name in ranked(policies)
    }
    text = "How the return grew while the agent was trained against the simulated users."
    return Section("Learning", text, plots=[learning_curve(points, references)])


def _truth(truth: Result, policies: Mapping[str, Result]) -> Section | None:
    true_policies = truth.get("policies") or {}
    if not truth:
        return None
    plots = [policy_plot(policies, true_policies)] if ranked(policies) and true_policies else []
    rows = [
        (name, policies.get(name, {}).get("return"), true_policies[name]["return"], bounds(true_policies[name]))
        for name in ranked(true_policies)
    ]
    columns = ("Policy", "Return with learned users", "Return with true users", "Interval")
    tables = [Table(columns, rows, "The same policies with the learned and with the true users")] if rows else []
    text = str(truth.get("text") or "")
    if truth.get("kendall_tau") is not None:
        text += (
            f"\n\nKendall's tau between both orders of the policies is {truth['kendall_tau']:.2f}: 1 where the learned "
            "users put the policies in the true order, 0 where the order tells nothing."
        )
    return Section("Against the truth", text, tables, plots)


def _named(channel: Result) -> str:
    return f"{channel['name']} ({channel['unit']})" if channel.get("unit") else str(channel["name"])


def _text(value: str | int | float) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
