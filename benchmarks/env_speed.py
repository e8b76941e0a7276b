"""Speed of every environment with a random policy, beside peers: ``python -m benchmarks.env_speed --json``.

What is timed, for each environment at B = 1, 64, 1024 and 16384:

* ``gymnasium``: ``step`` of the vector environment (of ``gym.make`` with its default wrappers and ``reset`` at B = 1),
  observations, rewards, ``info`` and autoreset included;
* ``core``: ``step`` and ``reset_rows`` of the :class:`recgym.envs.Simulation` inside it, without observations.

The policy draws distinct candidates inside the timed part. At B = 1 both sides call ``random.sample``, which costs
RecSim no more than the shuffle of its own random agent. A batch takes K neighbouring candidates from a random start on,
one draw a user: as random as any slate, because the candidates themselves come in random order. Steps that only reset a
user are not counted.

Rows of RecSim and RecoGym are there if ``make bench-peers`` made their environments; their runs and ours at B = 1
alternate, and ``ratios`` has the quotients. Gymnasium's numpy CartPole is a yardstick for the machine.

Torch runs on one thread, as the peers do: at these sizes a second one gains little, and threads that wait for each
other make the speed collapse as soon as another process takes a core.
"""

import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

import recgym  # noqa: F401  registers the environments
from benchmarks.measure import Face, Ratio, Row, finish, options, paired, rate, report
from benchmarks.peers.cases import PEERS, PeerCase
from benchmarks.peers.environments import add_peers_option
from recgym.arrays import arange, integers
from recgym.envs import Simulation
from recgym.seeding import make_generator

__all__ = ["CASES", "Case", "main", "measure"]

BATCHES = (1, 64, 1024, 16384)
YARDSTICK = ("CartPole-v1", 1024)


@dataclass(frozen=True)
class Case:
    """An environment to time.

    Attributes:
        name: how rows name it.
        env_id: its Gymnasium id.
        kwargs: arguments of its construction.
        peer: the environment of another package of the same kind and size, if any.
    """

    name: str
    env_id: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    peer: PeerCase | None = None

    def make(self, B: int) -> Any:
        """The environment with B users: of ``gym.make`` for one, of ``gym.make_vec`` for more."""
        if B == 1:
            return gym.make(self.env_id, **self.kwargs)
        return gym.make_vec(self.env_id, num_envs=B, vectorization_mode="vector_entry_point", **self.kwargs)


CASES: tuple[Case, ...] = (
    *(Case(name, name, peer=PEERS[peer]) for name, peer in (
        ("recgym/LongTermSatisfaction-v0", "recsim/LongTermSatisfaction"),
        ("recgym/LongTermSatisfactionRecSim-v0", "recsim/LongTermSatisfaction"),
        ("recgym/InterestEvolution-v0", "recsim/InterestEvolution(10, 2)"),
        ("recgym/OrganicBandit-v0", "recogym/reco-gym-v1"),
    )),
    Case(
        "recgym/InterestEvolution-v0(100, 5)",
        "recgym/InterestEvolution-v0",
        {"num_candidates": 100, "slate_size": 5},
        peer=PEERS["recsim/InterestEvolution(100, 5)"],
    ),
    *(Case(name, name) for name in (
        "recgym/ShortVideo-v0", "recgym/Retention-v0", "recgym/InterestExploration-v0", "recgym/Relisten-v0",
    )),
)  # fmt: skip


def _single_step(env: Any) -> Callable[[], int]:
    """One step of a ``gym.make`` environment, then ``reset`` if the episode ended."""
    simulation: Simulation = env.unwrapped.simulation
    choices, k = range(simulation.num_candidates), simulation.task.slate_size
    draw = random.Random(0).sample
    env.reset(seed=0)

    def call() -> int:
        slate = draw(choices, k)
        _, _, terminated, truncated, _ = env.step(slate[0] if k == 1 else np.array(slate))
        if terminated or truncated:
            env.reset()
        return 1

    return call


def _vector_step(env: gym.vector.VectorEnv[Any, Any, Any], draw: Callable[[], np.ndarray]) -> Callable[[], int]:
    """One step of all users; those that it merely resets, as next-step autoreset does, are not counted."""
    mode = env.metadata.get("autoreset_mode")
    resets_take_a_step = mode is None or mode.value == "NextStep"
    resetting = 0
    env.reset(seed=0)

    def call() -> int:
        nonlocal resetting
        stepped = env.num_envs - resetting
        _, _, terminated, truncated, _ = env.step(draw())
        if resets_take_a_step:
            resetting = int(np.count_nonzero(terminated | truncated))
        return stepped

    return call


