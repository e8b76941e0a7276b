"""Speed of learned users, of a set of them, and of a loop over its members.

``python -m benchmarks.learned_speed --json``

What is timed at B = 4096: one ``respond`` and one ``advance`` of slates drawn at random beforehand, then new users in
the place of those who left. The simulators are fitted in one pass to 100 users of ``recgym/ShortVideo-v0`` (speed does
not depend on how good they are): state and item networks 64 and 32 wide, a window of 20 events, slates of 6, seven
feedback channels of which one is an amount with 24 parameters.

* ``one``: :class:`recgym.simulators.learned.LearnedUsers`;
* ``set``: :class:`recgym.simulators.learned.SimulatorSet` of 8 members of that width, one member a user;
* ``set, followed``: the same when every member follows every user, as the uncertainty of a set needs it;
* ``loop``: the 8 members asked in turn, each for its users.

``ratios`` says how many times the price of ``one`` the others cost, from runs in turn, so that whatever else the
machine does hits both; each with one thread and with two. With two, a step waits for the slower core: beside other
work that is no gain but a loss.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import finish, machine, options, paired, rate
from recgym.agents.base import RandomPolicy
from recgym.arrays import set_rows, take_rows
from recgym.envs.short_video import task
from recgym.evaluation.baselines import action_spec
from recgym.evaluation.rollout import rollout
from recgym.simulators.base import UserModel
from recgym.simulators.learned import FittedSimulator, LearnedConfig, LearnedUsers, SetConfig, SimulatorSet, fit_set
from recgym.simulators.learned.set_state import SetState, plain
from recgym.types import Response

__all__ = ["main", "members"]

B, SLATE, MEMBERS, AHEAD = 4096, 6, 8, 16


def members(users: int = 100, count: int = MEMBERS) -> tuple[FittedSimulator, ...]:
    """Simulators of the full width, fitted in one pass to so many users of ShortVideo."""
    world = task(slate_size=SLATE, level="retention")
    log = rollout(RandomPolicy(action_spec(world)), world, users=users, seeds=(0,), record=True).to_log()
    config = SetConfig(count, LearnedConfig(max_epochs=1), widths=(1.0,), dynamics=False)
    return fit_set(log, config).members


@dataclass(frozen=True)
class Loop:
    """A set whose members are asked one after the other; for comparison only.

    Attributes:
        users: the set, whose states it takes.
        singles: its members.
    """

    users: SimulatorSet
    singles: tuple[LearnedUsers, ...]

    def step(self, state: SetState, slate: Tensor, generator: torch.Generator) -> SetState:
        """Answers and next states of all users."""
        users = after = plain(state)
        for number, single in enumerate(self.singles):
            rows = torch.nonzero(state.member == number)[:, 0]
            some = take_rows(users, rows)
            response = single.respond(some, slate[rows], generator)
            moved = single.advance(some, slate[rows], response, generator)
            after = set_rows(after, rows, moved)
        return SetState(*after, state.member, state.views)


def _stepper(model: UserModel[Any], loop: Loop | None = None) -> Callable[[], int]:
    """A call that moves all users on by one step."""
    generator = torch.Generator().manual_seed(0)
    slates = [torch.randint(model.num_items, (B, SLATE), generator=generator) for _ in range(AHEAD)]
    state, count = model.sample_users(B, generator), 0

    def call() -> int:
        nonlocal state, count
        slate = slates[count % AHEAD]
        if loop is None:
            response: Response = model.respond(state, slate, generator)
            state = model.advance(state, slate, response, generator)
        else:
            state = loop.step(state, slate, generator)
        rows = torch.nonzero(model.has_left(state))[:, 0]
        if rows.shape[0]:
            state = set_rows(state, rows, model.sample_users(int(rows.shape[0]), generator, rows))
        count += 1
        return B

    return call


def _measured(make: Callable[[], Callable[[], int]], threads: int, seconds: float) -> float:
    torch.set_num_threads(threads)
    return rate(make(), seconds)


def run(fitted: tuple[FittedSimulator, ...], seconds: float, repeats: int) -> dict[str, Any]:
    """All rows, ratios and what they say of the targets.

    Args:
        fitted: the members of the set; the first is the one that they are held against.
        seconds: how long each figure is timed.
        repeats: pairs of runs in each comparison.
    """
    one, together, followed = LearnedUsers(fitted[0]), SimulatorSet(fitted), SimulatorSet(fitted, follow=True)
    loop = Loop(together, tuple(LearnedUsers(member) for member in fitted))
    makers = {
        "set": partial(_stepper, together),
        "set, followed": partial(_stepper, followed),
        "loop": partial(_stepper, together, loop),
    }
    rows: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    for threads in (1, 2):
        for name, make in makers.items():
            ratio = paired(
                "one", name, B,
                partial(_measured, partial(_stepper, one), threads, seconds),
                partial(_measured, make, threads, seconds),
                repeats,
            )  # fmt: skip
            ratios.append(asdict(ratio) | {"threads": threads})
            row = {"model": name, "B": B, "threads": threads, "steps_per_s": sorted(ratio.theirs)[repeats // 2]}
            rows.append(row)
            if name == "set":
                rows.append(row | {"model": "one", "steps_per_s": sorted(ratio.ours)[repeats // 2]})
    return machine() | {"rows": rows, "ratios": ratios}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/learned_speed.json``."""
    parser = options("learned_speed", __doc__)
    args = parser.parse_args(arguments)
    fitted = members(20 if args.quick else 100)
    body = run(fitted, *((0.3, 3) if args.quick else (2.0, 7)))
    return finish("learned_speed", body, args, _table(body))


def _table(body: dict[str, Any]) -> str:
    lines = [f"{'model':16} {'threads':>7} {'user-steps/s':>14}"]
    lines += [f"{row['model']:16} {row['threads']:7} {row['steps_per_s']:14,.0f}" for row in body["rows"]]
    lines += [
        f"price of {r['peer']} over one, {r['threads']} thread(s): {r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f})"
        for r in body["ratios"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
