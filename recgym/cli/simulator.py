"""``recgym simulator``: fit simulated users to a log, and hold them against behaviour that they have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from recgym.cli.common import Cell, console, jsonable, print_json, table
from recgym.cli.reading import read_told
from recgym.cli.simulator_set import set_report
from recgym.data import InteractionLog, split_by_time, split_each_user
from recgym.evaluation.fidelity import FidelityReport, GateConfig, check_fidelity
from recgym.files import check_replaceable, check_writable, write_json
from recgym.progress import Bars, Progress, Tick
from recgym.simulators.learned import (
    FittedSimulator,
    LearnedConfig,
    SetConfig,
    fit,
    fit_set,
    record_gate,
    refine_adversarially,
)
from recgym.simulators.learned.simulator_set import is_set, member_folders
from recgym.simulators.learned.training import Epoch

__all__ = ["Check", "Fit"]


@dataclass(frozen=True)
class Fit:
    """Fit simulated users to a log.

    Attributes:
        data: The file or folder of the log, as the data set's own download lays it out.
        format: How it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        out: The folder to write the simulator to, and what the check of the held-out part found (result.json).
        columns: For the format table, which column is what, such as
            user=user_id,item=video_id,time=time_ms:ms,click=is_click,slate=*. Without a slate each row is something
            taken; slate=* says that each is an item shown by itself, taken or not.
        holdout: Share of the log, last in time, to keep from the fit and to check it on; 0 fits on all of it.
        seed: Root seed.
        members: How many simulators to fit, which differ in what the log leaves open; more than 1 make a set.
            A set that was cut short goes on where it was when the same command is given again.
        adversarial: Refine the fitted users against a discriminator of sessions; kept only where the log's tail is
            harder to tell from simulated sessions afterwards. Of a single simulator.
        gate: Thresholds of the check.
        json: Print one JSON object in place of tables: what the check of the held-out part found, null without one.
        quiet: No remarks and no progress.
    """

    data: Path
    format: str
    out: Path
    columns: str | None = None
    holdout: float = 0.0
    seed: int = 0
    members: int = 1
    adversarial: bool = False
    gate: GateConfig = field(default_factory=GateConfig)
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Write the simulator or set; returns the exit status: 1 if it was checked and failed its gate, else 0."""
        if self.adversarial and self.members != 1:
            raise ValueError(f"--adversarial refines a single simulator, found --members {self.members}")
        if self.members == 1:
            check_replaceable(self.out, "simulator.json")
        check_writable(self.out.parent)
        say = console(self.quiet)
        with Bars(say) as bars:
            bars(Tick(f"reading {self.data}"))
            log = read_told(self.data, self.format, self.columns, say)
            train = log
            if self.holdout:
                split = split_each_user if log.time_unit == "order" else split_by_time
                train = split(log, self.holdout).train
            say.print(f"Fitting users to {train.n_rows:,} rows of {train.n_users:,} users and {train.n_items:,} items")
            made = self._fit_one if self.members == 1 else self._fit_set
            value = made(train, log, say, bars)
            if value is not None:  # for recgym report and recgym view
                write_json(self.out / "result.json", _result(self.out, self.data, value))
            say.print(f"wrote {self.out}")
        if self.json:
            print_json({"out": str(self.out), "check": value})
        elif value is not None:
            _show(value)
        return 0 if value is None or value["passed"] else 1

    def _fit_one(
        self, train: InteractionLog, log: InteractionLog, say: Console, progress: Progress
    ) -> dict[str, Any] | None:
        """Fit one simulator to a part of the log, and check it if the rest is held out."""
        progress(Tick("fitting", 0, LearnedConfig().max_epochs, "passes"))
        fitted = fit(train, seed=self.seed, progress=partial(_passed, say, progress, ""))
        if self.adversarial:
            progress(Tick("refining"))
            fitted = refine_adversarially(
                fitted, train, seed=self.seed,
                progress=lambda c: say.print(f"round {c.number}: sessions are told apart with AUC {c.auc:.3f}"),
            )  # fmt: skip
        for note in fitted.report.notes:
            say.print(f"note: {note}")
        if not self.holdout:
            fitted.save(self.out)
            return None
        progress(Tick("checking"))
        report = check_fidelity(fitted, log, self.seed, gate=self.gate)
        fitted.with_gate(report.failures).save(self.out)
        return report.to_json()

    def _fit_set(
        self, train: InteractionLog, log: InteractionLog, say: Console, progress: Progress
    ) -> dict[str, Any] | None:
        """Fit the members of a set to a part of the log, and check them if the rest is held out."""
        fit_set(
            train,
            SetConfig(self.members),
            self.seed,
            self.out,
            lambda member, epoch: _passed(say, progress, f"member {member}, ", epoch),
        )
        return (
            _checked(member_folders(self.out), True, log, self.seed, self.gate, say, progress) if self.holdout else None
        )