def _random_slates(simulation: Simulation, device: str) -> Callable[[], Any]:
    """Draws slates ``[B, K]`` of candidate indices, or ``[B]`` where the slate has one position."""
    generator = make_generator(0, "policy", device=device)
    b, m, k = simulation.num_users, simulation.num_candidates, simulation.task.slate_size
    offsets = arange(k, device)
    if k == 1:
        return lambda: integers(generator, m, (b,))
    return lambda: (integers(generator, m, (b, 1)) + offsets) % m


def _core_step(simulation: Simulation) -> Callable[[], int]:
    """One step of the tensor core, then new users in the place of those whose episode ended."""
    draw = _random_slates(simulation, simulation.device)
    simulation.reset(0)

    def call() -> int:
        transition = simulation.step(draw())
        simulation.reset_rows(transition.terminated | transition.truncated)
        return simulation.num_users

    return call


def measure(case: Case, B: int, face: Face, seconds: float) -> float:
    """User-steps per second of one environment through one face."""
    env = case.make(B)
    try:
        simulation: Simulation = env.unwrapped.simulation
        if face == "core":
            call = _core_step(simulation)
        elif B == 1:
            call = _single_step(env)
        else:
            call = _vector_step(env, _random_slates(simulation, "numpy"))
        return rate(call, seconds)
    finally:
        env.close()


def _yardstick(seconds: float) -> Row:
    """Gymnasium's own vector environment, numpy throughout."""
    env_id, B = YARDSTICK
    env = gym.make_vec(env_id, num_envs=B, vectorization_mode="vector_entry_point")
    rng = np.random.default_rng(0)
    speed = rate(_vector_step(env, lambda: rng.integers(2, size=B)), seconds)
    env.close()
    return Row(f"gymnasium/{env_id}", "gymnasium", B, speed)


def _compare(cases: tuple[Case, ...], root: Path, seconds: float, repeats: int) -> list[Ratio]:
    """Each environment at B = 1 against its peer's, in turn; peers that are not there are left out."""
    peers = {case.peer.where for case in cases if case.peer is not None}
    pythons = {where: python for where in sorted(peers, key=str) if (python := where.chosen(root)) is not None}
    return [
        paired(
            case.name,
            case.peer.name,
            1,
            partial(measure, case, 1, "gymnasium", seconds),
            partial(case.peer.steps_per_second, pythons[case.peer.where], seconds),
            repeats,
        )
        for case in cases
        if case.peer is not None and case.peer.where in pythons
    ]


def run(cases: tuple[Case, ...], root: Path, seconds: float, repeats: int) -> tuple[list[Row], list[Ratio]]:
    """All rows, and the ratios to the peers that are there.

    Args:
        cases: environments to time.
        root: folder of the peers' environments.
        seconds: how long each figure is timed.
        repeats: pairs of runs in each comparison.
    """
    faces: tuple[Face, ...] = ("gymnasium", "core")
    rows = [Row(c.name, face, B, measure(c, B, face, seconds)) for c in cases for B in BATCHES for face in faces]
    ratios = _compare(cases, root, seconds, repeats)
    theirs = {
        peer: [speed for r in ratios if r.peer == peer for speed in r.theirs] for peer in (r.peer for r in ratios)
    }
    rows += [Row(peer, "gymnasium", 1, statistics.median(speeds)) for peer, speeds in theirs.items()]
    return [*rows, _yardstick(seconds)], ratios


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/env_speed.json``."""
    parser = options("env_speed", __doc__)
    parser.add_argument("--simulator", type=Path, help="folder of a fitted simulator; adds recgym/LearnedUsers-v0")
    add_peers_option(parser)
    parser.add_argument(
        "--threads", type=int, default=1, help="torch threads; more help little and suffer beside other work"
    )
    args = parser.parse_args(arguments)
    if args.threads < 1:
        parser.error(f"--threads must be at least 1, found {args.threads}")
    torch.set_num_threads(args.threads)
    cases = CASES
    if args.simulator:
        name = "recgym/LearnedUsers-v0"
        cases = (*cases, Case(name, name, {"simulator": args.simulator}))
    else:
        print("recgym/LearnedUsers-v0 is left out: --simulator names no fitted simulator", file=sys.stderr)
    rows, ratios = run(cases, args.peers, *((0.15, 2) if args.quick else (2.0, 5)))
    body = report(rows, ratios)
    return finish("env_speed", body, args, _table(rows, ratios))


def _table(rows: list[Row], ratios: list[Ratio]) -> str:
    lines = [f"{'environment':40} {'face':10} {'B':>6} {'steps/s':>14}"]
    lines += [f"{row.env:40} {row.face:10} {row.B:6} {row.steps_per_s:14,.0f}" for row in rows]
    return "\n".join([*lines, *map(str, ratios)])


if __name__ == "__main__":
    sys.exit(main())
