"""Users who answer by item popularity and overall rates, whatever came before: the baseline of every learned model."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import device_of, integers, uniform
from recgym.data.schema import FeedbackSchema, InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.simulators.learned.sessions import SessionFacts, leave_labels, seconds_of
from recgym.simulators.learned.steps import Behaviour, ExposureSource, exposure_source
from recgym.types import Array, Generator, Response

__all__ = ["Rates", "RatesState", "RatesUsers"]

_PRIOR_ROWS = 10.0
_QUANTILES = 10_000
_NO_LEAVING_LEARNED = 0.1


@dataclass(frozen=True)
class Rates:
    """What a log says of all users together.

    Attributes:
        schema: the feedback channels.
        primary: the channel that follows item popularity.
        gated: whether the other channels are 0 where the primary one is.
        popularity: rate of the primary channel for each item, shrunk towards the overall rate as if by 10 more rows;
            for a channel that is not binary, the share of values above 0.
        values: for each channel evenly spaced quantiles of its values (of gated ones, where the gate is open; of the
            primary one, of those above 0).
        leave: share of steps that end a session.
        base_step_s: seconds that a step takes beside the durations among its feedback.
        gaps_s: pauses between sessions.
    """

    schema: FeedbackSchema
    primary: int
    gated: bool
    popularity: Float32[np.ndarray, "N"]
    values: Float32[np.ndarray, "F Q"]
    leave: float
    base_step_s: float
    gaps_s: Float64[np.ndarray, "gaps"]

    @classmethod
    def of(cls, log: InteractionLog, primary: str, gated: bool, session_gap_s: float = 1800.0) -> "Rates":
        """Read them off a log.

        Args:
            log: a log with slates.
            primary: the channel that follows item popularity.
            gated: whether the other channels are 0 where that one is.
            session_gap_s: a longer pause starts a new session, where the log has no sessions.

        Raises:
            ValueError: the log has no slates, so that nothing is known of what users passed over.
        """
        source = exposure_source(log)
        if source is not ExposureSource.SLATES:
            raise ValueError(f"{log.source}: the log has no slates; rates of what was shown need some")
        # Nothing is imputed, so the generator is not asked for anything.
        behaviour = Behaviour.of(log, source, 0, session_gap_s, make_generator(0, "rates", device="numpy"))
        labels, observed = behaviour.row_labels, behaviour.row_observed
        first = behaviour.schema.index(primary)
        shown, taken = observed[:, first], labels[:, first] > 0
        rows = np.bincount(behaviour.row_item[shown], minlength=log.n_items)
        likes = np.bincount(behaviour.row_item[shown & taken], minlength=log.n_items)
        overall = likes.sum() / max(rows.sum(), 1)
        timed = log.time_unit == "s" and bool((behaviour.step_session >= 0).any())
        facts = SessionFacts.of(behaviour, timed, 1 / _NO_LEAVING_LEARNED)
        return cls(
            schema=behaviour.schema,
            primary=first,
            gated=gated,
            popularity=((likes + _PRIOR_ROWS * overall) / (rows + _PRIOR_ROWS)).astype(np.float32),
            values=np.stack(
                [
                    _quantiles(labels[observed[:, index] & (taken | (not gated and index != first)), index])
                    for index in range(len(behaviour.schema))
                ]
            ),
            leave=_leave_rate(behaviour, log, session_gap_s) if timed else _NO_LEAVING_LEARNED,
            base_step_s=facts.base_step_s,
            gaps_s=facts.gaps_s,
        )


def _quantiles(values: np.ndarray) -> np.ndarray:
    if values.size == 0:
        return np.zeros(_QUANTILES, dtype=np.float32)
    places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    found: np.ndarray = np.sort(values)[(places * values.size).astype(np.int64)]
    return found.astype(np.float32)


def _leave_rate(behaviour: Behaviour, log: InteractionLog, session_gap_s: float) -> float:
    labels = leave_labels(behaviour, float(log.frame["time_s"].max()), session_gap_s)  # type: ignore[arg-type]
    return float(labels.last[labels.known].mean()) if labels.known.any() else _NO_LEAVING_LEARNED


class RatesState(NamedTuple):
    """State of a batch of users.

    Attributes:
        left: whether the session has ended.
    """

    left: Bool[Tensor, "B"]


class RatesUsers(UserModel[RatesState]):
    """Users whose answers depend on the item's popularity alone.

    ================  ==================================================================================================
    response          primary channel: a Bernoulli draw with the item's rate; the others: a draw from all their values
                      in the log, whatever the item, where the primary channel opens them if they need that
    state             none but whether the session has ended
    leaving           a Bernoulli draw with the overall rate after each step
    time of a step    the durations among the feedback + the log's median of the rest
    return            a draw from the logged pauses; never, if none was logged
    ================  ==================================================================================================

    Args:
        rates: what the log says of all users together.
        device: torch device.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ()
    runs_on_numpy: ClassVar[bool] = False

    def __init__(self, rates: Rates, device: str = "cpu") -> None:
        self.rates = rates
        self.schema = rates.schema
        self.num_items = rates.popularity.size
        self.profile_size = 0
        self._popularity = torch.from_numpy(rates.popularity).to(device)
        self.item_features: Float32[Array, "N D"] = self._popularity[:, None]
        self._values = torch.from_numpy(rates.values).to(device)
        self._means = self._values.mean(1)
        self._gaps = torch.from_numpy(rates.gaps_s).to(device)
        self._seconds = torch.from_numpy(seconds_of(rates.schema)).float().to(device)

    def on(self, device: str) -> "RatesUsers":
        """See :class:`UserModel`."""
        if device == "numpy":
            raise ValueError("RatesUsers runs on torch devices only, found device='numpy'")
        return RatesUsers(self.rates, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> RatesState:
        """See :class:`UserModel`."""
        return RatesState(torch.zeros(n, dtype=torch.bool, device=device_of(generator)))

    def respond(self, state: RatesState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        channels, quantiles = self._values.shape
        shape = tuple(slate.shape)
        some = (uniform(generator, shape) < self._popularity[slate]).float()
        places = integers(generator, quantiles, (*shape, channels))
        drawn = self._values[torch.arange(channels, device=slate.device), places]
        return Response(self._behind(drawn, some, slate))

    def expected(self, state: RatesState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        means = self._means.expand(*slate.shape, -1)
        return Response(self._behind(means, self._popularity[slate], slate))

    def _behind(self, values: Tensor, some: Tensor, slate: Tensor) -> Tensor:
        """The values where the primary channel is above 0, or that do not wait for it; nothing for repeated items."""
        open_ = some[..., None].expand_as(values).clone()
        if not self.rates.gated:
            others = torch.arange(values.shape[-1], device=slate.device) != self.rates.primary
            open_[..., others] = 1.0
        kept: Tensor = values * open_ * ~repeated_items(slate)[..., None]
        return kept

    def advance(
        self, state: RatesState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> RatesState:
        """See :class:`UserModel`."""
        return RatesState(state.left | (uniform(generator, (slate.shape[0],)) < self.rates.leave))

    def has_left(self, state: RatesState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(self, state: RatesState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`."""
        spent: Tensor = self.rates.base_step_s + (response.feedback @ self._seconds).sum(1)
        return spent

    def return_gap(self, state: RatesState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`."""
        n = state.left.shape[0]
        if self._gaps.shape[0] == 0:
            return torch.full((n,), torch.inf, dtype=torch.float64, device=state.left.device)
        return self._gaps[integers(generator, self._gaps.shape[0], (n,))]

    def come_back(self, state: RatesState, gap_s: Float64[Array, "B"], generator: Generator) -> RatesState:
        """See :class:`UserModel`."""
        return RatesState(torch.zeros_like(state.left))

    def observe(self, state: RatesState) -> Observed:
        """See :class:`UserModel`. There is nothing to see."""
        return Observed(profile=torch.zeros(state.left.shape[0], 0, device=state.left.device))
