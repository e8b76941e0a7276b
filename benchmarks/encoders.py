"""Speed of encoders: training, one step, long histories; ``python -m benchmarks.encoders --data DIR --json``.

* ``training``: events trained on per second, SASRec with cross-entropy over the whole catalogue, on MovieLens-1M and
  Amazon Beauty, against :mod:`benchmarks.plain_sasrec` (the same model written plainly) and, where its environment has
  been made, against RecBole's SASRec on the same data. Whole updates are timed: batch, forward, backward, optimiser.
* ``step``: time of one event of each user, B = 1 and 1,024, and of encoding the window anew.
* ``length``: forward and backward of HSTU and of the softmax Transformer of the same size, and of SIGMA, at growing
  lengths: a time per event that does not grow is linear.

Ratios come from runs in turn (ours, peer, ours, peer, ...).
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import Ratio, finish, machine, options, paired
from benchmarks.peers.environments import RECBOLE, add_peers_option
from benchmarks.plain_sasrec import PlainSASRec, padded_batches
from recgym.data import leave_one_out, read_log
from recgym.encoders import (
    Batch,
    Catalogue,
    Event,
    Example,
    ModelConfig,
    NextItemModel,
    SASRecConfig,
    SequenceEncoder,
    Sequences,
    seeded,
)
from recgym.encoders.fit import StageRun
from recgym.encoders.hstu import HSTUConfig
from recgym.encoders.sigma import SIGMAConfig

__all__ = ["main"]

DATA = {"ml-1m": ("ml-1m/sequences.txt.gz", 2, 200, 128), "beauty": ("amazon-sequences/Beauty.txt", 1, 50, 256)}
"""Name -> file, blocks, window, users of a batch."""
LENGTHS = (256, 512, 1024, 2048)


@dataclass(frozen=True)
class Timing:
    """A measured time.

    Attributes:
        what: of what.
        B: users at once.
        T: events of a history.
        milliseconds: median.
        p99: 99th percentile, in milliseconds.
        events_per_s: events (or states) per second, by the median.
    """

    what: str
    B: int
    T: int
    milliseconds: float
    p99: float
    events_per_s: float


def _train_sequences(root: Path, name: str) -> Sequences:
    return Sequences.from_log(leave_one_out(read_log(root / DATA[name][0], "sequences")).train)


class _Ours:
    """Training of a model of recgym, update by update."""

    def __init__(self, config: SASRecConfig, sequences: Sequences, batch_size: int) -> None:
        catalogue = Catalogue.of(sequences)
        with seeded(0, "benchmark"):
            model = config.build(catalogue).train()
        self.run = StageRun(model, sequences, config.stages(catalogue)[0], 1, 0)
        rng = np.random.default_rng(0)
        # Each user's newest window, as the peers train on it.
        epochs: Iterator[Iterator[Example]] = (
            sequences.examples(config.window, batch_size, rng, newest_only=True) for _ in repeat(0)
        )
        self.batches = chain.from_iterable(epochs)

    def update(self) -> int:
        example = next(self.batches)
        self.run.update(example)
        return int(example.inputs.mask.sum())


class _Plain:
    """The same, written plainly."""

    def __init__(self, config: SASRecConfig, sequences: Sequences, batch_size: int) -> None:
        self.model = PlainSASRec(
            sequences.num_items, config.width, config.blocks, config.heads, config.window, config.dropout
        ).train()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), 1e-3)
        rng = np.random.default_rng(0)
        epochs = (padded_batches(sequences, config.window, batch_size, rng) for _ in repeat(0))
        self.batches = chain.from_iterable(epochs)

    def update(self) -> int:
        items, targets = next(self.batches)
        self.optimiser.zero_grad()
        self.model.loss(items, targets).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return int((targets != self.model.num_items).sum())


def _rate(update: Callable[[], int], updates: int) -> float:
    """Events per second over so many updates; batches differ in length, so a time limit would favour short ones."""
    begun, events = time.perf_counter(), 0
    for _ in range(updates):
        events += update()
    return events / (time.perf_counter() - begun)


def training(root: Path, updates: int, repeats: int, recbole: Path | None) -> list[Ratio]:
    """Our events per second over those of each peer."""
    ratios = []
    for name, (file, blocks, window, batch_size) in DATA.items():
        sequences = _train_sequences(root, name)
        config = SASRecConfig(width=64, blocks=blocks, window=window, dropout=0.2)
        mine, plain = _Ours(config, sequences, batch_size), _Plain(config, sequences, batch_size)
        _rate(mine.update, 3), _rate(plain.update, 1)
        ours = partial(_rate, mine.update, 16 * updates)
        title = f"SASRec on {name}"
        theirs = partial(_rate, plain.update, updates)
        ratios.append(paired(title, "plain PyTorch", batch_size, ours, theirs, repeats))
        if recbole is not None:
            theirs = partial(_recbole, recbole, root / file, blocks, window)
            ratios.append(paired(title, "RecBole", batch_size, ours, theirs, max(repeats // 2, 1)))
    return ratios


def _recbole(python: Path, file: Path, blocks: int, window: int) -> float:
    """Events per second of RecBole's SASRec with its own cross-entropy loss, in a process of its own."""
    runner = Path(__file__).resolve().parent / "peers" / "run_recbole.py"
    flags = ["--file", str(file), "--blocks", str(blocks), "--window", str(window), "--seconds", "20"]
    threads = str(torch.get_num_threads())
    done = subprocess.run(
        [str(python), str(runner), *flags],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": threads},
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"timing RecBole ended with status {done.returncode}: {last}")
    return float(json.loads(done.stdout.strip().splitlines()[-1])["events_per_s"])


