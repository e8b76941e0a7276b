"""``recgym demo``: from a log to a trained policy and a report, in one command."""

import sys
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import torch
import tyro

from recgym.cli.common import console, print_json, table
from recgym.cli.reading import read_told
from recgym.evaluation.embedded import embedded_log
from recgym.evaluation.pipeline import PipelineConfig, Truth, run_pipeline
from recgym.files import check_writable, write_json
from recgym.progress import Bars
from recgym.report import demo_report, write_report

__all__ = ["Demo"]

_EMBEDDED = (
    "The log is embedded: a behaviour policy rolled out on hand-made users (recgym/InterestEvolution-v0), "
    "so the truth is known."
)


@dataclass(frozen=True)
class Demo:
    """Read a log, fit simulated users, check them, train policies on them, compare, and write a report.

    Without ``--data`` it runs on an embedded log, rolled out on hand-made users, so that the truth is known.

    Attributes:
        data: file or folder of the log.
        format: format of the log.
        columns: column mapping of the format table, such as user=user_id,item=video_id,time=time_ms:ms,click=is_click,
            and slate=* if each row is an item that was shown by itself, taken or not.
        out: folder for the simulator, the agent, ``result.json`` and ``report.html``.
        json: print one JSON object in place of tables.
        quick: a tenth of the training and evaluation.
        seed: root seed.
        threads: threads of torch.
        quiet: no remarks and no progress.
    """

    out: Path
    data: Path | None = None
    format: str | None = None
    columns: str | None = None
    json: bool = False
    quick: bool = False
    seed: int = 0
    threads: Annotated[int, tyro.conf.arg(help="Threads of torch; more than one pays only on an idle machine.")] = 1
    quiet: bool = False

    def run(self) -> int:
        """Do it; 0 if all went well. A simulator that fails its gate is reported, not an error of the demo."""
        start = time.perf_counter()
        if (self.data is None) != (self.format is None):
            raise ValueError("--data and --format go together: give both, or neither for the embedded log")
        if self.columns is not None and self.data is None:
            raise ValueError("--columns needs --data and --format table")
        if self.threads < 1:
            raise ValueError(f"--threads must be at least 1, found {self.threads}")
        check_writable(self.out)
        torch.set_num_threads(self.threads)
        say = console(self.quiet)
        config = PipelineConfig(seed=self.seed)
        if self.quick:
            config = replace(config, train_steps=config.train_steps // 10, users=128, seeds=(0, 1, 2))
        if self.data is None or self.format is None:
            say.print(_EMBEDDED)
            embedded = embedded_log(seed=self.seed)
            log, truth = embedded.log, Truth(embedded.truth, _EMBEDDED)
        else:
            say.print(f"Reading {self.data}")
            log, truth = read_told(self.data, self.format, self.columns, say), None
        read_seconds = time.perf_counter() - start
        with Bars(say) as bars:
            result = run_pipeline(log, self.out, config, truth, say.print, bars)
        result["dataset"] |= {"format": self.format or "embedded", "embedded": truth is not None}
        result["seconds"] = {"read": round(read_seconds, 2), **result["seconds"]}
        result["seconds"]["total"] = round(time.perf_counter() - start, 2)
        result["command"] = "recgym " + " ".join(sys.argv[1:])
        result["versions"] = {name: version(name) for name in ("recgym", "gymnasium", "stable-baselines3", "torch")}
        write_json(self.out / "result.json", result)
        write_report(demo_report(result), self.out / "report.html")
        if self.json:
            print_json(result)
        else:
            _print(result, self.out)
        return 0


def _print(result: dict[str, object], out: Path) -> None:
    fidelity: dict[str, dict[str, object]] = result["fidelity"]  # type: ignore[assignment]
    policies: dict[str, dict[str, float]] = result["policies"]  # type: ignore[assignment]
    truth: dict[str, dict[str, dict[str, float]]] = result.get("truth", {})  # type: ignore[assignment]
    rows = [[name, c["auc"], c["ece"], c["rate_ratio"]] for name, c in fidelity.items()]
    table(["channel", "AUC", "ECE", "rate ratio"], rows, title="Learned users on behaviour they have not seen")  # type: ignore[arg-type]
    true = truth.get("policies", {})
    columns = ["policy", "return", "low", "high", "session length", *(["return with the true users"] if true else [])]
    lines = [
        [name, p["return"], p["low"], p["high"], p["session_length"], *([true[name]["return"]] if true else [])]
        for name, p in policies.items()
    ]
    table(columns, lines, title="Policies with the learned users (95 % intervals)")  # type: ignore[arg-type]
    if truth:
        console().print(str(truth["text"]))
    for warning in result["warnings"]:  # type: ignore[attr-defined]
        console().print(f"Warning: {warning}")
    console().print(f"Report: {out / 'report.html'}")