@dataclass(frozen=True)
class Check:
    """Hold simulated users against a log: what lies after the log that they were fitted to.

    The outcome of the gate is noted in the simulator's folder, so that environments made from it can warn. Of a set,
    each member is checked; numbers are means over the members, and all of them must pass.

    Attributes:
        simulator: The folder of the simulator, or of a set.
        data: The file or folder of the log; it may be the one that the simulator was fitted to, with later rows.
        format: How it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        columns: For the format table, which column is what, such as
            user=user_id,item=video_id,time=time_ms:ms,click=is_click,slate=*. Without a slate each row is something
            taken; slate=* says that each is an item shown by itself, taken or not.
        json: Print one JSON object instead of tables.
        seed: Root seed of the bootstrap.
        gate: Thresholds of the check.
        out: Folder that gets result.json, for recgym report and recgym view.
        quiet: No remarks and no progress.
    """

    simulator: Path
    data: Path
    format: str
    columns: str | None = None
    json: bool = False
    seed: int = 0
    gate: GateConfig = field(default_factory=GateConfig)
    out: Path | None = None
    quiet: bool = False

    def run(self) -> int:
        """Print the report; returns the exit status: 0 if the gate is passed, else 1."""
        if self.out is not None:
            check_writable(self.out)
        say, whole = console(self.quiet), is_set(self.simulator)
        with Bars(say) as bars:
            bars(Tick(f"reading {self.data}"))
            log = read_told(self.data, self.format, self.columns, say)
            folders = member_folders(self.simulator) if whole else (self.simulator,)
            value = _checked(folders, whole, log, self.seed, self.gate, say, bars)
        for note in value["notes"]:
            say.print(f"note: {note}")
        if self.out is not None:
            write_json(self.out / "result.json", _result(self.simulator, self.data, value))
        if self.json:
            print_json(value)
        else:
            _show(value)
        return 0 if value["passed"] else 1


def _result(simulator: Path, data: Path, value: dict[str, Any]) -> Any:
    return jsonable({"simulator": str(simulator), "data": str(data), **value})


def _passed(say: Console, progress: Progress, before: str, epoch: Epoch) -> None:
    say.print(
        f"{before}pass {epoch.number}: loss {epoch.train_loss:.4f}, on the validation tail {epoch.validation_loss:.4f}"
    )
    progress(Tick(f"{before}fitting", epoch.number, LearnedConfig().max_epochs, "passes"))


def _checked(
    folders: Sequence[Path], whole: bool, log: InteractionLog, seed: int, gate: GateConfig, say: Console,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """Check simulators, note the outcome in their folders, and report, of a set as means."""
    reports: list[FidelityReport] = []
    for done, folder in enumerate(folders):
        progress(Tick("checking", done, len(folders) if whole else None, "members" if whole else ""))
        reports.append(check_fidelity(FittedSimulator.load(folder), log, seed, gate=gate))
        try:
            record_gate(folder, reports[-1].failures)
        except OSError as error:
            say.print(f"note: the outcome could not be written to {folder}: {error.strerror or error}")
    return set_report(reports) if whole else reports[0].to_json()


def _show(value: dict[str, Any]) -> None:
    """Print a report, as JSON would hold it, as tables."""
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
    checks = value.get("checks", [])
    if checks:
        shown = [
            [c["check"], c["found"], c["low"], c["high"], c["expected"], "yes" if c["passed"] else "NO"] for c in checks
        ]
        table(("check", "found", "low", "high", "wanted", "passed"), shown, "Gate")
    if "members" in value:
        print(f"means over {len(value['members'])} members")
    print("gate: passed" if value["passed"] else "gate: FAILED: " + "; ".join(value["failures"]))


def _measures(scores: dict[str, Any]) -> list[Cell]:
    return [scores[name] for name in ("auc", "log_loss", "ece", "rate_ratio", "rank_correlation")]
