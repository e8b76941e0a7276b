"""All benchmarks, one after the other, each in a process of its own: ``python -m benchmarks.together --json``.

Every result goes to ``benchmarks/results``; what they say of the aims (:mod:`benchmarks.aims`) is gathered in
``benchmarks/results/bench.json``, with the speed of each and the most memory it held. A benchmark that fails is
reported and does not stop the others. Exit status 1 if an aim is missed or a benchmark failed.

d3rlpy needs a Gymnasium that is older than what other benchmarks need, so where it is not installed, those beside it
run in ``.venv-gym10``, which ``make test-gym10`` and ``make bench-peers`` make.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.aims import AIMS
from benchmarks.measure import RESULTS, machine, write_result
from benchmarks.peers.environments import python_of

__all__ = ["main", "run"]

_ROOT = Path(__file__).resolve().parents[1]
_BESIDE_D3RLPY = ("offline_agents", "d3rlpy_bridge")


def run(name: str, quick: bool, out: Path) -> dict[str, Any]:
    """Run one benchmark in a process of its own.

    Args:
        name: of its module.
        quick: rough figures in seconds.
        out: gets its result.

    Returns:
        ``name``, ``seconds`` and either the result's ``claims`` and ``process_peak_gib``, or ``error``, its last line.
    """
    start = time.perf_counter()
    # Named from where it runs: a result keeps its command, and that is to say nothing of this machine.
    where = out.relative_to(_ROOT) if out.is_relative_to(_ROOT) else out
    command = [interpreter(name), "-W", "ignore", "-m", f"benchmarks.{name}", "--out", str(where)]
    done = subprocess.run(
        [*command, "--quick"] if quick else command, cwd=_ROOT, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")},
    )  # fmt: skip
    row: dict[str, Any] = {"name": name, "seconds": round(time.perf_counter() - start, 1)}
    if done.returncode != 0:
        return row | {"error": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]}
    body = json.loads(out.read_text(encoding="utf-8"))
    return row | {"process_peak_gib": body["process_peak_gib"], "claims": body["claims"]}


def interpreter(name: str) -> str:
    """The Python that runs a benchmark."""
    other = python_of(_ROOT / ".venv-gym10")
    if name in _BESIDE_D3RLPY and importlib.util.find_spec("d3rlpy") is None and other.is_file():
        return str(other)
    return sys.executable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.together", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"some of {', '.join(AIMS)}")
    parser.add_argument("--quick", action="store_true", help="rough, and written nowhere unless --out is given")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, help="where the gathered result goes")
    args = parser.parse_args(arguments)
    unknown = sorted(set(args.only) - set(AIMS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(AIMS)}")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.only or AIMS:
            rows.append(run(name, args.quick, (Path(scratch) if args.quick else RESULTS) / f"{name}.json"))
            if not args.json:
                _show(rows[-1])
    claims = [{"benchmark": row["name"], **claim} for row in rows for claim in row.get("claims", ())]
    body = machine() | {"name": "bench", "rows": [_without_claims(row) for row in rows], "claims": claims}
    if args.out or not (args.quick or args.only):
        write_result(args.out or RESULTS / "bench.json", body)
    if args.json:
        print(json.dumps(body, indent=2))
    return int(any("error" in row for row in rows) or not all(claim["holds"] for claim in claims))


def _without_claims(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "claims"}


def _show(row: dict[str, Any]) -> None:
    if "error" in row:
        print(f"{row['name']}: {row['error']} ({row['seconds']} s)")
        return
    print(f"{row['name']}: {row['seconds']} s, {row['process_peak_gib']:.2f} GiB at the most")
    for claim in row["claims"]:
        mark = "holds" if claim["holds"] else "MISSED"
        print(f"  {mark}: {claim['claim']}: {claim['value']:.4g} against {claim['reference']:g}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
