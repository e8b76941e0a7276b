"""Speed of ACT-R activation, and of what is made of it: ``python -m benchmarks.activation --json``.

Timed are the base level and, over a session of ten items, spreading and partial matching, for 4,096 users of 1,000
events each in catalogues of 2,000 and of 20,000 items; then an epoch of PISA, and of SASRec over sessions, which is
PISA without these components, on a log of 2,000 users with 40 sessions of ten of 2,000 items. ``processor_ms`` is the
processor time of one call, summed over threads: other work on the machine changes it less than the time by the clock.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch

from benchmarks.measure import finish, machine, options
from recgym.data import distinct_sessions
from recgym.encoders import Epoch
from recgym.encoders.activation import Association, base_level, partial_matching, spreading
from recgym.encoders.pisa import PISAConfig, fit_pisa
from recgym.simulators.actr import ACTRConfig, actr_log

__all__ = ["Timing", "epochs", "main", "run"]


@dataclass(frozen=True)
class Timing:
    """How long one call takes.

    Attributes:
        what: which component, or an epoch of which model.
        users: B.
        events: T, of each user.
        items: N.
        ms: by the clock, the least of several calls.
        processor_ms: of the processor, the least of several calls.
    """

    what: str
    users: int
    events: int
    items: int
    ms: float
    processor_ms: float


def _least(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Milliseconds by the clock and of the processor."""
    call()
    clock, processor = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        call()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return 1e3 * min(clock), 1e3 * min(processor)


def run(users: int, events: int, num_items: int, repeats: int) -> list[Timing]:
    """Time the three components.

    Args:
        users: B.
        events: T.
        num_items: N.
        repeats: calls of each.
    """
    rng = np.random.default_rng(0)
    items = torch.from_numpy(rng.integers(num_items, size=(users, events)))
    time_s = torch.from_numpy(1.5e9 + np.sort(rng.random((users, events)) * 1e8, axis=1))
    mask, now_s = torch.ones_like(items, dtype=torch.bool), torch.full((users,), 1.6e9, dtype=torch.float64)
    some = rng.integers(num_items, size=(20_000, 10))
    association = Association.of_sessions(some.ravel(), np.arange(20_000).repeat(10), num_items, keep=50)
    embeddings = torch.from_numpy(rng.normal(size=(num_items, 64))).float()
    session, there = items[:, -10:], mask[:, -10:]
    calls: dict[str, Callable[[], object]] = {
        "base level": lambda: base_level(items, time_s, mask, now_s, num_items),
        "spreading": lambda: spreading(association, session, session, there),
        "partial matching": lambda: partial_matching(embeddings, session, session, there),
    }
    return [Timing(what, users, events, num_items, *_least(call, repeats)) for what, call in calls.items()]


def epochs(users: int, sessions: int, num_items: int, repeats: int) -> list[Timing]:
    """Time an epoch of PISA and of SASRec over sessions.

    Args:
        users: of the log.
        sessions: of each, of ten items.
        num_items: N.
        repeats: epochs, after one that does not count.
    """
    world = ACTRConfig(num_items=num_items, num_topics=15, session=(10, 10), window=10 * sessions)
    log = distinct_sessions(actr_log(world, users, sessions, seed=0), gap_s=3600.0)
    rows = []
    for what, config in (("PISA", PISAConfig()), ("SASRec over sessions", PISAConfig.session_sasrec())):
        ended: list[tuple[float, float]] = []  # each epoch's seconds by the clock; the processor's when it was over
        fit_pisa(replace(config, epochs=repeats + 1), log, 0, progress=partial(_passed, ended))
        clock, processor = zip(*ended, strict=True)
        spent = (1e3 * min(clock[1:]), 1e3 * float(np.diff(processor).min()))
        rows.append(Timing(f"epoch of {what}", users, 10 * sessions, num_items, *spent))
    return rows


def _passed(ended: list[tuple[float, float]], epoch: Epoch) -> None:
    ended.append((epoch.seconds, time.process_time()))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/activation.json``."""
    parser = options("activation", __doc__)
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    args = parser.parse_args(arguments)
    if args.threads < 1:
        parser.error(f"--threads must be at least 1, found {args.threads}")
    torch.set_num_threads(args.threads)
    users = 410 if args.quick else 4096
    rows = [row for items in (2_000, 20_000) for row in run(users, 1_000, items, 3 if args.quick else 20)]
    rows += epochs(100, 12, 200, 2) if args.quick else epochs(2_000, 40, 2_000, 5)
    body = machine() | {"rows": [asdict(row) for row in rows]}
    lines = [f"{r.what:30} N = {r.items:6} {r.ms:8.1f} ms {r.processor_ms:8.1f} ms of the processor" for r in rows]
    return finish("activation", body, args, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
