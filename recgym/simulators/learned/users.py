"""Users learned from a log, as a user model."""

import copy
import math
from typing import ClassVar

import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import device_of, normal, uniform
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.simulators.learned.bonds import bond_factor, correlated_places
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.network import gap_feature
from recgym.simulators.learned.newcomers import LoggedUsers, Newcomers
from recgym.simulators.learned.returns import draw_pause
from recgym.simulators.learned.sessions import seconds_of
from recgym.simulators.learned.tables import ItemTables
from recgym.simulators.learned.user_state import Felt, LearnedState
from recgym.types import Array, Generator, History, Response

__all__ = ["LearnedUsers"]


class LearnedUsers(UserModel[LearnedState]):
    """Users that answer, leave and come back as those of a log did.

    ================  ==================================================================================================
    new users         state, profile and record of consumption from a :class:`Newcomers`; by default those at the
                      start of a logged session, drawn at random
    response          drawn from the response network, which sees the whole slate: which items are taken for all
                      positions together, the rest for each, channels bound to each other as in the log; those behind
                      a gate only where it opens
    state             a GRU moves where anything was consumed; slates passed over leave it as it is
    leaving           a Bernoulli draw after each step from the leave head, in which the temper counts: a patience that
                      each slate adds to or takes from (a fixed probability if the log has no times)
    time of a step    drawn from the log's steps that took about as long, slow users staying slow; see
                      :class:`recgym.simulators.learned.pace.Pace` (the durations among the feedback and the log's
                      median of the rest, if the log has too few pauses)
    return            a pause drawn from the return head, given state, profile and what the session brought; never, for
                      who is not back within the longest time that the log can tell of, or if it shows no return
    items             what is known of an item (age, popularity, rates) stands still at the end of the log
    ================  ==================================================================================================

    Slates longer or shorter than any that was logged are treated like the nearest logged length.

    Args:
        fitted: what was learned from a log.
        device: torch device.
        newcomers: where users come from; :class:`LoggedUsers` if None.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("hidden", "temper", "brought", "pace", "haste")
    runs_on_numpy: ClassVar[bool] = False

    def __init__(self, fitted: FittedSimulator, device: str = "cpu", newcomers: Newcomers | None = None) -> None:
        self.fitted = fitted
        self.schema = fitted.schema
        self.num_items = fitted.n_items
        self.network = copy.deepcopy(fitted.network).to(device).requires_grad_(False).eval()
        self.tables = ItemTables.of(fitted, self.network, device)
        self.item_features: Float32[Array, "N D"] = self.tables.vectors[:-1]
        self.profile_size = int(fitted.snapshots.profile.shape[1])
        self.newcomers: Newcomers = LoggedUsers(fitted.snapshots) if newcomers is None else newcomers
        self._arrivals = self.newcomers.on(device)
        self._records = fitted.snapshots.with_blank(fitted.n_items).to(device)
        self._seconds = torch.from_numpy(seconds_of(fitted.schema)).float().to(device)
        factor = bond_factor(fitted.plan, fitted.network.bonds)
        self._factor = None if factor is None else factor.to(device)
        pace = fitted.sessions.pace
        self._pace = None if pace is None else pace.to(device)

    def on(self, device: str) -> "LearnedUsers":
        """See :class:`UserModel`."""
        if device == "numpy":
            raise ValueError("LearnedUsers runs on torch devices only, found device='numpy'")
        return LearnedUsers(self.fitted, device, self.newcomers)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> LearnedState:
        """See :class:`UserModel`."""
        arrivals, device = self._arrivals.draw(n, generator), device_of(generator)
        record = self._records.items[arrivals.snapshot]
        nought = torch.zeros(n, dtype=torch.float64, device=device)
        count = torch.zeros(n, dtype=torch.int64, device=device)
        pace = normal(generator, (n,))
        return LearnedState(
            hidden=arrivals.hidden, profile=arrivals.profile, snapshot=arrivals.snapshot,
            steps=count, clock_s=nought, start_s=nought, last_s=arrivals.last_s,
            left=torch.zeros(n, dtype=torch.bool, device=device),
            temper=torch.zeros(n, device=device), brought=torch.zeros(n, 2 * len(self.schema) + 2, device=device),
            recent=torch.cat([record, torch.full_like(record[:, :1], self.num_items)], 1), written=count,
            pace=pace, haste=self._haste(pace, generator),
        )  # fmt: skip

    def _haste(self, pace: Float32[Tensor, "B"], generator: Generator) -> Float32[Tensor, "B"]:
        """Where the time of the coming step lies among those of the log."""
        return torch.full_like(pace, 0.5) if self._pace is None else self._pace.draw(pace, generator)

    def _log_size(self, slate: Tensor) -> Tensor:
        low, high = self.fitted.facts.sizes
        size = min(max(slate.shape[1], low), high)
        return torch.full((slate.shape[0],), math.log(max(size, 1)), device=slate.device)

    def parameters(self, state: LearnedState, slate: Int64[Tensor, "B K"]) -> Float32[Tensor, "B K W"]:
        """Parameters of the response heads.

        This, :meth:`felt`, :meth:`remembered` and :meth:`hazards` are all that looks at weights. They hold no
        randomness, so that a set of simulators can run them with stacked weights.
        """
        step, interest = self.network.step_part(state.hidden, state.profile, self._log_size(slate))
        items = nnf.embedding(slate, self.tables.hidden)  # a third of the time of indexing
        step = self.network.compete(step, items.mean(1))
        repeats = (state.recent[:, None, :-1] == slate[:, :, None]).sum(-1).float()
        position = torch.arange(slate.shape[1], device=slate.device).clamp(max=self.fitted.facts.last_position)
        return self.network.respond(
            step[:, None], interest[:, None], items, nnf.embedding(slate, self.tables.vectors), repeats, position
        )

    @torch.no_grad()
    def respond(self, state: LearnedState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        return self.answer(self.parameters(state, slate), slate, generator)

    @torch.no_grad()
    def expected(self, state: LearnedState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        return self.mean(self.parameters(state, slate), slate)

    def answer(
        self,
        parameters: Float32[Tensor, "B K W"],
        slate: Tensor,
        generator: Generator,
        factor: Float32[Tensor, "B F F"] | None = None,
    ) -> Response:
        """Draw what the response heads say of a slate.

        Args:
            parameters: see :meth:`parameters`.
            slate: the items.
            generator: source of the draws.
            factor: how the channels of each user go together, see
                :func:`recgym.simulators.learned.bonds.bond_factor`; as in this simulator if None.
        """
        factor = self._factor if factor is None else factor
        plan, shown = self.fitted.plan, _shown(slate)
        chosen = plan.slates.choose(parameters, generator, shown)
        places = None if factor is None else correlated_places(factor, tuple(slate.shape), generator)
        feedback = plan.sample(parameters, generator, self.tables.lengths[slate], chosen, places)
        return Response(feedback if shown is None else feedback * shown[..., None])

    def mean(self, parameters: Float32[Tensor, "B K W"], slate: Tensor) -> Response:
        """The expectation of :meth:`answer`."""
        plan, shown = self.fitted.plan, _shown(slate)
        mean = plan.mean(plan.slates.alone(parameters, shown), self.tables.lengths[slate])
        return Response(mean if shown is None else mean * shown[..., None])

    @torch.no_grad()
    def advance(
        self, state: LearnedState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> LearnedState:
        """See :class:`UserModel`."""
        return self.moved(state, slate, response, self.felt(state, slate, response), generator)

    def felt(self, state: LearnedState, slate: Int64[Tensor, "B K"], response: Response) -> Felt:
        """What the network makes of the users' step."""
        feedback = response.feedback
        count = (feedback != 0).any(-1).sum(1)
        hidden = self.remembered(state, slate, response)
        summary = self._summary(slate, feedback, count)
        temper = self.network.temper(state.temper, summary)
        return Felt(hidden, temper, summary, self._leave_probability(state, hidden, summary, temper))

    def remembered(
        self, state: LearnedState, slate: Int64[Tensor, "B K"], response: Response
    ) -> Float32[Tensor, "B H"]:
        """The state of the network after the users' step."""
        network, feedback = self.network, response.feedback
        taken = (feedback != 0).any(-1)
        count = taken.sum(1)
        clock = state.clock_s + self.step_seconds(state, slate, response)
        brought = network.consumption(nnf.embedding(slate, self.tables.vectors), feedback) * taken[..., None]
        mean = brought.sum(1) / count.clamp(min=1)[:, None]
        inputs = torch.cat([mean, gap_feature(clock - state.last_s)[:, None]], 1)
        return torch.where((count > 0)[:, None], network.move(state.hidden, inputs), state.hidden)

    def moved(
        self, state: LearnedState, slate: Int64[Tensor, "B K"], response: Response, felt: Felt, generator: Generator
    ) -> LearnedState:
        """The states after a step, given what the network made of it."""
        taken = (response.feedback != 0).any(-1)
        clock = state.clock_s + self.step_seconds(state, slate, response)
        leaving = uniform(generator, (slate.shape[0],)) < felt.leave
        recent, written = _write(state.recent, state.written, slate, taken)
        return state._replace(
            hidden=felt.hidden, steps=state.steps + 1, clock_s=clock, left=state.left | leaving, temper=felt.temper,
            last_s=torch.where(taken.any(1), clock, state.last_s), brought=state.brought + felt.summary,
            recent=recent, written=written, haste=self._haste(state.pace, generator),
        )  # fmt: skip

    def _summary(self, slate: Tensor, feedback: Tensor, count: Tensor) -> Tensor:
        """What a step brought, of which ``count`` items were taken."""
        # Where exposures are imputed every training step looks alike, so nothing was learned from the summary.
        blank = 0.0 if self.fitted.facts.imputed is not None else 1.0
        scaled = self.network.scale(feedback) * blank
        return self.network.summary(scaled.mean(1), scaled.amax(1), count * blank, self._log_size(slate))

    def _leave_probability(self, state: LearnedState, hidden: Tensor, summary: Tensor, temper: Tensor) -> Tensor:
        """Chance that the session ends after a step that led to ``hidden`` and ``temper``."""
        fixed = self.fitted.sessions.leave_probability
        if not math.isnan(fixed):
            return torch.full_like(temper, fixed)
        # A log has the times at which steps begin: so many minutes lie between the first one's and this one's.
        minutes = ((state.clock_s - state.start_s) / 60).float()
        steps = (state.steps + 1).float()
        return self.network.leave(hidden, state.profile, summary, steps, minutes, temper).sigmoid()

    def has_left(self, state: LearnedState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(self, state: LearnedState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`."""
        spent = (response.feedback @ self._seconds).sum(1)
        if self._pace is None:
            return spent + self.fitted.sessions.base_step_s
        taken = (response.feedback[..., self.fitted.plan.primary] > 0).any(1)
        return self._pace.seconds(state.haste, spent, taken)

    def return_gap(self, state: LearnedState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`."""
        if self.network.shape.gaps == 0:
            return torch.full_like(state.clock_s, math.inf)
        return draw_pause(*self.hazards(state), generator)

    def hazards(self, state: LearnedState) -> tuple[Float32[Tensor, "B gaps"], Float64[Tensor, "B gaps_plus_1"]]:
        """Chance to come back within each range of the pause, given that it was not sooner, and the ranges' bounds."""
        steps = state.steps.clamp(min=1).float()
        minutes = ((state.clock_s - state.start_s) / 60).float()
        logits = self.network.coming_back(
            state.hidden, state.profile, state.brought / steps[:, None], steps, minutes, state.temper
        )
        return logits.sigmoid(), self.network.gap_edges.expand(logits.shape[0], -1)

    def come_back(self, state: LearnedState, gap_s: Float64[Array, "B"], generator: Generator) -> LearnedState:
        """See :class:`UserModel`.

        The state of the network and what the user took lately are kept, and the pause goes into the time since the
        last event; steps, temper and what the session brought start anew.
        """
        clock = torch.where(gap_s.isfinite(), state.clock_s + gap_s, state.clock_s)
        return state._replace(
            steps=torch.zeros_like(state.steps), clock_s=clock, start_s=clock, left=torch.zeros_like(state.left),
            temper=torch.zeros_like(state.temper), brought=torch.zeros_like(state.brought),
        )  # fmt: skip

    def observe(self, state: LearnedState) -> Observed:
        """See :class:`UserModel`. The record holds the last T consumptions before the session."""
        items = self._records.items[state.snapshot]
        history = History(
            items=items,
            feedback=self._records.feedback[state.snapshot],
            time_s=self._records.time_s[state.snapshot],
            mask=items != self.num_items,
        )
        return Observed(profile=state.profile, history=history)


def _shown(slate: Int64[Tensor, "B K"]) -> Bool[Tensor, "B K"] | None:
    """Positions that hold an item which no earlier position shows; the others get nothing. None: all do."""
    return None if slate.shape[1] == 1 else ~repeated_items(slate)


def _write(
    recent: Int64[Tensor, "B T_plus_1"],
    count: Int64[Tensor, "B"],
    slate: Int64[Tensor, "B K"],
    taken: Bool[Tensor, "B K"],
) -> tuple[Tensor, Tensor]:
    """Write consumed items to the ring, in slate order; of more than T, the last T."""
    length = recent.shape[1] - 1
    rank = taken.cumsum(1)
    total = rank[:, -1:]
    write = taken & (rank > total - length)
    column = torch.where(write, (count[:, None] + rank - 1) % length, length)
    return recent.scatter(1, column, slate), count + total[:, 0]
