"""What the worlds of bandits share: visitors come one a step, and clicks follow known probabilities."""

from abc import abstractmethod
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import bernoulli, device_of, from_numpy, full
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import UserModel
from recgym.simulators.choice import repeated_items
from recgym.types import Array, Generator, Response

__all__ = ["BanditWorld", "rows_of"]

State = TypeVar("State", bound=Any)


def rows_of(state: Any) -> int:
    """How many rows a state has."""
    return int(state[0].shape[0])


class BanditWorld(UserModel[State]):
    """A row is a service: at each step it shows arms to a new visitor, who clicks or not; it never ends.

    The rows are independent, each a world of its own, so a batch of rows is that many replications of an experiment.
    The time between visitors is one second.

    Args:
        arms: how many items there are.
        item_features: what a system can see of them; one-hot rows, which say nothing but the id, if None.
        device: where tables live.
    """

    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, arms: int, item_features: np.ndarray | None, device: str) -> None:
        features = np.eye(arms) if item_features is None else item_features
        self.schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
        self.num_items = arms
        self.item_features = from_numpy(features.astype(np.float32), device)

    @abstractmethod
    def chance(self, state: State, slate: Int64[Array, "B K"]) -> Float32[Array, "B K"]:
        """Probability of a click on each item of the slate."""

    def respond(self, state: State, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        return Response(bernoulli(generator, self.chance(state, slate) * ~repeated_items(slate))[..., None])

    def expected(self, state: State, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        return Response((self.chance(state, slate) * ~repeated_items(slate))[..., None])

    def has_left(self, state: State) -> Bool[Array, "B"]:
        """See :class:`UserModel`. A service never ends."""
        return full((rows_of(state),), False, "bool", device_of(state[0]))

    def step_seconds(self, state: State, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`."""
        return full((slate.shape[0],), 1.0, "float32", device_of(slate))

    def return_gap(self, state: State, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`. No session ever ends, so none follows."""
        return full((rows_of(state),), float("inf"), "float64", device_of(state[0]))

    def come_back(self, state: State, gap_s: Float64[Array, "B"], generator: Generator) -> State:
        """See :class:`UserModel`. Nothing changes."""
        return state
