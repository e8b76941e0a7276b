"""Clicks that are linear in the visitor's features, with weights that stay or drift: the world of linear bandits."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from recgym.arrays import copy, from_numpy, gather, namespace, normal, uniform
from recgym.simulators.bandit_base import BanditWorld, rows_of
from recgym.simulators.base import Observed
from recgym.types import Array, Generator, Response

__all__ = ["ContextualBandit", "ContextualBanditConfig", "ContextualState"]


@dataclass(frozen=True)
class ContextualBanditConfig:
    """Parameters of the world.

    Attributes:
        arms: A.
        width: d, features of a visitor.
        drift: length of a step of each arm's weights, whose own length is 1; 0 for a stationary world.
        change: probability at each step that all weights of a row are drawn anew.
        seed: of weights that all rows begin with; None if each row begins with weights of its own.
    """

    arms: int = 20
    width: int = 10
    drift: float = 0.0
    change: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.arms < 2 or self.width < 2:
            raise ValueError(f"at least 2 arms and 2 features are needed, found {self.arms} and {self.width}")
        if self.drift < 0 or not 0 <= self.change <= 1:
            raise ValueError(
                f"drift must not be negative and change must lie in [0, 1], found {self.drift} and {self.change}"
            )


class ContextualState(NamedTuple):
    """State of a batch of services.

    Attributes:
        visitor: features of the visitor who is there now, of length 1.
        weights: of each arm, of length 1.
    """

    visitor: Float32[Array, "B D"]
    weights: Float32[Array, "B N D"]


def _of_length_one(vectors: Array) -> Array:
    return vectors / (namespace(vectors).sqrt((vectors * vectors).sum(-1)) + 1e-12)[..., None]


class ContextualBandit(BanditWorld[ContextualState]):
    """Visitor x clicks arm a with probability ``(1 + x^T w_a) / 2``.

    =================  =========================================================================================
    visitor            a new one each step, features uniform on the sphere of ``width`` dimensions
    weights of an arm  uniform on the same sphere; hidden
    drift              ``w <- (w + drift z) / |w + drift z|``, z uniform on the sphere; or all drawn anew at times
    =================  =========================================================================================

    A system sees the visitor's features (the profile); of arms it knows nothing but the id. The probability is linear
    in x without any cut, so linear bandits are well specified.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("weights",)

    def __init__(self, config: ContextualBanditConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or ContextualBanditConfig()
        super().__init__(config.arms, None, device)
        self.profile_size = config.width
        self._common: Array | None = None
        if config.seed is not None:
            drawn = np.random.default_rng(config.seed).standard_normal((1, config.arms, config.width))
            self._common = from_numpy(_of_length_one(drawn).astype(np.float32), device)

    def on(self, device: str) -> "ContextualBandit":
        """See :class:`UserModel`."""
        return ContextualBandit(self.config, device)

    def _sphere(self, shape: tuple[int, ...], generator: Generator) -> Array:
        return _of_length_one(normal(generator, (*shape, self.config.width)))

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> ContextualState:
        """See :class:`UserModel`."""
        visitor = self._sphere((n,), generator)
        if self._common is None:
            return ContextualState(visitor, self._sphere((n, self.config.arms), generator))
        return ContextualState(visitor, copy(self._common + 0 * visitor[:, None]))

    def chance(self, state: ContextualState, slate: Int64[Array, "B K"]) -> Float32[Array, "B K"]:
        """See :class:`BanditWorld`."""
        weights = gather(state.weights, slate)
        scores = (1 + (weights * state.visitor[:, None]).sum(-1)) / 2
        return namespace(scores).clip(scores, 0.0, 1.0)

    def advance(
        self, state: ContextualState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> ContextualState:
        """See :class:`UserModel`."""
        config, rows = self.config, rows_of(state)
        weights = state.weights
        if config.drift:
            weights = _of_length_one(weights + config.drift * self._sphere((rows, config.arms), generator))
        if config.change:
            anew = uniform(generator, (rows, 1, 1)) < config.change
            weights = namespace(weights).where(anew, self._sphere((rows, config.arms), generator), weights)
        return ContextualState(self._sphere((rows,), generator), weights)

    def observe(self, state: ContextualState) -> Observed:
        """See :class:`UserModel`."""
        return Observed(state.visitor)
