"""Arms on an environment: every arm serves simulated users, the same ones on request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from recgym.abtest.allocation import Allocation, Split
from recgym.abtest.choosing import Method
from recgym.abtest.metrics import Metric, metrics_of, pick_metrics
from recgym.abtest.outcomes import Outcome
from recgym.abtest.pools import Pools, stacked
from recgym.abtest.results import Replicated
from recgym.abtest.simulate import replicate
from recgym.agents.base import Policy
from recgym.arrays import full, where_rows
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.evaluation.rollout import Episodes, rollout
from recgym.seeding import child_seed
from recgym.types import Array, Decision, Generator
from recgym.workers import Workers

__all__ = ["Arm", "Experiment", "Handover", "simulate_arms"]

Arm = Policy[Any] | Callable[[Simulation], Policy[Any]]
"""A policy, or for oracles a function from the simulation to one."""

_SLICE = 4096
"""Users simulated before their steps are summed up: bounds memory."""


class HandoverState(NamedTuple):
    """What :class:`Handover` carries.

    Attributes:
        steps: of each user so far.
        before: state of the policy of the pre-period.
        after: state of the arm's own.
    """

    steps: Int64[Array, "B"]
    before: Any
    after: Any


@dataclass(frozen=True)
class Handover:
    """One policy for the first steps of an episode, then another.

    The second one sees the history of the whole episode in its observations; a memory of its own begins when it takes
    over.

    Attributes:
        before: serves the pre-period.
        after: takes over.
        steps: of the pre-period.
    """

    before: Policy[Any]
    after: Policy[Any]
    steps: int

    def init_state(self, users: int, device: str) -> HandoverState:
        """See :class:`recgym.agents.Policy`."""
        start = full((users,), 0, "int64", device)
        return HandoverState(start, self.before.init_state(users, device), self.after.init_state(users, device))

    def act(
        self, observation: Any, state: HandoverState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, HandoverState]:
        """See :class:`recgym.agents.Policy`. Until any user is handed over, only the first policy is asked."""
        early = state.steps < self.steps
        before, after, first, second = state.before, state.after, None, None
        if bool(early.any()):
            first, before = self.before.act(observation, state.before, generator, greedy)
        if not bool(early.all()):
            second, moved = self.after.act(observation, state.after, generator, greedy)
            after = moved if first is None else where_rows(early, state.after, moved)
        if first is None or second is None:
            chosen = first or second
            assert chosen is not None
        else:
            chosen = where_rows(early, first, second)
        return chosen, HandoverState(state.steps + 1, before, after)


@dataclass(frozen=True)
class Experiment:
    """An A/B test of policies on simulated users; the unit is the user.

    Attributes:
        arms: name -> policy; the first is the control. Arms that are the same object share their users' outcomes, so
            that an A/A test has no difference at all.
        allocation: who gets which arm.
        metrics: what is counted; all of the environment if empty.
        methods: how arms are compared.
        looks: after how many users one looks, ascending; the last one ends the experiment.
        outcome: how users influence one another; None if they do not.
        effect: the difference that tests which need one are made for, in units of each metric; None for the one that
            a fixed horizon of this size finds with a power of 80 %.
        alpha: level.
    """

    arms: Mapping[str, Arm]
    looks: tuple[int, ...]
    allocation: Allocation = field(default_factory=lambda: Split((0.5, 0.5)))
    metrics: tuple[Metric, ...] = ()
    methods: tuple[Method, ...] = (Method.FIXED, Method.MSPRT, Method.CONFIDENCE_SEQUENCE)
    outcome: Outcome | None = None
    effect: float | None = None
    alpha: float = 0.05

    def run(
        self,
        task: Task,
        replications: int,
        *,
        pool: int = 100_000,
        seed: int = 0,
        common: bool = False,
        pre_steps: int = 0,
        workers: int | Workers = 1,
    ) -> tuple[Pools, Replicated]:
        """Simulate the arms once, and the experiment many times.

        Args:
            task: the environment.
            replications: R.
            pool: users simulated for each arm.
            seed: root seed.
            common: the same users and draws for every arm.
            pre_steps: steps under the control policy before the experiment; with any, metrics are adjusted for them.
            workers: processes, or others; the result does not depend on them.
        """
        pools = simulate_arms(
            self.arms, task, pool, metrics=self.metrics, seed=seed, common=common, pre_steps=pre_steps,
            workers=workers,
        )  # fmt: skip
        return pools, replicate(
            pools.adjusted() if pre_steps else pools, self.looks, replications, allocation=self.allocation,
            methods=self.methods, outcome=self.outcome, effect=self.effect, alpha=self.alpha, seed=seed,
            workers=workers,
        )  # fmt: skip


def simulate_arms(
    arms: Mapping[str, Arm],
    task: Task,
    users: int,
    *,
    metrics: Sequence[Metric] = (),
    seed: int = 0,
    common: bool = False,
    pre_steps: int = 0,
    among: str | None = None,
    max_steps: int = 1000,
    device: str = "cpu",
    workers: int | Workers = 1,
) -> Pools:
    """Let every arm serve users from the start of an episode to its end, and keep their metrics.

    With a pre-period, every user's first steps are served by the control policy, and count as what was known before:
    the return, the channels and the days of those steps become covariates (:attr:`Pools.before`), the steps after them
    become metrics. Users who left before the experiment began are not in it: which ones these are depends on the
    control policy only, so the arms stay comparable; fewer users than were asked for remain.

    Args:
        arms: name -> policy; the first is the control.
        task: the environment.
        users: simulated for each arm.
        metrics: what to keep; all if empty.
        seed: root seed.
        common: the same seed, hence the same users and draws, for every arm. Else arms have users of their own.
        pre_steps: steps of the pre-period; 0 for none.
        among: a feedback channel; users without any of it are no part of the experiment. For environments that replay a
            log and say in a channel which steps the log can answer (``matched``), with an episode of one step.
        max_steps: cut episodes here if nothing else ends them.
        device: torch device, or ``"numpy"``.
        workers: processes, or others; the result does not depend on them.

    Raises:
        ValueError: there are fewer than two arms, no user is left, there is no such channel, or users who are left out
            by arm should be common to all arms.
    """
    if len(arms) < 2:
        raise ValueError(f"an experiment has at least two arms, found {list(arms)}")
    if among is not None and common:
        raise ValueError(f"which users have {among} depends on the arm: they cannot be common to all arms")
    kept = tuple(metrics) or metrics_of(task)
    # One more column, looked at and dropped.
    asked = kept if among is None else (*kept, *pick_metrics(task, (among,)))
    control = next(iter(arms.values()))
    made: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for index, arm in enumerate(arms.values()):
        if id(arm) not in made:
            root = child_seed(seed, "arm", 0 if common else index)
            made[id(arm)] = _simulated(control, arm, task, users, asked, root, pre_steps, max_steps, device, workers)
    parts = [made[id(arm)] for arm in arms.values()]
    if among is not None:
        parts = [(values[values[:, -1] > 0, :-1], before[values[:, -1] > 0]) for values, before in parts]
    values, before = (stacked(list(column)) for column in zip(*parts, strict=True))
    if values.shape[1] < 2:
        stayed = f"stayed for the {pre_steps} steps before the experiment" if among is None else f"have any {among}"
        raise ValueError(f"{values.shape[1]} users {stayed}")
    return Pools(tuple(arms), tuple(metric.name for metric in kept), values, before, paired=common)


def _simulated(
    control: Arm,
    arm: Arm,
    task: Task,
    users: int,
    metrics: tuple[Metric, ...],
    seed: int,
    pre: int,
    cut: int,
    device: str,
    workers: int | Workers,
) -> tuple[np.ndarray, np.ndarray]:
    """Metrics ``[n, m]`` and covariates ``[n, p]`` of one arm's users."""
    size = min(users, _SLICE)
    seeds = [child_seed(seed, "users", index) for index in range(-(-users // size))]
    served = _after(control, arm, pre) if pre else arm
    whole = rollout(served, task, users=size, seeds=seeds, max_steps=pre + cut, device=device, workers=workers).episodes
    if not pre:
        values = np.stack([metric.of(whole).ravel()[:users] for metric in metrics], -1)
        return values, np.zeros((len(values), 0))
    # The same seeds and the same policy: these are the first steps of the very same episodes.
    first = rollout(control, task, users=size, seeds=seeds, max_steps=pre, device=device, workers=workers).episodes
    stayed = (whole.length > pre).ravel()
    rest = _without(whole, first)
    values = np.stack([metric.of(rest).ravel() for metric in metrics], -1)
    known = np.column_stack(
        [first.reward.ravel(), first.feedback.reshape(-1, first.feedback.shape[2]), first.days.ravel()]
    )
    return values[stayed][:users], known[stayed][:users]


def _after(control: Arm, arm: Arm, steps: int) -> Callable[[Simulation], Policy[Any]]:
    def make(simulation: Simulation) -> Policy[Any]:
        return Handover(_policy(control, simulation), _policy(arm, simulation), steps)

    return make


def _policy(arm: Arm, simulation: Simulation) -> Policy[Any]:
    if isinstance(arm, Policy) and not isinstance(arm, type):
        return arm
    return arm(simulation)


def _without(whole: Episodes, first: Episodes) -> Episodes:
    """What came after the first steps; sessions that had begun before count."""
    rest = {f.name: getattr(whole, f.name) - getattr(first, f.name) for f in fields(Episodes)}
    still: Bool[np.ndarray, "seeds users"] = rest["length"] > 0
    return replace(whole, **{**rest, "sessions": np.where(still, rest["sessions"] + 1, 1)})
