"""Rounds per second of bandits: a round is one choice and one update, 20 arms, 20 features.

``python -m benchmarks.bandits`` times them beside the Open Bandit Pipeline, MABWiser and Vowpal Wabbit (its RegCB, as
it has no LinUCB, told in its text format), which live in an environment of their own (``make bench-peers``), on the
same rounds, in turn. "One stream" is a single replication in double precision; "256 replications" are as many learners,
each with rewards of its own, side by side in single precision, and their rounds are summed; they are independent, so
half of them run in each of two processes, which begin together (in this one with ``--processes 1``). Propensities are
left out on both sides. Arms of LinUCB are held against the peers' given the same past: the share of rounds in which the
peer's arm has our largest index.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Ratio, finish, machine, options, paired
from benchmarks.peers import environments
from benchmarks.peers.run_bandits import KEPT, PEER_ROUNDS, rounds
from recgym.agents.bandits import (
    TVUCB,
    UCB1,
    BanditSpec,
    BernoulliTS,
    Context,
    HybridLinUCB,
    LinTS,
    LinUCB,
    LogisticTS,
)
from recgym.agents.bandits.ridge import predict
from recgym.seeding import make_generator

ARMS, WIDTH, ROUNDS = 20, 20, 4096
BANDITS: dict[str, Any] = {
    "LinUCB": LinUCB(1.0), "LinTS": LinTS(1.0), "LogisticTS": LogisticTS(), "HybridLinUCB": HybridLinUCB(),
    "UCB1": UCB1(), "BernoulliTS": BernoulliTS(), "TVUCB": TVUCB(),
}  # fmt: skip
PEERS = {
    "LinUCB": ("obp-linucb", "mabwiser-linucb", "vw-regcb"), "LinTS": ("obp-lints", "mabwiser-lints"),
    "LogisticTS": ("obp-logistic-ts",),
}  # fmt: skip
SAME = ("obp-linucb", "mabwiser-linucb")
"""Peers whose arms ours must be."""
_RUNNER = Path(__file__).resolve().parent / "peers" / "run_bandits.py"


@dataclass(frozen=True)
class Timing:
    """One measured speed.

    Attributes:
        bandit: its name.
        replications: side by side.
        rounds_per_s: of all of them together.
    """

    bandit: str
    replications: int
    rounds_per_s: float


Speed = Callable[[Any, int, float], float]


@contextmanager
def together(processes: int) -> Iterator[Speed]:
    """Gives :func:`rounds_per_s` of some replications; several are split over processes, one each."""
    torch.set_num_threads(1)
    if processes == 1:
        yield rounds_per_s
        return
    context = get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _begin, (context.Barrier(processes),))

    def split(bandit: Any, replications: int, seconds: float) -> float:
        if replications == 1:
            return rounds_per_s(bandit, replications, seconds)
        parts = [pool.submit(_part, bandit, replications // processes, seconds) for _ in range(processes)]
        return sum(part.result() for part in parts)

    with pool:
        yield split


_GATE: list[Barrier] = []


def _begin(gate: Barrier) -> None:
    torch.set_num_threads(1)
    _GATE.append(gate)


def _part(bandit: Any, replications: int, seconds: float) -> float:
    _GATE[0].wait()  # so that all are timed beside one another
    return rounds_per_s(bandit, replications, seconds)


def rounds_per_s(bandit: Any, replications: int, seconds: float) -> float:
    """Rounds a second of replications side by side, over at least ``seconds`` after a warm-up."""
    features, clicks = rounds(ARMS, WIDTH, ROUNDS)
    single = replications > 1
    dtype = np.float32 if single else np.float64
    spec = BanditSpec(ARMS, WIDTH, 2 if isinstance(bandit, HybridLinUCB) else 0, replications, single)
    generator, state = make_generator(0, "benchmark", device="numpy"), bandit.init_state(spec)
    # Replication r is r rounds ahead of the first, so that each has visitors and rewards of its own.
    ahead = np.arange(replications)
    rows = ahead[:, None]
    user = np.ascontiguousarray(features[(np.arange(ROUNDS)[:, None] + ahead) % ROUNDS, None].astype(dtype))
    answers = clicks[(np.arange(ROUNDS)[:, None] + ahead) % ROUNDS]
    items = generator.standard_normal((replications, 1, ARMS, 2)) if spec.item_width else None
    done, start, steps, warm = 0, time.perf_counter(), 0, False
    while True:
        for step in range(steps % ROUNDS, steps % ROUNDS + 64):
            context = Context(user[step], items)
            action = bandit.choose(state, context, generator)
            state = bandit.update(state, context, action, answers[step, rows, action])
        steps += 64
        done += 64 * replications
        elapsed = time.perf_counter() - start
        if not warm and elapsed > seconds / 10:
            warm, done, start = True, 0, time.perf_counter()
        elif warm and elapsed >= seconds:
            return done / elapsed


def agreement(bandit: LinUCB, arms: list[int]) -> float:
    """The share of rounds in which a peer's arm has our largest index, given what the peer saw."""
    features, clicks = rounds(ARMS, WIDTH, PEER_ROUNDS)
    state, agreed = bandit.init_state(BanditSpec(ARMS, WIDTH)), 0
    for step, arm in enumerate(arms):
        context, action = Context(features[step][None, None]), np.array([[arm]])
        mean, variance = predict(state, context.user)
        index = (mean + bandit.alpha * np.sqrt(variance))[0, 0]
        agreed += index[arm] >= index.max() - 1e-9  # equal arms are equal to the last digit but one
        state = bandit.update(state, context, action, clicks[step, action])
    return agreed / len(arms)


