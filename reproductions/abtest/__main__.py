"""``python -m reproductions.abtest [--quick] [--out FILE]``: see the package's docstring."""

import argparse
import time
from pathlib import Path
from typing import Any

from reproductions.abtest.studies import Size, adaptive, levels, planned_power, policy_power, users
from reproductions.abtest.summary import claims
from reproductions.claims import RESULTS, write_result

POOL, REPLICATIONS = 20_000, 10_000
QUICK_POOL, QUICK_REPLICATIONS, QUICK_POINTS = 3000, 2000, 0.04
SEED = 0


def main(arguments: list[str] | None = None) -> int:
    """Run all studies, then state the claims; returns 1 if one fails."""
    parser = argparse.ArgumentParser(prog="python -m reproductions.abtest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; fewer experiments, wider margins")
    parser.add_argument("--out", type=Path, help="where the result goes")
    parser.add_argument("--workers", type=int, default=1, help="processes; the result does not depend on them")
    args = parser.parse_args(arguments)
    start = time.perf_counter()
    size = Size(QUICK_POOL, QUICK_REPLICATIONS, args.workers) if args.quick else Size(POOL, REPLICATIONS, args.workers)
    rows = run(size, SEED)
    seconds = time.perf_counter() - start
    out = args.out or (Path("runs/abtest/quick.json") if args.quick else RESULTS / "abtest.json")
    command = "python -m reproductions.abtest" + (" --quick" if args.quick else "")
    made = claims(rows, size.replications, QUICK_POINTS) if args.quick else claims(rows, size.replications)
    notes = [
        f"{size.replications:,} experiments each; variances are estimated; always-valid tests count looks from 100 "
        "users an arm on",
        f"pools of {size.pool:,} simulated users an arm, return of a session on recgym/ShortVideo-v0",
    ]
    return 0 if write_result(out, "abtest", command, [SEED], seconds, rows, made, notes) else 1


def run(size: Size, seed: int) -> list[dict[str, Any]]:
    """Rows of all studies."""
    pools = users(size, seed)
    return [row for study in (levels, planned_power, policy_power, adaptive) for row in study(pools, size, seed)]


if __name__ == "__main__":
    raise SystemExit(main())
