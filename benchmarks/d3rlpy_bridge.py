"""Training through our bridge beside d3rlpy called directly: ``python -m benchmarks.d3rlpy_bridge --json``.

The same algorithm, settings, networks and states: on one side ``OfflineAgent.fit`` with its batches cut from the store,
on the other d3rlpy's own ``fit`` on the ``MDPDataset`` of the same store, its log file and its progress bar switched
off. Both sides run in turn, one thread, and the ratio of each pair counts; the first pair warms up and does not. Making
the states is left out on both sides, as is making the ``MDPDataset``. The bridge promises a ratio of 0.9 or more.
"""

import statistics
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import structlog
import torch

from benchmarks.measure import finish, machine, options
from recgym.agents import RandomPolicy
from recgym.agents.offline import OfflineAgent
from recgym.data.export import to_mdp_dataset
from recgym.data.transitions import TransitionStore
from recgym.envs import make_task
from recgym.evaluation import action_spec, record

__all__ = ["Pairing", "main", "measure"]

LEAST = 0.9
NAMES = ("d3rlpy-discrete-cql", "d3rlpy-iql", "d3rlpy-td3-bc", "d3rlpy-dt")


@dataclass(frozen=True)
class Pairing:
    """One algorithm.

    Attributes:
        agent: its name.
        ours: updates a second of each of our runs.
        theirs: of each of d3rlpy's.
        min: smallest ratio of a pair.
        median: median over pairs.
        max: largest.
    """

    agent: str
    ours: list[float]
    theirs: list[float]
    min: float
    median: float
    max: float


def measure(name: str, store: TransitionStore, updates: int, pairs: int) -> Pairing:
    """Train both ways in turn."""
    from d3rlpy.logging import NoopAdapterFactory

    from recgym.agents.d3rlpy import D3RLPY_CONFIGS

    config = D3RLPY_CONFIGS[name]()
    agent = OfflineAgent.of(config, store).fit(store, 1)
    learner: Any = agent.learner
    dataset = to_mdp_dataset(store, learner.states, type(config).discrete)  # type: ignore[attr-defined]
    direct = learner.algorithm.config.create(device="cpu:0")
    ours, theirs = [], []
    with warnings.catch_warnings(), structlog.testing.capture_logs():
        warnings.simplefilter("ignore")
        for _ in range(pairs + 1):
            start = time.perf_counter()
            agent.fit(store, agent.updates + updates, stretch=updates)
            ours.append(updates / (time.perf_counter() - start))
            start = time.perf_counter()
            direct.fit(
                dataset, n_steps=updates, n_steps_per_epoch=updates, show_progress=False,
                logger_adapter=NoopAdapterFactory(),
            )  # fmt: skip
            theirs.append(updates / (time.perf_counter() - start))
    ratios = [mine / other for mine, other in zip(ours[1:], theirs[1:], strict=True)]
    return Pairing(name, ours[1:], theirs[1:], min(ratios), statistics.median(ratios), max(ratios))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark. A full run is kept in ``results/d3rlpy_bridge.json``."""
    parser = options("d3rlpy_bridge", __doc__)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    updates, pairs = (10, 1) if args.quick else (50, 3)
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 20})
    store = record(RandomPolicy(action_spec(task)), task, 1, max_steps=20)
    rows = [measure(name, store, updates if name != "d3rlpy-dt" else updates // 5, pairs) for name in NAMES]
    body = machine(("recgym", "d3rlpy", "numpy", "torch")) | {
        "env": task.name, "steps": len(store), "updates": updates, "least": LEAST,
        "rows": [asdict(row) for row in rows],
    }  # fmt: skip
    return finish("d3rlpy_bridge", body, args, _table(rows))


def _table(rows: list[Pairing]) -> str:
    lines = [f"{'agent':22} {'ours, updates/s':>16} {'d3rlpy':>8} {'ratio: min':>11} {'median':>7} {'max':>6}"]
    lines += [
        f"{row.agent:22} {statistics.median(row.ours):16,.0f} {statistics.median(row.theirs):8,.0f} "
        f"{row.min:11.2f} {row.median:7.2f} {row.max:6.2f}"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