def _times(call: Callable[[], None], seconds: float, fewest: int) -> np.ndarray:
    call()
    found: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds or len(found) < fewest:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return np.array(found)


def _timing(what: str, users: int, events: int, counted: int, times: np.ndarray) -> Timing:
    middle, late = np.quantile(times, [0.5, 0.99])
    return Timing(what, users, events, 1e3 * float(middle), 1e3 * float(late), counted / float(middle))


@torch.no_grad()
def steps(seconds: float, fewest: int, num_items: int = 10_000) -> list[Timing]:
    """One event of each user, and encoding the window anew."""
    catalogue = Catalogue.of(_random(num_items, 50, 60))
    found = []
    for name, config in (
        ("SASRec, rotary", SASRecConfig(window=50, heads=2, rotary=True)),
        ("HSTU, relative", HSTUConfig(width=64, window=50, absolute=False, timed=False)),
    ):
        with seeded(0, "benchmark"):
            encoder = config.build(catalogue).eval().encoder
        for users in (1, 1024):
            found += _stepping(name, encoder, users, seconds, fewest)
    return found


def _stepping(name: str, encoder: SequenceEncoder, users: int, seconds: float, fewest: int) -> list[Timing]:
    histories = _random(encoder.items.num_items, users, encoder.window).histories(np.arange(users), encoder.window)
    state = encoder.start(histories)
    event = Event(histories.items[:, 0])

    def step() -> None:
        nonlocal state
        state, _ = encoder.step(state, event)

    def anew() -> None:
        encoder.final(Batch(histories.items, histories.mask))

    return [
        _timing(f"{name}: one step", users, encoder.window, users, _times(step, seconds, fewest)),
        _timing(f"{name}: the window anew", users, encoder.window, users, _times(anew, seconds, fewest)),
    ]


def _random(num_items: int, users: int, events: int) -> Sequences:
    items = np.random.default_rng(0).integers(0, num_items, users * events)
    return Sequences(items, np.arange(users + 1) * events, num_items)


def lengths(seconds: float, fewest: int, growing: tuple[int, ...]) -> list[Timing]:
    """Forward and backward of 8 histories at growing lengths, for models of one size."""
    found = []
    for events in growing:
        models: dict[str, ModelConfig] = {
            "HSTU": HSTUConfig(width=64, heads=2, window=events, timed=False, dropout=0.0),
            "softmax Transformer": SASRecConfig(width=64, heads=2, window=events, dropout=0.0),
            "SIGMA": SIGMAConfig(width=64, window=events, dropout=0.0),
        }
        for name, config in models.items():
            sequences = _random(1000, 8, events)
            with seeded(0, "benchmark"):
                model = config.build(Catalogue.of(sequences)).train()
            times = _times(_pass(model, sequences.histories(np.arange(8), events)), seconds, fewest)
            found.append(_timing(f"{name}: forward and backward", 8, events, 8 * events, times))
    return found


def _pass(model: NextItemModel, batch: Batch) -> Callable[[], None]:
    def call() -> None:
        model.zero_grad(set_to_none=True)
        model.encoder(replace(batch, time_s=None)).square().mean().backward()

    return call


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("encoders", __doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the data sets")
    add_peers_option(parser)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    args = parser.parse_args(arguments)
    python = RECBOLE.chosen(args.peers)
    torch.set_num_threads(args.threads)
    seconds, fewest, updates, repeats = (0.05, 1, 1, 1) if args.quick else (3.0, 5, 4, 5)
    timings = [*steps(seconds, fewest), *lengths(seconds, fewest, LENGTHS[:1] if args.quick else LENGTHS)]
    ratios = training(args.data, updates, repeats, python) if args.data.exists() else []
    body = machine() | {"rows": [asdict(row) for row in timings], "ratios": [asdict(ratio) for ratio in ratios]}
    lines = [
        f"{row.what:40} B {row.B:5} T {row.T:5} {row.milliseconds:9.2f} ms  p99 {row.p99:9.2f} ms" for row in timings
    ]
    return finish("encoders", body, args, "\n".join([*lines, *map(str, ratios)]))


if __name__ == "__main__":
    raise SystemExit(main())
