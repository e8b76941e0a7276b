"""Policies on environments: what every channel came to, how long users stayed, and how sure that is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from recgym.agents.base import Policy
from recgym.arrays import to_numpy
from recgym.data.schema import InteractionLog
from recgym.envs.levels import DAY_S
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.evaluation.recorded import OrganicEvents, Steps, first_visit, joined, joined_steps, log_of, visit_of
from recgym.seeding import child_seed, make_generator
from recgym.stats import t_interval
from recgym.types import Generator
from recgym.workers import Workers, workers_of

__all__ = ["BLOCK", "Episodes", "Begun", "Rollout", "Steps", "begin_block", "rollout"]

BLOCK = 1024
"""Users simulated side by side. Randomness is drawn per block, so results do not depend on who runs which block."""

PolicyMaker = Callable[[Simulation], Policy[Any]]


@dataclass(frozen=True)
class Episodes:
    """One episode a user.

    Attributes:
        reward: return of each user under each seed.
        feedback: sum of each channel over the episode.
        length: steps until the user left or the episode was cut.
        sessions: sessions begun; 1 unless the task is one of retention.
        days: days from the start of the episode to the end of its last step.
        repeats: share of shown items that the user had been shown before in the episode.
        coverage: share of the catalogue that was shown to anybody, per seed.
        left: share of users who left by themselves, per seed.
    """

    reward: Float64[np.ndarray, "seeds users"]
    feedback: Float64[np.ndarray, "seeds users F"]
    length: Int64[np.ndarray, "seeds users"]
    sessions: Int64[np.ndarray, "seeds users"]
    days: Float64[np.ndarray, "seeds users"]
    repeats: Float64[np.ndarray, "seeds users"]
    coverage: Float64[np.ndarray, "seeds"]
    left: Float64[np.ndarray, "seeds"]


@dataclass(frozen=True)
class Rollout:
    """What a policy did with simulated users.

    Attributes:
        task: what was simulated.
        seeds: root seeds; users and draws are independent between them.
        episodes: per user.
        steps: per step, of each seed; empty unless it was asked for.
    """

    task: Task
    seeds: tuple[int, ...]
    episodes: Episodes
    steps: tuple[Steps, ...] = ()

    def summary(self, level: float = 0.95) -> dict[str, Any]:
        """Means with intervals, as JSON can hold them.

        Intervals are Student's t over the means of the seeds; with one seed only, over its users.

        Returns:
            ``return``, ``low``, ``high``, ``session_length`` (steps of a session), ``sessions`` (of an episode),
            ``coverage``, ``repeat_rate``, ``left`` (share of users), ``users``, ``seeds``, and ``channels``: name to
            ``mean``, ``low``, ``high`` of the sum over an episode.
        """
        episodes = self.episodes
        mean, low, high = _interval(episodes.reward, level)
        channels = {}
        for index, name in enumerate(self.task.model.schema.names):
            values = _interval(episodes.feedback[:, :, index], level)
            channels[name] = dict(zip(("mean", "low", "high"), values, strict=True))
        return {
            "return": mean,
            "low": low,
            "high": high,
            "session_length": float(episodes.length.sum() / episodes.sessions.sum()),
            "sessions": float(episodes.sessions.mean()),
            "coverage": float(episodes.coverage.mean()),
            "repeat_rate": float(episodes.repeats.mean()),
            "left": float(episodes.left.mean()),
            "users": int(episodes.reward.shape[1]),
            "seeds": len(self.seeds),
            "channels": channels,
        }

    def to_log(self, seed_index: int = 0, arrivals_s: Float64[np.ndarray, "users"] | None = None) -> InteractionLog:
        """The rollout of one seed as an interaction log with propensities: valid data for off-policy evaluation.

        Each step is a slate; sessions are those of the episodes, and the time between them is the time that users were
        away. The propensity of a row is that of the whole slate. What users consumed unasked becomes rows without a
        slate. Item features of the model and the users' profiles at the start become the log's features.

        Args:
            seed_index: which of the seeds.
            arrivals_s: when each user's episode began, in seconds; all at 0 by default.

        Raises:
            ValueError: the steps were not recorded, or the policy has no propensities (a deterministic continuous one).
        """
        if not self.steps:
            raise ValueError("the steps of this rollout were not recorded; call rollout(..., record=True)")
        return log_of(self.task, self.steps[seed_index], arrivals_s)


def rollout(
    policy: Policy[Any] | PolicyMaker,
    task: Task,
    *,
    users: int = 1024,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    greedy: bool = False,
    max_steps: int = 1000,
    device: str = "cpu",
    record: bool = False,
    workers: int | Workers = 1,
) -> Rollout:
    """Let a policy serve new users for one episode each.

    Args:
        policy: a policy; or a function from the simulation to one, for oracles that look at what no policy may see.
        task: what to simulate.
        users: users a seed.
        seeds: root seeds. The same seed gives every policy the same users, so differences can be paired.
        greedy: whether the policy takes its most likely action.
        max_steps: cut episodes here if neither the users nor the task end them.
        device: torch device, or ``"numpy"``.
        record: keep every step.
        workers: processes, or others, that share the blocks of users; the result does not depend on them.

    Raises:
        ValueError: there are no users or no seeds.
    """
    if users < 1 or not seeds:
        raise ValueError(f"a rollout needs at least 1 user and 1 seed, found {users} users and {len(seeds)} seeds")
    setup = _Setup(policy, task, greedy, max_steps, device, record)
    starts = range(0, users, BLOCK)
    pieces = [(seed, index, min(BLOCK, users - start)) for seed in seeds for index, start in enumerate(starts)]
    served = list(workers_of(workers).map(_serve, setup, pieces))
    per_seed = [_join(served[first : first + len(starts)], task) for first in range(0, len(served), len(starts))]
    episodes = Episodes(
        *(np.concatenate([getattr(p, name) for p, _ in per_seed]) for name in Episodes.__dataclass_fields__)
    )
    return Rollout(task, tuple(seeds), episodes, tuple(steps for _, steps in per_seed if steps is not None))


class Begun(NamedTuple):
    """A block of users who have just come, and the policy that serves them.

    Attributes:
        simulation: of the users.
        actor: the policy.
        generator: of its draws.
        state: what it keeps of the users.
    """

    simulation: Simulation
    actor: Policy[Any]
    generator: Generator
    state: Any


def begin_block(policy: Policy[Any] | PolicyMaker, task: Task, users: int, seed: int, index: int, device: str) -> Begun:
    """The users of one block: the same for every policy, and for whoever serves, records or follows them.

    Args:
        policy: see :func:`rollout`.
        task: what to simulate.
        users: of the block, at most :data:`BLOCK`.
        seed: root seed.
        index: which block.
        device: torch device, or ``"numpy"``.
    """
    simulation = Simulation(task, users, device=device, seed=child_seed(seed, "block", index), first_row=index * BLOCK)
    simulation.reset()
    # A class that makes policies has their methods too, so it looks like one.
    made = isinstance(policy, Policy) and not isinstance(policy, type)
    actor: Policy[Any] = policy if made else policy(simulation)  # type: ignore[assignment,operator]
    return Begun(simulation, actor, make_generator(seed, "policy", index, device), actor.init_state(users, device))


class _Setup(NamedTuple):
    """What all blocks share."""

    policy: Policy[Any] | PolicyMaker
    task: Task
    greedy: bool
    max_steps: int
    device: str
    record: bool


class _Served(NamedTuple):
    """What a block of users came to: all that leaves a worker, hence sums and not steps unless these are asked for."""

    reward: np.ndarray
    feedback: np.ndarray
    length: np.ndarray
    sessions: np.ndarray
    days: np.ndarray
    repeats: np.ndarray
    left: np.ndarray
    shown: np.ndarray  # items shown to anybody
    steps: Steps | None


class _Block(NamedTuple):
    """All steps of one block of users, ended users included; the first axis is the step."""

    alive: np.ndarray
    reward: np.ndarray
    slate: np.ndarray
    feedback: np.ndarray
    time_s: np.ndarray
    session: np.ndarray
    log_propensity: np.ndarray
    left: np.ndarray
    profile: np.ndarray
    organic: OrganicEvents


def _serve(setup: _Setup, piece: tuple[int, int, int]) -> _Served:
    """One block: its seed, its index and its users."""
    seed, index, users = piece
    block = _block(setup, seed, index, users)
    alive, slate, reward = block.alive, block.slate, block.reward
    if reward.ndim != 2:
        raise ValueError(f"{setup.task.name}: a rollout needs a scalar reward, found shape {reward.shape[2:]}")
    user, step = np.nonzero(alive.T)
    shown = slate[step, user]
    steps = None
    if setup.record:
        steps = Steps(
            user, step, block.time_s[step, user], block.session[step, user], shown, block.feedback[step, user],
            block.log_propensity[step, user], block.profile, block.organic,
        )  # fmt: skip
    return _Served(
        reward=(reward * alive).sum(0, dtype=np.float64),
        feedback=(block.feedback * alive[:, :, None, None]).sum((0, 2), dtype=np.float64),
        length=alive.sum(0),
        sessions=(block.session * alive).max(0) + 1,
        days=(block.time_s * alive).max(0) / DAY_S,
        repeats=_repeats(slate, alive),
        left=block.left,
        shown=np.unique(shown),
        steps=steps,
    )


def _block(setup: _Setup, seed: int, index: int, users: int) -> _Block:
    simulation, actor, generator, state = begin_block(setup.policy, setup.task, users, seed, index, setup.device)
    alive, left = np.ones(users, dtype=bool), np.zeros(users, dtype=bool)
    profile = to_numpy(simulation.profile()).copy()
    rows: list[tuple[np.ndarray, ...]] = []
    organic = [first_visit(simulation)]
    for _ in range(setup.max_steps):
        decision, state = actor.act(simulation.observation(), state, generator, setup.greedy)
        session = to_numpy(simulation.session).copy()
        transition = simulation.step(decision.action)
        terminated = to_numpy(transition.terminated)
        rows.append(
            (
                alive, to_numpy(transition.reward), to_numpy(transition.slate), to_numpy(transition.response.feedback),
                to_numpy(transition.time_s), session, to_numpy(decision.log_propensity),
            )
        )  # fmt: skip
        if transition.visit is not None:
            organic.append(visit_of(transition.visit, to_numpy(transition.time_s), session, alive))
        left |= alive & terminated
        alive = alive & ~terminated & ~to_numpy(transition.truncated)
        if not alive.any():
            break
    a, r, s, f, t, n, p = (np.stack(column) for column in zip(*rows, strict=True))
    return _Block(a, r, s, f, t, n, p, left, profile, joined(organic))


def _join(blocks: list[_Served], task: Task) -> tuple[Episodes, Steps | None]:
    """One seed: its blocks side by side."""

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(block, name) for block in blocks])[None]

    shown = np.unique(np.concatenate([block.shown for block in blocks])).size
    names = ("reward", "feedback", "length", "sessions", "days", "repeats")
    episodes = Episodes(
        **{name: column(name) for name in names},
        coverage=np.array([shown / task.model.num_items]),
        left=column("left").mean(1),
    )
    parts = [block.steps for block in blocks if block.steps is not None]
    return episodes, joined_steps(parts, [BLOCK * index for index in range(len(parts))]) if parts else None


def _repeats(slate: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Share of each user's shown items that were shown to the user before."""
    steps, users, k = slate.shape
    # Each dead position gets an id of its own, so that it repeats nothing.
    own = -1 - np.arange(steps * k).reshape(steps, 1, k)
    shown = np.where(alive[:, :, None], slate, own).transpose(1, 0, 2).reshape(users, steps * k)
    ordered = np.sort(shown, axis=1)
    repeats: np.ndarray = (ordered[:, 1:] == ordered[:, :-1]).sum(1) / np.maximum(alive.sum(0) * k, 1)
    return repeats


def _interval(values: np.ndarray, level: float) -> tuple[float, float, float]:
    samples = values.mean(axis=1) if values.shape[0] > 1 else values[0]
    interval = t_interval(samples, level)
    return float(interval.mean), float(interval.low), float(interval.high)
