"""How time and memory grow with users, items, history, slate and candidates: ``python -m benchmarks.growth --json``.

One thing grows at a time, each size in a process of its own, so that the most memory it held is its own (what PyTorch
and recgym take before anything is simulated is taken off). A slope is that of the logarithms by least squares, over
the sizes at which the time has more than doubled from the smallest; 1 is proportional, 0 is flat.

==============  ==============================================================================================
``users``       a step of B users of ``recgym/ShortVideo-v0``, one video of 20 on offer, observations included
``slate``       the same, 1,024 users, K of 100 candidates
``candidates``  the same, 1,024 users, one of M candidates
``history``     encoding the windows of 16 users anew: SASRec of 64, two blocks, T events
``session``     one event of 16 users with the state that such an encoder carries on, after T events
``items``       the best 100 of N items for 64 users, by :class:`recgym.encoders.ItemRetriever`
==============  ==============================================================================================
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context

import numpy as np
import torch

from benchmarks.measure import finish, machine, options, peak_gib
from recgym.encoders import Batch, Catalogue, Event, ItemRetriever, SASRecConfig, Sequences, seeded
from recgym.envs import RecVectorEnv, make_task
from recgym.types import History

__all__ = ["SIZES", "main", "slope"]

SIZES = {
    "users": (64, 256, 1024, 4096, 16_384, 65_536, 262_144),
    "slate": (1, 2, 5, 10, 20, 50),
    "candidates": (10, 30, 100, 300, 1000),
    "history": (32, 64, 128, 256, 512, 1024),
    "session": (32, 64, 128, 256, 512, 1024),
    "items": (1000, 10_000, 100_000, 1_000_000),
}
_WINDOW = 50


@dataclass(frozen=True)
class Cost:
    """What one size costs.

    Attributes:
        axis: what grows.
        size: how large it is.
        milliseconds: median of a call.
        mebibytes: the most memory held, above that of the process before.
    """

    axis: str
    size: int
    milliseconds: float
    mebibytes: float


def _world(users: int, slate: int, candidates: int) -> Callable[[], object]:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": slate, "num_candidates": candidates})
    env = RecVectorEnv(task, users, seed=0)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    places = np.arange(slate)

    def call() -> object:
        first = rng.integers(0, candidates, users)
        return env.step(first if slate == 1 else (first[:, None] + places) % candidates)

    return call


def _histories(items: int, users: int, events: int, window: int) -> tuple[History, SASRecConfig, Catalogue]:
    consumed = torch.from_numpy(np.random.default_rng(0).integers(0, items, (users, events)))
    times = torch.arange(events, dtype=torch.float64).expand(users, -1)
    history = History(consumed, torch.zeros(users, events, 0), times, torch.ones_like(consumed, dtype=torch.bool))
    sequences = Sequences(consumed.numpy().ravel(), np.arange(users + 1) * events, items)
    return history, SASRecConfig(window=window, heads=2, rotary=True), Catalogue.of(sequences)


def _encoding(events: int) -> Callable[[], object]:
    history, config, catalogue = _histories(1000, 16, events, events)
    with seeded(0, "benchmark"):
        encoder = config.build(catalogue).eval().encoder
    return lambda: encoder.final(Batch.from_history(history))


def _going_on(events: int) -> Callable[[], object]:
    history, config, catalogue = _histories(1000, 16, events, _WINDOW)
    with seeded(0, "benchmark"):
        encoder = config.build(catalogue).eval().encoder
    state = encoder.start(Batch.from_history(history))
    event = Event(history.items[:, 0], history.time_s[:, -1] + 1, history.feedback[:, 0])
    return lambda: encoder.step(state, event)


def _retrieving(items: int) -> Callable[[], object]:
    history, config, catalogue = _histories(items, 64, _WINDOW, _WINDOW)
    with seeded(0, "benchmark"):
        model = config.build(catalogue).eval()
    return lambda: ItemRetriever(model).retrieve(torch.arange(64), history, 100)


MAKERS: dict[str, Callable[[int], Callable[[], object]]] = {
    "users": lambda size: _world(size, 1, 20),
    "slate": lambda size: _world(1024, size, 100),
    "candidates": lambda size: _world(1024, 1, size),
    "history": _encoding,
    "session": _going_on,
    "items": _retrieving,
}


@torch.no_grad()
def measure(axis: str, size: int, seconds: float) -> Cost:
    """Time one size, in this process."""
    torch.set_num_threads(1)
    before = peak_gib()
    call = MAKERS[axis](size)
    call()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return Cost(axis, size, 1e3 * statistics.median(times), 1024 * (peak_gib() - before))


def slope(costs: list[Cost]) -> float:
    """By how much the logarithm of the time grows with that of the size, where the time has begun to grow."""
    least = min(cost.milliseconds for cost in costs)
    grown = [cost for cost in costs if cost.milliseconds > 2 * least]
    used = grown if len(grown) > 1 else costs
    return float(np.polyfit(np.log([cost.size for cost in used]), np.log([cost.milliseconds for cost in used]), 1)[0])


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    args = options("growth", __doc__).parse_args(arguments)
    rows = []
    for axis, sizes in SIZES.items():
        for size in sizes[:2] if args.quick else sizes:
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                rows.append(alone.submit(measure, axis, size, 0.01 if args.quick else 1.0).result())
    slopes = {axis: slope([row for row in rows if row.axis == axis]) for axis in SIZES}
    body = machine() | {"rows": [asdict(row) for row in rows], "slopes": slopes}
    lines = [f"{row.axis:11} {row.size:9,} {row.milliseconds:10.2f} ms {row.mebibytes:9.1f} MiB" for row in rows]
    lines += [f"{axis}: time grows by the power {power:.2f}" for axis, power in slopes.items()]
    return finish("growth", body, args, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
