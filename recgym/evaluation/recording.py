"""Behaviour logs: a policy serves simulated users, and every step is kept for agents that learn from logs."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recgym.agents.base import Policy
from recgym.agents.offline import problem_of
from recgym.arrays import to_numpy
from recgym.data.transitions import Block, Problem, TransitionStore, in_memory, joined_blocks, writing
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.evaluation.recorded import OrganicEvents, visit_of
from recgym.evaluation.rollout import BLOCK, PolicyMaker, begin_block
from recgym.types import Decision
from recgym.workers import Workers, workers_of

__all__ = ["record"]


def record(
    policy: Policy[Any] | PolicyMaker,
    task: Task,
    steps: int,
    folder: Path | str | None = None,
    *,
    seed: int = 0,
    max_steps: int = 1000,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
    workers: int | Workers = 1,
) -> TransitionStore:
    """Let a policy serve new users, one whole episode each, until at least so many steps are on record.

    Users come in blocks of 1024, and every block is kept whole, so there are somewhat more steps than were asked for;
    a seed gives the same log wherever it runs.

    Args:
        policy: draws its actions; see :func:`recgym.evaluation.rollout` for the kinds. A mixture of policies is
            :class:`recgym.agents.MixturePolicy`.
        task: what is simulated.
        steps: at least so many user-steps.
        folder: where the store is written; it is kept in memory if None.
        seed: root seed.
        max_steps: cut episodes here if neither the users nor the task end them.
        device: torch device, or ``"numpy"``.
        progress: told after each block how many steps there are.
        workers: processes, or others, that share the blocks of users; the log does not depend on them.

    Raises:
        ValueError: no steps are asked for, the task's observation cannot be put together from a log, its reward is
            not a number, or other things stand in the folder.
    """
    if steps < 1:
        raise ValueError(f"at least 1 step must be recorded, found steps={steps}")
    problem = problem_of(task)
    features = to_numpy(task.model.item_features)
    setup = _Setup(policy, task, problem, seed, max_steps, device)

    def blocks() -> Iterator[Block]:
        # Closed when enough is on record: blocks that were begun ahead by then are dropped.
        with closing(workers_of(workers).map(_block, setup, count())) as served:
            done = 0
            for block in served:
                done += len(block["user"]) - len(block["episodes"])
                yield block
                if progress is not None:
                    progress(done)
                if done >= steps:
                    return

    if folder is not None:
        with writing(folder, problem, features) as writer:
            for block in blocks():
                writer.add(block)
        return TransitionStore.open(folder)
    return in_memory(problem, features, joined_blocks(list(blocks())))


class _Setup(NamedTuple):
    """What all blocks share."""

    policy: Policy[Any] | PolicyMaker
    task: Task
    problem: Problem
    seed: int
    max_steps: int
    device: str


class _Moment(NamedTuple):
    """What is known of all users before a step; the first axis is theirs."""

    clock_s: np.ndarray
    session: np.ndarray
    step: np.ndarray
    session_step: np.ndarray
    away_s: np.ndarray
    profile: np.ndarray
    candidates: np.ndarray
    flat: np.ndarray


class _Step(NamedTuple):
    """What a step did with all users."""

    action: np.ndarray
    slate: np.ndarray
    feedback: np.ndarray
    reward: np.ndarray
    costs: np.ndarray
    log_propensity: np.ndarray
    return_gap_s: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    time_s: np.ndarray


def _moment(simulation: Simulation, observation: Any, problem: Problem) -> _Moment:
    users = simulation.num_users
    steps = to_numpy(simulation.steps)
    candidates = simulation.candidates
    parts = (
        simulation.clock_s, simulation.session, steps, steps - to_numpy(simulation.session_start), simulation.away_s,
        simulation.profile(), np.zeros((users, 0), np.int32) if candidates is None else candidates,
        observation if problem.flat else np.zeros((users, 0), np.float32),
    )  # fmt: skip
    # Copies: the simulation may change its arrays in place.
    return _Moment(*(np.array(to_numpy(part)) for part in parts))


def _step(decision: Decision, transition: Transition, problem: Problem) -> _Step:
    users = transition.slate.shape[0]
    action = to_numpy(decision.action).reshape(users, -1)
    costs = [to_numpy(transition.costs[name]) for name in problem.costs]
    gap = transition.return_gap_s
    reward = to_numpy(transition.reward)
    if reward.ndim != 1:
        raise ValueError(f"{problem.name}: transitions need a reward that is a number, found shape {reward.shape[1:]}")
    return _Step(
        action, to_numpy(transition.slate), to_numpy(transition.response.feedback), reward,
        np.stack(costs, -1) if costs else np.zeros((users, 0), np.float32), to_numpy(decision.log_propensity),
        np.full(users, np.nan) if gap is None else to_numpy(gap), to_numpy(transition.terminated),
        to_numpy(transition.truncated), to_numpy(transition.time_s),
    )  # fmt: skip


def _block(setup: _Setup, index: int) -> Block:
    """One episode of each user of a block; the same users as in a rollout with the seed."""
    policy, task, problem, seed, max_steps, device = setup
    simulation, actor, generator, state = begin_block(policy, task, BLOCK, seed, index, device)
    before = tuple(np.array(to_numpy(part)) for part in simulation.history())
    alive = np.ones(BLOCK, dtype=bool)
    living: list[np.ndarray] = []
    moments: list[_Moment] = []
    steps: list[_Step] = []
    visits: list[OrganicEvents] = []
    for _ in range(max_steps):
        observation = simulation.observation()
        moments.append(_moment(simulation, observation, problem))
        decision, state = actor.act(observation, state, generator)
        transition = simulation.step(decision.action)
        steps.append(_step(decision, transition, problem))
        living.append(alive)
        if transition.visit is not None:
            # The step takes the place of the session: it says where the visit stands among the other events.
            number = np.full(BLOCK, len(steps) - 1)
            visits.append(visit_of(transition.visit, steps[-1].time_s, number, alive))
        alive = alive & ~steps[-1].terminated & ~steps[-1].truncated
        if not alive.any():
            break
    moments.append(_moment(simulation, simulation.observation(), problem))
    steps[-1].truncated[alive] = True
    return _assemble(np.stack(living), _stacked(moments), _stacked(steps), before, visits, index * BLOCK)


def _stacked(rows: Any) -> Any:
    """A list of named tuples as one, each field with the steps in front."""
    return type(rows[0])(*(np.stack(column) for column in zip(*rows, strict=True)))


def _assemble(
    alive: np.ndarray,
    moments: _Moment,
    steps: _Step,
    before: tuple[np.ndarray, ...],
    visits: list[OrganicEvents],
    first_user: int,
) -> Block:
    """Points of users one after the other, and the events that they consumed."""
    longest = alive.shape[0]
    lengths = alive.sum(0)
    user, step = np.nonzero(np.arange(longest + 1) <= lengths[:, None])
    closing = step == lengths[user]
    block: dict[str, np.ndarray] = {name: part[step, user] for name, part in moments._asdict().items()}
    for name, part in steps._asdict().items():
        values = part[np.minimum(step, longest - 1), user]
        values[closing] = np.nan if name in ("time_s", "log_propensity", "return_gap_s") else 0
        block[name] = values
    block["user"] = user + first_user
    starts = np.cumsum(lengths + 1) - lengths - 1
    block["episodes"] = np.stack([starts, starts + lengths], -1)
    events = _events(alive, steps, before, visits)
    key = events["user"] * (longest + 2) + events["step"] + 1
    block["first_event"] = np.searchsorted(key, user * (longest + 2))
    block["last_event"] = np.searchsorted(key, user * (longest + 2) + step + 1)
    block["event_point"] = np.where(events["shown"], starts[events["user"]] + events["step"], -1)
    return block | {f"event_{name}": events[name] for name in ("items", "feedback", "time_s")}


def _events(
    alive: np.ndarray, steps: _Step, before: tuple[np.ndarray, ...], visits: list[OrganicEvents]
) -> dict[str, np.ndarray]:
    """All that was consumed, by user and then in the order in which histories hold it."""
    known_items, known_feedback, known_time, known = before
    u0, c0 = np.nonzero(known)
    consumed = (steps.feedback != 0).any(-1) & alive[:, :, None]
    t1, u1, p1 = np.nonzero(consumed)
    parts = [
        (u0, np.full_like(u0, -1), known_items[u0, c0], known_feedback[u0, c0], known_time[u0, c0], u0 < 0),
        (u1, t1, steps.slate[t1, u1, p1], steps.feedback[t1, u1, p1], steps.time_s[t1, u1], u1 >= 0),
        *((v.user, v.session, v.item, v.feedback, v.time_s, v.user < 0) for v in visits),
    ]
    names = ("user", "step", "items", "feedback", "time_s", "shown")
    joined = {name: np.concatenate(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}
    # Stable: within a step the slate comes first, in its order, and then the visit.
    order = np.lexsort((joined["step"], joined["user"]))
    return {name: column[order] for name, column in joined.items()}