def _peer(python: Path, name: str, seconds: float) -> dict[str, Any]:
    """What the peer's process says.

    Raises:
        RuntimeError: it failed.
    """
    command = [str(python), str(_RUNNER), "--bandit", name, "--arms", str(ARMS), "--width", str(WIDTH)]
    command += ["--seconds", str(seconds)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"timing {name} ended with status {done.returncode}: {last}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def ratios(python: Path, seconds: float, repeats: int, speed: Speed) -> tuple[list[Ratio], dict[str, float]]:
    """Our speed over each peer's, and the share of equal arms where choices are deterministic."""
    found, same = [], {}
    for name, peers in PEERS.items():
        for peer in peers:
            theirs: Callable[[], float] = lambda peer=peer: float(_peer(python, peer, seconds)["rounds_per_s"])  # type: ignore[misc]  # noqa: E731
            for replications in (1, 256):
                ours = partial(speed, BANDITS[name], replications, seconds)
                found.append(paired(name, peer, replications, ours, theirs, repeats))
            if peer in SAME:
                same[peer] = agreement(BANDITS[name], _peer(python, peer, 0.0)["arms"])
    return found, same


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("bandits", __doc__)
    environments.add_peers_option(parser)
    parser.add_argument("--processes", type=int, default=2, help="over which 256 replications are split")
    args = parser.parse_args(arguments)
    python = environments.BANDITS.chosen(args.peers)
    seconds, repeats = (0.05, 1) if args.quick else (2.0, 3)
    with together(args.processes) as speed:
        timings = [
            Timing(name, count, speed(bandit, count, seconds)) for name, bandit in BANDITS.items() for count in (1, 256)
        ]
        compared, same = ratios(python, seconds, repeats, speed) if python else ([], {})
    body = machine() | {
        "processes": args.processes, "rows": [asdict(row) for row in timings],
        "ratios": [asdict(ratio) for ratio in compared], "same_arms": same,
    }  # fmt: skip
    lines = [f"{row.bandit:14} R {row.replications:4} {row.rounds_per_s:12,.0f} rounds/s" for row in timings]
    lines += [str(ratio) for ratio in compared]
    lines += [
        f"LinUCB: given the same past, {share:.1%} of the first {KEPT} arms of {peer} are ours"
        for peer, share in same.items()
    ]
    return finish("bandits", body, args, "\n".join(lines))


if __name__ == "__main__":
    raise SystemExit(main())
