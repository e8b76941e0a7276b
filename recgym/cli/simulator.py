"""``recgym simulator``: fit simulated users to a log, and hold them against behaviour that they have not seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recgym.cli.common import Cell, console, print_json, table
from recgym.data import read_log, split_by_time, split_each_user
from recgym.evaluation.fidelity import FidelityReport, check_fidelity
from recgym.files import check_replaceable, check_writable
from recgym.simulators.learned import FittedSimulator, fit, record_gate

__all__ = ["Check", "Fit"]


@dataclass(frozen=True)
class Fit:
    """Fit simulated users to a log.

    Attributes:
        data: The file or folder of the log, as the data set's own download lays it out.
        format: How it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        out: The folder to write the simulator to.
        columns: For the format table, which column is what: user=user_id,item=video_id,time=time_ms:ms,click=is_click.
        holdout: Share of the log, last in time, to keep from the fit and to check it on; 0 fits on all of it.
        seed: Root seed.
    """

    data: Path
    format: str
    out: Path
    columns: str | None = None
    holdout: float = 0.0
    seed: int = 0

    def run(self) -> int:
        """Write the simulator; returns the exit status: 1 if it was checked and failed its gate, else 0."""
        check_replaceable(self.out, "simulator.json")
        check_writable(self.out.parent)
        say = console()
        log = read_log(self.data, self.format, columns=self.columns)
        train = log
        if self.holdout:
            split = split_each_user if log.time_unit == "order" else split_by_time
            train = split(log, self.holdout).train
        say.print(f"Fitting users to {train.n_rows:,} rows of {train.n_users:,} users and {train.n_items:,} items")
        fitted = fit(
            train,
            seed=self.seed,
            progress=lambda epoch: say.print(
                f"pass {epoch.number}: loss {epoch.train_loss:.4f}, on the validation tail {epoch.validation_loss:.4f}"
            ),
        )
        for note in fitted.report.notes:
            say.print(f"note: {note}")
        report = check_fidelity(fitted, log, self.seed) if self.holdout else None
        fitted = fitted if report is None else fitted.with_gate(report.failures)
        fitted.save(self.out)
        say.print(f"wrote {self.out}")
        if report is None:
            return 0
        _show(report)
        return 0 if report.passed else 1


@dataclass(frozen=True)
class Check:
    """Hold simulated users against a log: what lies after the log that they were fitted to.

    The outcome of the gate is noted in the simulator's folder, so that environments made from it can warn.

    Attributes:
        simulator: The folder of the simulator.
        data: The file or folder of the log; it may be the one that the simulator was fitted to, with later rows.
        format: How it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        columns: For the format table, which column is what: user=user_id,item=video_id,time=time_ms:ms,click=is_click.
        json: Print one JSON object instead of tables.
        seed: Root seed of the bootstrap.
    """

    simulator: Path
    data: Path
    format: str
    columns: str | None = None
    json: bool = False
    seed: int = 0

    def run(self) -> int:
        """Print the report; returns the exit status: 0 if the gate is passed, else 1."""
        fitted = FittedSimulator.load(self.simulator)
        report = check_fidelity(fitted, read_log(self.data, self.format, columns=self.columns), self.seed)
        say = console()
        for note in report.notes:
            say.print(f"note: {note}")
        try:
            record_gate(self.simulator, report.failures)
        except OSError as error:
            say.print(f"note: the outcome could not be written to {self.simulator}: {error.strerror or error}")
        if self.json:
            print_json(report.to_json())
        else:
            _show(report)
        return 0 if report.passed else 1


def _show(report: FidelityReport) -> None:
    """Print the report as tables."""
    value = report.to_json()
    rows: list[list[Cell]] = []
    for name, channel in value["channels"].items():
        label = name if channel["given"] is None else f"{name} given {channel['given']}"
        rows.append([label, "learned users", channel["n"], *_measures(channel)])
        rows += [[label, baseline, None, *_measures(scores)] for baseline, scores in channel["baselines"].items()]
    columns = ("channel", "predictor", "rows", "AUC", "log-loss", "ECE", "rate ratio", "rank correlation")
    table(columns, rows, "Predictions on held-out behaviour")
    length = value["session_length"]
    if length is not None:
        table(
            ("sessions", "mean in the log", "mean simulated", "KS", "Wasserstein"),
            [[length[k] for k in ("sessions", "observed_mean", "simulated_mean", "ks", "wasserstein")]],
            "Session length in steps",
        )
    print("gate: passed" if report.passed else "gate: FAILED: " + "; ".join(report.failures))


def _measures(scores: dict[str, Any]) -> list[Cell]:
    return [scores[name] for name in ("auc", "log_loss", "ece", "rate_ratio", "rank_correlation")]
