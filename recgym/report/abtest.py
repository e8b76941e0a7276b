"""The report of an A/B test on simulated users, from its results as they stand in JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from recgym.report.abtest_plots import (
    effect_plot,
    exposure_plot,
    p_value_plot,
    regret_plot,
    rejection_plot,
    sequence_plot,
    stopping_plot,
)
from recgym.report.document import Fact, Plot, Report, Section, Table, Tone
from recgym.report.words import bounds, share

__all__ = ["abtest_report"]

Result = Mapping[str, Any]

_SHOWN = 4
"""Sequences drawn of one experiment, at most."""
_TRUSTED = 0.9
"""Coverage of nominal 95 % intervals below which a note warns."""


def abtest_report(result: Result) -> Report:
    """The page of an A/B test.

    Args:
        result: ``env``, ``arms`` (name -> policy), ``users``, ``pool``, ``replications``, ``alpha``, ``design``,
            ``metrics`` (metric -> ``arms`` and ``effects``: arm -> mean, low, high), ``looks``; ``comparisons`` (see
            :meth:`recgym.abtest.Found.summary`, each with the ``path`` of its first replication) or ``adaptive``
            (``metric``, ``users``, ``regret``, ``estimates``); and what of ``verdicts``, ``novelty``, ``plan``,
            ``lost``, ``constant``, ``command``, ``seconds``, ``versions`` there is.

    Raises:
        ValueError: the result holds no comparison and no adaptive allocation.
    """
    if not result.get("comparisons") and not result.get("adaptive"):
        raise ValueError(f"there is no A/B test to report: found the keys {sorted(result)}")
    sections = [
        _arms(result), _one(result), _all(result), _verdicts(result), _adaptive(result), _novelty(result),
        _plan(result), _making(result),
    ]  # fmt: skip
    return Report(
        f"A/B test: {' against '.join(result['arms'])}",
        _summary(result),
        [section for section in sections if section],
        _notes(result),
        _facts(result),
    )


def _summary(result: Result) -> str:
    arms = [f"{name} ({policy})" for name, policy in result["arms"].items()]
    text = (
        f"{', '.join(arms[1:])} against the control {arms[0]} on {result['env']}: {result['pool']:,} simulated users "
        f"of each arm, from which {result['replications']:,} experiments of {result['users']:,} users were drawn "
        f"({result['design']})."
    )
    sure = []
    for metric, entry in result["metrics"].items():
        for arm, effect in entry["effects"].items():
            if effect["low"] > 0 or effect["high"] < 0:
                sure.append(f"{metric} of {arm} {effect['mean']:+.4g}")
    found = f"Over all simulated users these differ from the control: {'; '.join(sure)}." if sure else (
        "Over all simulated users no difference from the control can be told from chance."
    )  # fmt: skip
    return f"{text}\n\n{found}"


def _notes(result: Result) -> list[str]:
    notes = []
    if any(row["method"] == "peeking" for row in result.get("comparisons", ())):
        notes.append(
            "Peeking is shown to warn: a test for a fixed horizon, looked at again and again, finds differences that "
            "are not there."
        )
    if result.get("constant"):
        notes.append(f"Left out, as every user has the same: {', '.join(result['constant'])}.")
    for row in (result.get("adaptive") or {}).get("estimates", ()):
        if row["weighted_coverage"] < _TRUSTED:
            notes.append(
                f"Arm {row['arm']} had too few users under the bandit: even its weighted intervals cannot be trusted."
            )
    if result.get("lost", 0) > 0.01:
        notes.append(f"The check of the split fails in {share(result['lost'])} of the experiments.")
    return notes


def _facts(result: Result) -> list[Fact]:
    facts = [Fact("Experiments", f"{result['replications']:,}", f"of {result['users']:,} users")]
    for row in result.get("comparisons", ())[:3]:
        null = row["truth"] == 0
        tone = Tone.BAD if null and row["low"] > result["alpha"] else Tone.PLAIN
        facts.append(
            Fact(f"{'Level' if null else 'Power'}, {row['method']}", share(row["rejected"]) or "", f"{row['metric']}, "
                 f"{row['arm']}", tone)
        )  # fmt: skip
    if result.get("adaptive"):
        regret = result["adaptive"]["regret"]
        facts += [Fact(f"Regret, {name}", f"{curve['mean'][-1]:.4g}") for name, curve in regret.items()]
    return facts


def _arms(result: Result) -> Section:
    rows, plots = [], []
    control = next(iter(result["arms"]))
    for metric, entry in result["metrics"].items():
        for arm, mean in entry["arms"].items():
            effect = entry["effects"].get(arm)
            rows.append(
                (metric, arm if arm != control else f"{arm} (control)", mean["mean"], bounds(mean),
                 effect["mean"] if effect else None, bounds(effect) if effect else None)
            )  # fmt: skip
        plots.append(effect_plot(entry["effects"], metric))
    columns = ("Metric", "Arm", "Mean", "Interval", "Difference", "Interval of it")
    table = Table(columns, rows, "All simulated users; 95 % intervals")
    text = "What each arm comes to, in the long run: the truth behind the experiments below. The unit is the user."
    return Section("The arms", text, [table], plots[:6])


def _one(result: Result) -> Section | None:
    rows, looks = result.get("comparisons") or [], result["looks"]
    if not rows or len(looks) < 2:
        return None
    first = rows[0]["metric"], rows[0]["arm"]
    here = [row for row in rows if (row["metric"], row["arm"]) == first]
    plots = [
        sequence_plot(looks, row["path"], row["truth"], f"{row['arm']}, {row['metric']}, {row['method']}")
        for row in here
        if row["method"] != "peeking"
    ][:_SHOWN]
    plots.append(p_value_plot(looks, {row["method"]: row["path"]["p"] for row in here}, result["alpha"]))
    text = (
        "The first of the experiments, as somebody sees it who looks at it again and again. Bounds of a fixed horizon "
        "hold at one look only; a confidence sequence holds at all of them."
    )
    return Section("One experiment", text, plots=plots)


def _all(result: Result) -> Section | None:
    rows, looks = result.get("comparisons") or [], result["looks"]
    if not rows:
        return None
    many = len(result["arms"]) > 2
    plots: list[Plot] = []
    for metric in list(dict.fromkeys(row["metric"] for row in rows))[:_SHOWN]:
        here = [{**row, "label": _label(row, many)} for row in rows if row["metric"] == metric]
        if len(looks) > 1:
            curves = {str(row["label"]): row["rejected_by"] for row in here}
            plots += [rejection_plot(looks, curves, metric, result["alpha"]), stopping_plot(here, metric)]
    columns = (
        "Comparison", "True difference", "Finds a difference", "95 % interval", "Users when it stops", "Bias then",
        "Bounds cover",
    )  # fmt: skip
    cells = [
        (
            f"{row['metric']}: {_label(row, many)}", row["truth"], share(row["rejected"]),
            f"{share(row['low'])} to {share(row['high'])}", row["users"], row["bias"], share(row["coverage"]),
        )
        for row in rows
    ]  # fmt: skip
    text = (
        "Where there is a difference, the share of experiments that find it is the power; where there is none, it is "
        "the level, and should not be above the nominal one."
    )
    return Section("All experiments", text, [Table(columns, cells, "Level or power, and when experiments stop")], plots)


def _label(row: Result, many: bool) -> str:
    return f"{row['arm']}, {row['method']}" if many else str(row["method"])


def _adaptive(result: Result) -> Section | None:
    adaptive = result.get("adaptive")
    if not adaptive:
        return None
    columns = (
        "Arm",
        "Users",
        "True mean",
        "Plain mean",
        "Its interval covers",
        "Weighted mean",
        "Its interval covers ",
    )
    cells: Sequence[Sequence[Any]] = [
        (
            row["arm"], share(row["share"]), row["truth"], row["plain"], share(row["plain_coverage"]), row["weighted"],
            share(row["weighted_coverage"]),
        )
        for row in adaptive["estimates"]
    ]  # fmt: skip
    text = (
        "Users go where it looks best so far. What that costs in knowledge: plain means of such data are biased "
        "downwards and their intervals cover too rarely; doubly robust scores with adaptive weights mend most of "
        "that, the better the more users each arm got."
    )
    plot = regret_plot(adaptive["users"], adaptive["regret"], adaptive["metric"])
    table = Table(columns, cells, "Means at the end, averaged over experiments; 95 % intervals")
    return Section("Allocation by a bandit", text, [table], [plot])


def _verdicts(result: Result) -> Section | None:
    rows = result.get("verdicts") or []
    if not rows:
        return None
    cells = [
        (
            f"{row['arm']}, {row['method']}",
            ", ".join(f"{metric} {share(rate)}" for metric, rate in zip(row["metrics"], row["better"], strict=True)),
            ", ".join(f"{metric} {share(rate)}" for metric, rate in zip(row["metrics"], row["worse"], strict=True)),
            share(row["guardrails"]),
            share(row["ship"]),
        )
        for row in rows
    ]
    columns = ("Arm", "Found better", "Found worse", "Guardrails hold", "Shipped")
    text = (
        "Several metrics at once, at the last look: differences count at a false discovery rate of the level over all "
        "metrics (Benjamini and Hochberg); an arm is shipped if something is better, nothing is worse, and every "
        "guardrail excludes a loss of its margin. More of a metric is taken for better."
    )
    return Section("Verdicts", text, [Table(columns, cells, "Shares of experiments")])


def _novelty(result: Result) -> Section | None:
    rows = result.get("novelty") or []
    if not rows:
        return None
    text = (
        "Whether an effect wears off, or grows, as a user is exposed to it longer. Users who have left count nothing "
        "from then on."
    )
    cells = [(row["arm"], row["slope"], row["p"]) for row in rows]
    table = Table(("Arm", "Change of the effect a period", "p-value of no change"), cells, "Trend, one slope a user")
    return Section("Novelty", text, [table], [exposure_plot(row) for row in rows])


def _plan(result: Result) -> Section | None:
    rows = [
        (f"{row['metric']}: {row['method']}", row["effect"], row["users"], share(row["power"]), row.get("expected"),
         row.get("days"))
        for row in result.get("plan") or []
    ]  # fmt: skip
    if not rows:
        return None
    columns = ("Test", "Effect", "Users", "Power", "Users on average", "Days")
    text = "How many users an experiment needs to find the difference over all simulated users with 80 % power."
    return Section("Planning", text, [Table(columns, rows, "Users of both arms together")])


def _making(result: Result) -> Section | None:
    rows = [(name.replace("_", " "), float(value)) for name, value in (result.get("seconds") or {}).items()]
    tables = [Table(("Stage", "Seconds"), rows)] if rows else []
    if result.get("versions"):
        tables.append(Table(("Software", "Version"), [(n, str(v)) for n, v in result["versions"].items()]))
    command = result.get("command")
    if not tables and not command:
        return None
    return Section("How this was made", f"Command: {command}" if command else "", tables)
