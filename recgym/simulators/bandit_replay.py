"""A log as a world: it answers for what it shows, and says where it does not know."""

from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import as_float, device_of, from_numpy, full, integers, namespace, zeros
from recgym.data.replay import ReplayRounds
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.types import Array, Generator, Response

__all__ = ["LogReplay", "ReplayState"]


class ReplayState(NamedTuple):
    """State of a batch of replays.

    Attributes:
        round: which round of the log is on.
        left: whether the log is at its end.
    """

    round: Int64[Array, "B"]
    left: Bool[Array, "B"]


class LogReplay(UserModel[ReplayState]):
    """Each row goes through the rounds of a log: in order from the first, or a bootstrap of them, without end.

    Two channels answer a slate: ``click``, what the log says that the item brought, and ``matched``, whether the log
    says anything: 1 where the item was shown in this round. A policy's mean reward is that of its matched steps (Li,
    Chu, Langford and Wang, WSDM 2011); it is unbiased where the log's items were drawn uniformly. The bootstrapped form
    is that of Mary, Preux and Nicol, ICML 2014, without noise on contexts.

    Args:
        rounds: of the log.
        bootstrap: draw each round anew from all of the log, in place of their order.
        device: where tables live.

    Raises:
        ValueError: rewards are not clicks, 0 or 1.
    """

    runs_on_numpy: ClassVar[bool] = True
    hidden_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rounds: ReplayRounds, bootstrap: bool = False, device: str = "cpu") -> None:
        if not np.isin(rounds.reward, (0, 1)).all():
            raise ValueError("the log's rewards must be clicks, 0 or 1")
        self.rounds, self.bootstrap = rounds, bootstrap
        self.schema = FeedbackSchema((Channel("click", ChannelKind.BINARY), Channel("matched", ChannelKind.BINARY)))
        self.num_items, self.profile_size = rounds.arms, int(rounds.context.shape[1])
        self.item_features = from_numpy(np.eye(rounds.arms, dtype=np.float32), device)
        self._context = from_numpy(rounds.context, device)
        self._shown = from_numpy(rounds.shown, device)
        self._reward = from_numpy(rounds.reward, device)

    def on(self, device: str) -> "LogReplay":
        """See :class:`UserModel`."""
        return LogReplay(self.rounds, self.bootstrap, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> ReplayState:
        """See :class:`UserModel`."""
        device = device_of(generator)
        first = integers(generator, self.rounds.n, (n,)) if self.bootstrap else zeros((n,), "int64", device)
        return ReplayState(first, zeros((n,), "bool", device))

    def expected(self, state: ReplayState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`. The log knows one answer, so this is :meth:`respond`."""
        hit = self._shown[state.round][:, None] == slate[:, :, None]
        hit = as_float(hit & ~repeated_items(slate)[:, :, None])
        click = (hit * self._reward[state.round][:, None]).sum(-1)
        return Response(as_float(namespace(click).stack([click, hit.sum(-1)], -1)))

    def respond(self, state: ReplayState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        return self.expected(state, slate)

    def advance(
        self, state: ReplayState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> ReplayState:
        """See :class:`UserModel`."""
        if self.bootstrap:
            return ReplayState(integers(generator, self.rounds.n, (slate.shape[0],)), state.left)
        last = state.round >= self.rounds.n - 1
        return ReplayState(namespace(state.round).where(last, state.round, state.round + 1), state.left | last)

    def has_left(self, state: ReplayState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(self, state: ReplayState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`. Each round counts as one second."""
        return full((slate.shape[0],), 1.0, "float32", device_of(slate))

    def return_gap(self, state: ReplayState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`. After the end of the log there is nothing."""
        return full((state.left.shape[0],), float("inf"), "float64", device_of(state.left))

    def come_back(self, state: ReplayState, gap_s: Float64[Array, "B"], generator: Generator) -> ReplayState:
        """See :class:`UserModel`. No gap is ever finite."""
        return state._replace(left=namespace(state.left).zeros_like(state.left))

    def observe(self, state: ReplayState) -> Observed:
        """See :class:`UserModel`."""
        return Observed(self._context[state.round])
