"""How far users learned from a real log can be trusted: fitted on its first part, held against the later one.

``python -m reproductions.fidelity --data PATH --format F --out FILE``. The result that is kept for each log is
``results/fidelity_LOG.json``. The log is cut at one moment for all users (its last fifth is held out), the simulator is
fitted with several seeds, and each is checked by :func:`recgym.evaluation.fidelity.check_fidelity`.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recgym.data import InteractionLog, read_log, split_by_time
from recgym.evaluation.fidelity import FidelityReport, FreeRunConfig, check_fidelity
from recgym.files import check_writable
from recgym.simulators.learned import LearnedConfig, fit
from recgym.stats import t_interval
from reproductions.claims import RESULTS, Claim, write_result

SEEDS = (0, 1, 2)
HELD_OUT = 0.2


def main(arguments: list[str] | None = None) -> int:
    """Fit, check and write the result; returns the exit status: 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="file or folder of the log")
    parser.add_argument("--format", required=True, help="how it is laid out, such as ebnerd or kuairand")
    parser.add_argument("--out", type=Path, help="result file; results/fidelity_FORMAT.json by default")
    parser.add_argument("--quick", action="store_true", help="one seed, a short fit and few sessions")
    options = parser.parse_args(arguments)
    out = options.out or RESULTS / f"fidelity_{options.format}.json"
    check_writable(out.parent)
    start = time.perf_counter()
    log = read_log(options.data, options.format)
    seeds = SEEDS[:1] if options.quick else SEEDS
    reports = {seed: _check(log, seed, options.quick) for seed in seeds}
    # The folder that holds the log says nothing about it.
    command = f"python -m reproductions.fidelity --data {options.data.name} --format {options.format}"
    holds = write_result(
        out, f"fidelity_{options.format}", command + (" --quick" if options.quick else ""), seeds,
        time.perf_counter() - start, [row for seed, report in reports.items() for row in _rows(seed, report)],
        _claims(list(reports.values())), _notes(reports),
    )  # fmt: skip
    return 0 if holds else 1


def _check(log: InteractionLog, seed: int, quick: bool) -> FidelityReport:
    start = time.perf_counter()
    config = LearnedConfig(max_epochs=3) if quick else LearnedConfig()
    fitted = fit(split_by_time(log, HELD_OUT).train, config, seed)
    middle = time.perf_counter()
    report = check_fidelity(fitted, log, seed, sessions=FreeRunConfig(sessions=1000) if quick else None)
    end = time.perf_counter()
    print(f"seed {seed}: fit in {middle - start:.0f} s, checked in {end - middle:.0f} s", file=sys.stderr)
    return report


def _rows(seed: int, report: FidelityReport) -> list[dict[str, Any]]:
    """The report as flat rows, without curves."""
    value = report.to_json()
    rows = [
        {"part": "prediction", "channel": name, "predictor": predictor, **_numbers(scores)}
        for name, channel in value["channels"].items()
        for predictor, scores in {"learned users": channel, **channel["baselines"]}.items()
    ]
    length = value["session_length"]
    if length is not None:
        rows.append({"part": "session length along the log", **_numbers(length)})
    run = value["free_run"]
    if run is not None:
        rows += [{"part": name, **_numbers(run[name])} for name in ("session_length", "return_gap")]
        tests = {name: test for name, test in run["two_sample"].items() if isinstance(test, dict)}
        rows += [
            {"part": "two-sample test", "sessions_of": name, **_numbers(test), "telltales": test["telltales"]}
            for name, test in tests.items()
        ]
        rows += [{"part": "slice", **part} for part in run["slices"]]
    rows += [{"part": "gate", **check} for check in value["checks"]]
    return [{"seed": seed, **row} for row in rows]


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is no curve and no nested part."""
    return {name: value for name, value in values.items() if not isinstance(value, dict | list | tuple)}


def _claims(reports: list[FidelityReport]) -> list[Claim]:
    """What the reports of all seeds say together; runs without a baseline state fewer claims."""
    claims = []
    runs = [report.free_run for report in reports if report.free_run is not None]
    shares = [run.share.mean for run in runs if run.share is not None]
    if shares:
        claim = "two-sample AUC - 0.5 of the learned users over that of users by popularity and overall rates"
        claims.append(_at_most(claim, shares, 0.5))
    if runs:
        control = runs[0].control.auc
        far = max(control.low - 0.5, 0.5 - control.high, 0.0)
        claims.append(
            Claim(
                "real sessions cannot be told from real ones: two-sample AUC", control.mean, control.low, control.high,
                0.5, far == 0.0,
            )
        )  # fmt: skip
    primary = reports[0].primary
    gains = [report.channels[primary].auc_gain["popularity"] for report in reports]
    worst = min(gains, key=lambda gain: gain.low)
    claims.append(
        Claim(f"AUC of {primary} minus that of item popularity, worst seed", *worst, 0.0, bool(worst.low > 0))
    )
    errors = [max(_calibration_errors(report)) for report in reports]
    claims.append(_at_most("largest expected calibration error of a channel", errors, 0.03))
    return claims


def _calibration_errors(report: FidelityReport) -> list[float]:
    errors = [check.found.mean for check in report.checks if check.name.startswith("expected calibration error")]
    return errors or [float("nan")]


def _at_most(claim: str, values: list[float], reference: float) -> Claim:
    """That a mean over seeds is at most a reference, with Student's t interval where there are several."""
    mean, low, high = t_interval(np.asarray(values)) if len(values) > 1 else (values[0],) * 3
    return Claim(claim, mean, low, high, reference, mean <= reference)


def _notes(reports: Mapping[int, FidelityReport]) -> list[str]:
    failures = [f"seed {seed}: gate: {failure}" for seed, report in reports.items() for failure in report.failures]
    first = next(iter(reports.values()))
    run = () if first.free_run is None else first.free_run.notes
    return [*first.notes, *run, *failures]


if __name__ == "__main__":
    sys.exit(main())
