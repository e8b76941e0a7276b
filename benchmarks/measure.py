"""What every benchmark shares: timing, fair comparison with a peer, and the record of where a figure comes from."""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.aims import claims_of
from recgym.files import check_writable, write_json

__all__ = [
    "RESULTS", "Face", "Ratio", "Row",
    "finish", "machine", "options", "paired", "peak_gib", "rate", "report", "write_result",
]  # fmt: skip

RESULTS = Path(__file__).resolve().parent / "results"

Face = Literal["core", "gymnasium"]


@dataclass(frozen=True)
class Row:
    """One measured speed.

    Attributes:
        env: name of the environment.
        face: the tensor core, or the Gymnasium interface.
        B: users simulated side by side.
        steps_per_s: user-steps per second: steps of the batch times B, without steps that only reset a user.
    """

    env: str
    face: Face
    B: int
    steps_per_s: float


@dataclass(frozen=True)
class Ratio:
    """Our speed over a peer's, from runs in turn (ours, peer, ours, peer, ...), one ratio a pair.

    Attributes:
        env: our environment.
        peer: the peer's.
        B: users simulated side by side.
        ours: steps per second of each of our runs.
        theirs: steps per second of each of the peer's.
        min: smallest ratio of a pair.
        median: median over pairs.
        max: largest.
    """

    env: str
    peer: str
    B: int
    ours: list[float]
    theirs: list[float]
    min: float
    median: float
    max: float

    def __str__(self) -> str:
        return f"{self.env}, B {self.B}, over {self.peer}: {self.median:.2f} ({self.min:.2f} to {self.max:.2f})"


def rate(call: Callable[[], int], seconds: float) -> float:
    """Count per second of a call that returns how much it did, over at least ``seconds`` after a warm-up.

    The clock is read about 200 times, whatever the call costs, so that reading it costs nothing beside the calls.
    """
    call()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds / 10:
        call()
        calls += 1
    between = max(1, calls // 20)
    count, start, elapsed = 0, time.perf_counter(), 0.0
    while elapsed < seconds:
        for _ in range(between):
            count += call()
        elapsed = time.perf_counter() - start
    return count / elapsed


def paired(
    env: str, peer: str, B: int, ours: Callable[[], float], theirs: Callable[[], float], repeats: int = 5
) -> Ratio:
    """Compare two speeds in turn, so that a machine that slows down for a while slows both.

    Args:
        env: our environment's name.
        peer: the peer's.
        B: users simulated side by side.
        ours: measures our steps per second once.
        theirs: measures the peer's once.
        repeats: pairs to run.

    Raises:
        ValueError: ``repeats`` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"at least one pair is needed, found repeats={repeats}")
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    ratios = [mine / other for mine, other in pairs]
    return Ratio(
        env, peer, B, [mine for mine, _ in pairs], [other for _, other in pairs],
        min(ratios), statistics.median(ratios), max(ratios),
    )  # fmt: skip


def _processor() -> str:
    """The processor's name as the system tells it; Linux keeps it in a file of its own."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine(packages: tuple[str, ...] = ("recgym", "gymnasium", "numpy", "torch")) -> dict[str, Any]:
    """Where and how a figure was taken: command line, processor, cores, threads and versions."""
    module = getattr(sys.modules["__main__"].__spec__, "name", None)
    command = ["python", "-m", module] if module else ["python", sys.argv[0]]
    return {
        "command": " ".join([*command, *sys.argv[1:]]),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "system": platform.system(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
    }


def peak_gib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux


def report(rows: list[Row], ratios: list[Ratio]) -> dict[str, Any]:
    """The body of a result file: :func:`machine`, then ``rows`` and ``ratios``."""
    return machine() | {"rows": [asdict(row) for row in rows], "ratios": [asdict(ratio) for ratio in ratios]}


def options(name: str, doc: str | None) -> argparse.ArgumentParser:
    """The flags that every benchmark has: ``--json``, ``--quick`` and ``--out``.

    Args:
        name: of the benchmark's module.
        doc: its docstring.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--quick", action="store_true", help="rough, and written nowhere unless --out is given")
    parser.add_argument("--out", type=Path, help=f"where the result goes; by default benchmarks/results/{name}.json")
    return parser


def finish(name: str, body: dict[str, Any], args: argparse.Namespace, table: str) -> int:
    """Hold a result against the aims, write it and print it; returns 0.

    Args:
        name: of the benchmark.
        body: what was found; gets ``claims``, see :mod:`benchmarks.aims`, and ``process_peak_gib``, the most memory
            that the process has held, PyTorch and all.
        args: of :func:`options`.
        table: what is printed without ``--json``.
    """
    claims = claims_of(name, body)
    body = body | {"process_peak_gib": round(peak_gib(), 3), "claims": [asdict(claim) for claim in claims]}
    if not args.quick or args.out:
        write_result(args.out or RESULTS / f"{name}.json", body)
    print(json.dumps(body, indent=2) if args.json else "\n".join([table, *map(str, claims)]))
    return 0


def write_result(path: Path, body: dict[str, Any]) -> None:
    """Write a result file atomically; ``path`` is usually ``RESULTS / "NAME.json"``.

    Raises:
        ValueError: the folder cannot be written.
    """
    check_writable(path.parent)
    write_json(path, body)
