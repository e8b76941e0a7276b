"""The tensor core: B simulated users, stepped together on one device."""

from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import arange, copy, full, gather, namespace, set_rows, take_rows, zeros
from recgym.envs.history import HistoryRing
from recgym.envs.levels import DAY_S
from recgym.envs.observations import Observation, StatefulObserver
from recgym.envs.rewards import Outcome
from recgym.envs.task import Task
from recgym.envs.transition import SimulationState, Transition, copy_tree
from recgym.envs.uncertainty import CertainCandidates
from recgym.seeding import make_generator
from recgym.simulators.base import Observed
from recgym.simulators.organic import OrganicUsers, Visit
from recgym.simulators.uncertain import UncertainUsers
from recgym.types import Array, Generator, History, Response

__all__ = ["Simulation", "SimulationState", "Transition"]

_AHEAD = 2048
"""How many candidates to draw at once, at most, if there are so few users that one step needs less."""


class Simulation:
    """B users of one task, side by side.

    Users whose episode has ended are stepped on with the others until :meth:`reset_rows` puts new ones in their place;
    what they do until then means nothing. When to reset is the business of the faces
    (:class:`recgym.envs.RecVectorEnv` and others). :meth:`reset` must come first.

    Args:
        task: what is simulated.
        num_users: B.
        device: ``"cpu"`` or another torch device, or ``"numpy"``, which is faster for few users.
        seed: root seed of the users' randomness.
        first_row: place of the first user in a larger population of which this is a block.

    Raises:
        ValueError: there are no users, or the model does not run on the device.

    Attributes:
        task: what is simulated; its model lives on :attr:`device`.
        users: the users' states, hidden parts included. Policies must not look here.
        ring: the record of consumption.
        candidates: item ids on offer, ``[B, M]``; None if an action is an item id.
        clock_s: seconds since each user's episode began, float64.
        steps: steps since each user's episode began, int64.
        session: which session of the episode each user is in, from 0, int64.
        session_start: value of :attr:`steps` when that session began, int64.
        away_s: seconds between that session and the one before, float64; 0 in the first.
        channels: names of the feedback channels, in order.
        sizes: N, M, T and the like.
        padded_features: item features with a row of zeros for the padding id, ``[N + 1, D]``.
        memory: what a :class:`recgym.envs.StatefulObserver` keeps of each user; None for other observers.
    """

    def __init__(self, task: Task, num_users: int, *, device: str = "cpu", seed: int = 0, first_row: int = 0) -> None:
        if num_users < 1:
            raise ValueError(f"at least 1 user is needed, found num_users={num_users}")
        if device == "numpy" and not task.model.runs_on_numpy:
            raise ValueError(f"{type(task.model).__name__} runs on torch devices only, found device='numpy'")
        self.task = task
        self.model = task.model.on(device)
        self.num_users = num_users
        self.device = device
        self.channels = self.model.schema.names
        self.sizes = task.sizes
        self.num_candidates = self.sizes.num_candidates
        self.generator: Generator = make_generator(seed, "users", device=device)
        features = self.model.item_features
        self.padded_features: Float32[Array, "N_plus_1 D"] = namespace(features).concatenate(
            [features, namespace(features).zeros_like(features[:1])], 0
        )
        self._rows = arange(num_users, device)
        self._first_row = first_row
        self._one = full((), 1, "int64", device)
        self._organic = self.model if isinstance(self.model, OrganicUsers) else None
        self._uncertain = self.model if isinstance(self.model, UncertainUsers) else None
        self._certain = task.candidates if isinstance(task.candidates, CertainCandidates) else None
        if self._organic is not None and task.window < 2:
            raise ValueError(f"{task.name}: users who consume unasked need a window of at least 2, found {task.window}")
        self.ring = HistoryRing.empty(
            num_users, task.window, len(self.model.schema), self.model.num_items, device,
            0 if self._organic is None else self._organic.longest_visit,
        )  # fmt: skip
        self.clock_s = zeros((num_users,), "float64", device)
        self.steps = zeros((num_users,), "int64", device)
        self.session = zeros((num_users,), "int64", device)
        self.session_start = zeros((num_users,), "int64", device)
        self.away_s = zeros((num_users,), "float64", device)
        self.candidates: Int64[Array, "B M"] | None = None
        self._ahead: Array | None = None
        self.users: Any = None
        self._follower = task.observer if isinstance(task.observer, StatefulObserver) else None
        self.memory: Any = None if self._follower is None else self._follower.start(self.sizes, num_users)
        self._observed: tuple[Any, Observed | None] = (None, None)

    def reset(self, seed: int | None = None) -> None:
        """Start all users anew; with a seed, from a fresh generator."""
        if seed is not None:
            self.generator = make_generator(seed, "users", device=self.device)
            self._ahead = None
        self.users = self.model.sample_users(self.num_users, self.generator, self._rows + self._first_row)
        self._start_rows(self._rows, self.users)
        self._draw_candidates()

    def reset_rows(self, mask: Bool[Array, "B"]) -> None:
        """Put new users in the rows where the mask holds. Candidates of all users stay; they are already fresh.

        But where candidates depend on the users, the new ones get new ones.
        """
        rows = namespace(mask).where(mask)[0]
        if rows.shape[0] == 0:
            return
        fresh = self.model.sample_users(int(rows.shape[0]), self.generator, rows + self._first_row)
        self.users = set_rows(self.users, rows, fresh)
        self._start_rows(rows, fresh)
        if self._certain is not None:
            drawn = self._certain.draw(int(rows.shape[0]), self.model.num_items, self.generator)
            self.candidates = copy(self.candidates)  # the last observation may show the old ones
            self.candidates[rows] = self._certain.choose(self.model, fresh, drawn)

    def _start_rows(self, rows: Array, users: Any) -> None:
        history = self.model.observe(users).history
        self.ring.write(rows, history)
        if self._follower is not None:
            self.memory = self._follower.begin(self.memory, rows, history)
        self.clock_s = copy(self.clock_s)  # the last transition shows the old one
        self.clock_s[rows] = 0.0
        self.steps[rows] = 0
        if self.task.level == "retention":
            self.session[rows] = self.session_start[rows] = 0
            self.away_s[rows] = 0.0

    def _draw_candidates(self) -> None:
        """New candidates; for few users from a draw of several steps, which costs hardly more than that of one."""
        users, ahead = self.num_users, self._ahead
        if ahead is None or ahead.shape[0] == 0:
            steps = max(1, _AHEAD // (users * self.num_candidates))
            ahead = self.task.candidates.draw(users * steps, self.model.num_items, self.generator)
        if ahead is None:
            self.candidates = None
        else:
            self.candidates, self._ahead = ahead[:users], ahead[users:]
        if self._certain is not None:
            self.candidates = self._certain.choose(self.model, self.users, self.candidates)

    def slate_of(self, action: Array) -> Int64[Array, "B K"]:
        """The item ids that an action shows.

        Args:
            action: candidate indices ``[B]`` or ``[B, K]``, or preference vectors ``[B, D]``.
        """
        if self.task.action == "preference":
            action = self._rank(action)
        indices = action[:, None] if action.ndim == 1 else action
        return indices if self.candidates is None else gather(self.candidates, indices)

    def _rank(self, preference: Array) -> Int64[Array, "B K"]:
        """The K candidates whose features have the largest dot product with the preference, best first."""
        if self.candidates is None:
            scores = preference @ self.model.item_features.T
        else:
            features = self.model.item_features[self.candidates]
            scores = (features @ preference[:, :, None])[:, :, 0]
        if self.task.mask_consumed:
            scores = namespace(scores).where(self.allowed(), scores, -float("inf"))
        k = self.task.slate_size
        if isinstance(scores, np.ndarray):
            return np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return torch.topk(scores, k, dim=1).indices

    def step(self, action: Array) -> Transition:
        """Show each user a slate and let them answer.

        Args:
            action: see :meth:`slate_of`; its values are not checked here, the faces do that.
        """
        task, model, generator = self.task, self.model, self.generator
        slate = self.slate_of(action)
        doubt = None if self._uncertain is None else partial(self._uncertain.uncertainty, self.users, slate)
        response = model.respond(self.users, slate, generator)
        self.clock_s = self.clock_s + model.step_seconds(self.users, slate, response)
        self.ring.append(slate, response.feedback, self.clock_s)
        self.users = model.advance(self.users, slate, response, generator)
        self.steps = self.steps + self._one
        left, time_s, gap_s = model.has_left(self.users), self.clock_s, None
        visit = None if self._organic is None else self._record_visit(self._organic)
        if task.level == "session":
            terminated = left
        elif task.level == "request":
            terminated = full((self.num_users,), True, "bool", self.device)
        else:
            gap_s = self._come_back(left)
            terminated = left & ~(gap_s <= task.retention.churn_after_s)
        outcome = Outcome(slate, response, left, self.steps, gap_s, doubt)
        truncated = self._truncated(terminated)
        costs = {name: cost(outcome) for name, cost in task.costs.items()}
        reward = task.reward(outcome)
        transition = Transition(slate, response, reward, costs, terminated, truncated, time_s, gap_s, visit)
        if self._follower is not None:
            self.memory = self._follower.follow(self.memory, transition)
        self._draw_candidates()
        return transition

    def _record_visit(self, model: OrganicUsers) -> Visit:
        """Write what users consumed unasked into the history, and move the clock on."""
        visit = model.visit(self.users)
        rows = namespace(visit.mask).where(visit.mask[:, 0])[0]
        if rows.shape[0]:
            some = take_rows(visit, rows)
            self.ring.append_visit(rows, some, self.clock_s[rows], some.mask.sum(-1))
            self.clock_s = self.clock_s + visit.seconds
        return visit

    def _come_back(self, left: Bool[Array, "B"]) -> Float64[Array, "B"]:
        """Start the next session of the users who left and come back in time; how long each was away."""
        gap_s = full((self.num_users,), float("nan"), "float64", self.device)
        rows = namespace(left).where(left)[0]
        if rows.shape[0] == 0:
            return gap_s
        gap = self.model.return_gap(take_rows(self.users, rows), self.generator)
        gap_s[rows] = gap
        back = gap <= self.task.retention.churn_after_s
        rows, gap = rows[back], gap[back]
        if rows.shape[0]:
            returned = self.model.come_back(take_rows(self.users, rows), gap, self.generator)
            self.users = set_rows(self.users, rows, returned)
            self.clock_s = copy(self.clock_s)
            self.clock_s[rows] += gap
            self.session[rows] += 1
            self.session_start[rows] = self.steps[rows]
            self.away_s[rows] = gap
        return gap_s

    def _truncated(self, terminated: Bool[Array, "B"]) -> Bool[Array, "B"]:
        """Which users reached a limit of the task."""
        task, limits = self.task, self.task.retention
        reached = zeros((self.num_users,), "bool", self.device) if task.horizon is None else self.steps >= task.horizon
        if task.level == "retention":
            if limits.max_sessions is not None:
                reached = reached | (self.session >= limits.max_sessions)
            if limits.horizon_days is not None:
                reached = reached | (self.clock_s >= limits.horizon_days * DAY_S)
        elif task.horizon is None:
            return reached
        return reached & ~terminated

    def observation(self) -> Observation:
        """What the agent sees now."""
        return self.task.observer(self)

    def profile(self) -> Float32[Array, "B P"]:
        """The users' observable features."""
        return self._observe().profile

    def group(self) -> Int64[Array, "B"] | None:
        """Which users share environment parameters; None if all do."""
        return self._observe().group

    def _observe(self) -> Observed:
        """What a system can see of the users, made once a step; observers and info ask for it in turn."""
        users, observed = self._observed
        if observed is None or users is not self.users:
            observed = self.model.observe(self.users)
            self._observed = (self.users, observed)
        return observed

    def history(self) -> History:
        """The last T consumed events of each user, right-aligned."""
        return self.ring.window()

    def last_event(self) -> tuple[Int64[Array, "B"], Float32[Array, "B F"]]:
        """The newest consumed item of each user (N if there is none) and its feedback."""
        return self.ring.last()

    def allowed(self) -> Bool[Array, "B M"]:
        """Which candidates may be shown: all, or those not in the visible history if the task masks consumed items.

        A user who has consumed every candidate is allowed all of them, so that there is always an action.
        """
        shape = (self.num_users, self.num_candidates)
        if not self.task.mask_consumed:
            return full(shape, True, "bool", self.device)
        if self.candidates is None:
            seen = zeros((self.num_users, self.model.num_items + 1), "bool", self.device)
            seen[self._rows[:, None], self.ring.recent()] = True
            seen = seen[:, :-1]
        else:
            seen = (self.candidates[:, :, None] == self.ring.recent()[:, None]).any(-1)
        return ~seen | seen.all(-1)[:, None]

    def expected(self, slate: Int64[Array, "B K"]) -> Response:
        """The true expected feedback of a slate of item ids, for oracles and regret only."""
        return self.model.expected(self.users, slate)

    def get_state(self) -> SimulationState:
        """A copy from which :meth:`set_state` continues exactly, draws included, for branching and look-ahead."""
        numpy = isinstance(self.generator, np.random.Generator)
        now = SimulationState(
            self.users, self.ring, self.candidates, self._ahead, self.clock_s, self.steps, self.session,
            self.session_start, self.away_s, self.memory,
            self.generator.bit_generator.state if numpy else self.generator.get_state(),
        )  # fmt: skip
        copied: SimulationState = copy_tree(now)
        return copied

    def set_state(self, state: SimulationState) -> None:
        """Go back to a state from :meth:`get_state`; the state can be used again."""
        (
            self.users, self.ring, self.candidates, self._ahead, self.clock_s, self.steps, self.session,
            self.session_start, self.away_s, self.memory,
        ) = copy_tree(tuple(state))[:-1]  # fmt: skip
        if isinstance(self.generator, np.random.Generator):
            self.generator.bit_generator.state = state.generator
        else:
            self.generator.set_state(state.generator)
