"""Speed of off-policy estimates of rounds: ``python -m benchmarks.ope --obp PYTHON --json``.

* ``point``: estimates per second of IPW, SNIPW and DR, from plain arrays (so checking them counts) to a number.
* ``resamples``: bootstrap resamples per second, from plain arrays to an interval.
* ``episodes``: a tenth as many episodes of ten steps, from plain arrays to the number of PDIS and of DR.

A million rounds of ten actions, one thread. Where a Python of an environment with Open Bandit Pipeline is named, it is
timed on the same rounds in turn with ours, and its values must be ours; it draws fewer resamples, as each costs it the
same.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Ratio, finish, machine, options, paired
from benchmarks.peers.environments import BANDITS, add_peers_option
from benchmarks.peers.run_obp import rounds
from recgym.ope import DR, IPW, SNIPW, Bootstrap, Estimator, LoggedRounds, Trajectories, value_of
from recgym.ope.sequential import PDIS, TrajectoryDR
from recgym.seeding import make_generator

__all__ = ["main"]

ESTIMATORS: tuple[Estimator[LoggedRounds], ...] = (IPW(), SNIPW(), DR())
_CLOSE = 1e-9


@dataclass(frozen=True)
class Timing:
    """A measured speed.

    Attributes:
        what: of what.
        n: rounds.
        seconds: median of one point estimate, or of all resamples.
    """

    what: str
    n: int
    seconds: float


def _point(estimator: Estimator[LoggedRounds], data: dict[str, np.ndarray]) -> float:
    return float(value_of(estimator.fractions(_logged(estimator, data)))[0])


def _interval(estimators: tuple[Estimator[LoggedRounds], ...], data: dict[str, np.ndarray], resamples: int) -> None:
    generator = make_generator(0, "benchmark", device="numpy")
    Bootstrap(resamples=resamples).intervals(estimators, _logged(estimators[-1], data), generator)


def _logged(estimator: Estimator[LoggedRounds], data: dict[str, np.ndarray]) -> LoggedRounds:
    """The rounds as an estimator needs them: only DR is given the model."""
    arrays = (data["action"], data["reward"], data["propensity"], data["target"])
    return LoggedRounds(*arrays, q=data["q"] if estimator.name == "DR" else None)


def _rate(call: Callable[[], object], times: int, counted: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return times * counted / (time.perf_counter() - begun)


def timings(data: dict[str, np.ndarray], resamples: int, repeats: int) -> list[Timing]:
    """Our own times: each estimator alone, and all three on the same resamples."""
    n, found = len(data["action"]), []
    for estimator in ESTIMATORS:
        point = [1 / _rate(partial(_point, estimator, data), 1, 1) for _ in range(repeats)]
        found.append(Timing(f"{estimator.name}: point", n, float(np.median(point))))
    for group in (*((one,) for one in ESTIMATORS), ESTIMATORS):
        name = ", ".join(one.name for one in group)
        whole = [1 / _rate(partial(_interval, group, data, resamples), 1, 1) for _ in range(repeats)]
        found.append(Timing(f"{name}: {resamples} resamples", n, float(np.median(whole))))
    return found


def episodes(n: int, steps: int, repeats: int) -> list[Timing]:
    """Our own times for episodes of so many steps, from plain arrays of both policies' probabilities to a number."""
    rng = np.random.default_rng(0)
    reward, logged, target, q, v = (rng.random((n, steps)) + shift for shift in (0.0, 0.1, 0.1, 0.0, 0.0))
    mask = np.ones((n, steps), bool)

    def estimate(estimator: PDIS | TrajectoryDR) -> float:
        data = Trajectories(reward, target / logged, mask, q=q, v=v)
        return float(value_of(estimator.fractions(data))[0])

    found = []
    for estimator in (PDIS(), TrajectoryDR()):
        each = [1 / _rate(partial(estimate, estimator), 1, 1) for _ in range(repeats)]
        found.append(Timing(f"{estimator.name}: episodes of {steps} steps", n, float(np.median(each))))
    return found


def beside_obp(python: Path, data: dict[str, np.ndarray], resamples: int, repeats: int) -> list[Ratio]:
    """Our speed over obp's, which runs once a pair and times all that it does.

    Raises:
        RuntimeError: obp fails, or its values are not ours.
    """
    n = len(data["action"])
    runs: list[dict[str, Any]] = []
    ours: list[dict[str, dict[str, float]]] = []
    for _ in range(repeats):
        runs.append(_obp(python, n, max(resamples // 10, 1)))
        ours.append(
            {
                one.name: {
                    "point": _rate(partial(_point, one, data), 3, 1),
                    "resamples": _rate(partial(_interval, (one,), data, resamples), 1, resamples),
                }
                for one in ESTIMATORS
            }
        )
    found = []
    for one in ESTIMATORS:
        value = _point(one, data)
        if abs(runs[0][one.name]["value"] - value) > _CLOSE:
            raise RuntimeError(f"{one.name} is {value} here and {runs[0][one.name]['value']} in obp")
        for what in ("point", "resamples"):
            mine, theirs = (iter([run[one.name][what] for run in group]) for group in (ours, runs))
            found.append(paired(f"{one.name}: {what}", "obp", n, partial(next, mine), partial(next, theirs), repeats))
    return found


def _obp(python: Path, n: int, resamples: int) -> dict[str, Any]:
    runner = Path(__file__).resolve().parent / "peers" / "run_obp.py"
    done = subprocess.run(
        [str(python), str(runner), "--rounds", str(n), "--resamples", str(resamples)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"timing obp ended with status {done.returncode}: {last}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("ope", __doc__)
    add_peers_option(parser)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args(arguments)
    python = BANDITS.chosen(args.peers)
    n, resamples, repeats = (20_000, 50, 1) if args.quick else (args.rounds, args.resamples, args.repeats)
    data = rounds(n)
    rows = [*timings(data, resamples, repeats), *episodes(n // 10, 10, repeats)]
    ratios = beside_obp(python, data, resamples, repeats) if python else []
    body = machine(("recgym", "numpy", "scipy")) | {
        "rows": [asdict(row) for row in rows],
        "ratios": [asdict(ratio) for ratio in ratios],
    }
    lines = [f"{row.what:40} {row.seconds:9.3f} s" for row in rows]
    return finish("ope", body, args, "\n".join([*lines, *map(str, ratios)]))


if __name__ == "__main__":
    raise SystemExit(main())
