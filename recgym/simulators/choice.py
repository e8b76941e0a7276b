"""How a user picks at most one item from a slate.

Source: RecSim (arXiv 1909.04847), ``choice_model.py``; the conditional logit family of SlateQ (arXiv 1905.12767),
section 3.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float32, Int64

from recgym.arrays import append_column, device_of, is_one_user, namespace, zeros
from recgym.types import Array

__all__ = [
    "ChoiceModel",
    "ExponentialCascade",
    "MultinomialLogit",
    "MultinomialProportional",
    "ProportionalCascade",
    "repeated_items",
]


def repeated_items(slate: Int64[Array, "B K"]) -> Bool[Array, "B K"]:
    """Where a slate shows an item that an earlier position already shows."""
    size = slate.shape[1]
    repeated = zeros(tuple(slate.shape), "bool", device_of(slate))
    if size == 1 or (is_one_user(slate) and len(set(slate[0].tolist())) == size):
        return repeated
    for apart in range(1, size):  # K - 1 comparisons of whole slates cost less than one of all K x K pairs
        repeated[:, apart:] |= slate[:, apart:] == slate[:, :-apart]
    return repeated


@runtime_checkable
class ChoiceModel(Protocol):
    """Turns how much a user likes each item of a slate into how likely each is to be picked."""

    def weights(self, scores: Float32[Array, "B K"], empty: Bool[Array, "B K"]) -> Float32[Array, "B K_plus_1"]:
        """Non-negative weights of picking each position, and of picking none (last column); they need not sum to 1.

        Args:
            scores: the user's affinity for the item at each position.
            empty: positions that hold nothing, which are never picked.
        """
        ...


@dataclass(frozen=True)
class MultinomialProportional:
    """``p(i) ~ score_i - min_normalizer``, and ``no_click_mass - min_normalizer`` for none.

    Attributes:
        no_click_mass: score of picking none.
        min_normalizer: lowest possible score; makes all weights non-negative.
    """

    no_click_mass: float = 1.0
    min_normalizer: float = -1.0

    def weights(self, scores: Float32[Array, "B K"], empty: Bool[Array, "B K"]) -> Float32[Array, "B K_plus_1"]:
        """See :class:`ChoiceModel`."""
        return append_column((scores - self.min_normalizer) * ~empty, self.no_click_mass - self.min_normalizer)


@dataclass(frozen=True)
class MultinomialLogit:
    """``p(i) ~ exp(score_i)``, and ``exp(no_click_mass)`` for none.

    Attributes:
        no_click_mass: logit of picking none.
    """

    no_click_mass: float = 1.0

    def weights(self, scores: Float32[Array, "B K"], empty: Bool[Array, "B K"]) -> Float32[Array, "B K_plus_1"]:
        """See :class:`ChoiceModel`."""
        xp = namespace(scores)
        logits = append_column(scores, self.no_click_mass)
        weights = xp.exp(logits - xp.amax(logits, -1)[:, None])
        return xp.concatenate([weights[:, :-1] * ~empty, weights[:, -1:]], 1)


def _cascade(attention: float, examined: Array, empty: Array) -> Array:
    """Click the first position examined and liked: ``p(i) = q_i prod_{j<i} (1 - q_j)``, q = attention * examined."""
    xp = namespace(examined)
    q = xp.clip(attention * examined, 0.0, 1.0) * ~empty
    survive = xp.cumprod(1.0 - q, 1)
    before = xp.concatenate([xp.ones_like(survive[:, :1]), survive[:, :-1]], 1)
    return xp.concatenate([q * before, survive[:, -1:]], 1)


@dataclass(frozen=True)
class ExponentialCascade:
    """Reads down the slate; clicks an examined item with probability ``attention * scaling * exp(score)``.

    Attributes:
        attention: probability of examining a position.
        scaling: turns ``exp(score)`` into a probability; products above 1 are cut at 1.
    """

    attention: float = 0.65
    scaling: float = 0.05

    def weights(self, scores: Float32[Array, "B K"], empty: Bool[Array, "B K"]) -> Float32[Array, "B K_plus_1"]:
        """See :class:`ChoiceModel`."""
        return _cascade(self.attention, self.scaling * namespace(scores).exp(scores), empty)


@dataclass(frozen=True)
class ProportionalCascade:
    """Reads down the slate; clicks an item with probability ``attention * scaling * (score - min_normalizer)``.

    Attributes:
        attention: probability of examining a position.
        scaling: turns the shifted score into a probability; products above 1 are cut at 1.
        min_normalizer: lowest possible score.
    """

    attention: float = 0.65
    scaling: float = 0.05
    min_normalizer: float = -1.0

    def weights(self, scores: Float32[Array, "B K"], empty: Bool[Array, "B K"]) -> Float32[Array, "B K_plus_1"]:
        """See :class:`ChoiceModel`."""
        return _cascade(self.attention, self.scaling * (scores - self.min_normalizer), empty)
