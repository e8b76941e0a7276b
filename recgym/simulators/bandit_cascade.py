"""Visitors who look down a list and stop at the first item that they like: the world of cascading bandits."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from jaxtyping import Float32, Int64

from recgym.arrays import as_float, device_of, full, gather, namespace, uniform
from recgym.simulators.bandit_base import BanditWorld, rows_of
from recgym.simulators.base import Observed
from recgym.simulators.choice import repeated_items
from recgym.types import Array, Generator, Response

__all__ = ["CascadeBandit", "CascadeBanditConfig", "CascadeState"]


@dataclass(frozen=True)
class CascadeBanditConfig:
    """Parameters of the world.

    Attributes:
        arms: A.
        low: smallest attraction.
        high: largest.
    """

    arms: int = 20
    low: float = 0.02
    high: float = 0.3

    def __post_init__(self) -> None:
        if self.arms < 1 or not 0 <= self.low < self.high <= 1:
            raise ValueError(
                f"at least 1 arm and 0 <= low < high <= 1 are needed, found {self.arms}, {self.low}, {self.high}"
            )


class CascadeState(NamedTuple):
    """State of a batch of services; it never changes.

    Attributes:
        attraction: probability that a visitor who looks at an arm likes it.
    """

    attraction: Float32[Array, "B N"]


class CascadeBandit(BanditWorld[CascadeState]):
    """The probability of a click at position k is ``v_k prod_(j < k) (1 - v_j)``: at most one click a list.

    Attractions are uniform between ``low`` and ``high``, drawn once for each row, and hidden. Source: Kveton et al.,
    ICML 2015. An item that repeats is passed over. Nothing is known of visitors, nor of arms but their ids.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("attraction",)

    def __init__(self, config: CascadeBanditConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or CascadeBanditConfig()
        super().__init__(config.arms, None, device)
        self.profile_size = 0

    def on(self, device: str) -> "CascadeBandit":
        """See :class:`UserModel`."""
        return CascadeBandit(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> CascadeState:
        """See :class:`UserModel`."""
        return CascadeState(uniform(generator, (n, self.config.arms), self.config.low, self.config.high))

    def chance(self, state: CascadeState, slate: Int64[Array, "B K"]) -> Float32[Array, "B K"]:
        """See :class:`BanditWorld`."""
        likes = gather(state.attraction, slate) * ~repeated_items(slate)
        passed = namespace(likes).cumprod(1 - likes, -1)
        return likes * passed / namespace(likes).clip(1 - likes, 1e-9, 1.0)

    def respond(self, state: CascadeState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`. One draw a visitor: where it falls among the positions' probabilities."""
        chance = self.chance(state, slate)
        up_to = namespace(chance).cumsum(chance, -1)
        draw = uniform(generator, (slate.shape[0], 1))
        return Response(as_float((draw < up_to) & (draw >= up_to - chance) & (chance > 0))[..., None])

    def advance(
        self, state: CascadeState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> CascadeState:
        """See :class:`UserModel`. Nothing changes."""
        return state

    def observe(self, state: CascadeState) -> Observed:
        """See :class:`UserModel`."""
        return Observed(full((rows_of(state), 0), 0.0, "float32", device_of(state.attraction)))
