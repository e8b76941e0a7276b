"""Slates: several items at once, a reward at each position.

What a reward is believed to depend on decides which probabilities are compared: the whole slate (SIPS), the item at the
position alone (IIPS), or the items down to the position (RIPS, cascade). The less it depends on, the less variance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from recgym.ope.base import Fraction, check_rows, needed

__all__ = [
    "CascadeDR", "LoggedSlates", "PseudoInverse", "SlateIPS",
    "joint_weights", "position_weights", "prefix_weights",
    "independent_slot_weights", "pseudo_inverse_weights", "slate_moments",
]  # fmt: skip


@dataclass(frozen=True)
class LoggedSlates:
    """Slates of a logging policy with K positions each, and how likely a target policy would have shown them.

    Each estimator needs some of the probabilities; the value is that of the rewards' sum over positions.

    Attributes:
        reward: at each position.
        joint: probability of the whole ordered slate under the logging policy.
        joint_target: the same under the target policy.
        marginal: probability of the item at its position, whatever stands elsewhere, under the logging policy.
        marginal_target: the same under the target policy.
        prefix: probability of the items down to each position under the logging policy.
        prefix_target: the same under the target policy.
        q_taken: model of the rewards from each position on, given the items down to it.
        q_target: the same, averaged over what the target policy would put there after the items above.
        linear: weight of the slate for rewards that are sums of what each item gives at its place; see
            :func:`pseudo_inverse_weights`.
    """

    reward: Float64[np.ndarray, "n K"]
    joint: Float64[np.ndarray, "n"] | None = None
    joint_target: Float64[np.ndarray, "n"] | None = None
    marginal: Float64[np.ndarray, "n K"] | None = None
    marginal_target: Float64[np.ndarray, "n K"] | None = None
    prefix: Float64[np.ndarray, "n K"] | None = None
    prefix_target: Float64[np.ndarray, "n K"] | None = None
    q_taken: Float64[np.ndarray, "n K"] | None = None
    q_target: Float64[np.ndarray, "n K"] | None = None
    linear: Float64[np.ndarray, "n"] | None = None

    def __post_init__(self) -> None:
        check_rows(self, "logged slates")
        for name in ("reward", "q_taken", "q_target", "linear"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                raise ValueError(f"logged slates: {name} must be finite")
        for name in ("joint", "marginal", "prefix"):
            value, target = getattr(self, name), getattr(self, f"{name}_target")
            if value is not None and not ((value > 0) & (value <= 1 + 1e-9)).all():
                raise ValueError(f"logged slates: {name} must hold probabilities in (0, 1]")
            if target is not None and not ((target >= 0) & (target <= 1 + 1e-9)).all():
                raise ValueError(f"logged slates: {name}_target must hold probabilities in [0, 1]")

    @property
    def n(self) -> int:
        """Slates."""
        return len(self.reward)


SlateWeights = Callable[[LoggedSlates], Float64[np.ndarray, "n K"]]


def joint_weights(data: LoggedSlates) -> Float64[np.ndarray, "n K"]:
    """Ratio of the probabilities of the whole slate, the same at each position."""
    ratio = needed(data.joint_target, "joint_target") / needed(data.joint, "joint")
    return np.repeat(ratio[:, None], data.reward.shape[1], 1)


def position_weights(data: LoggedSlates) -> Float64[np.ndarray, "n K"]:
    """Ratio of the probabilities of the item at its position."""
    ratio: np.ndarray = needed(data.marginal_target, "marginal_target") / needed(data.marginal, "marginal")
    return ratio


def prefix_weights(data: LoggedSlates) -> Float64[np.ndarray, "n K"]:
    """Ratio of the probabilities of the items down to each position."""
    ratio: np.ndarray = needed(data.prefix_target, "prefix_target") / needed(data.prefix, "prefix")
    return ratio


@dataclass(frozen=True)
class SlateIPS:
    """``mean(sum_k w_k r_k)``; self-normalised ``sum_k sum_i(w_k r_k) / sum_i(w_k)``.

    * SIPS, :func:`joint_weights`: unbiased, whatever rewards depend on; of large variance.
    * IIPS, :func:`position_weights`: unbiased where a reward depends on the item at the position alone (Li et al.,
      2018).
    * RIPS, :func:`prefix_weights`: unbiased where users look from the top down (McInerney et al., 2020).

    Attributes:
        weigh: the weights of each position.
        normalised: whether to divide by the mean weight of each position.
        name: in results.
    """

    weigh: SlateWeights = joint_weights
    normalised: bool = False
    name: str = "SIPS"

    def fractions(self, data: LoggedSlates) -> tuple[Fraction, ...]:
        """One mean, or a quotient a position."""
        weight = self.weigh(data)
        if not self.normalised:
            return (Fraction((weight * data.reward).sum(1)),)
        return tuple(Fraction(w * r, w) for w, r in zip(weight.T, data.reward.T, strict=True))

    def weights(self, data: LoggedSlates) -> Float64[np.ndarray, "n"]:
        """Of the last position, which vary most."""
        return self.weigh(data)[:, -1]


@dataclass(frozen=True)
class CascadeDR:
    """``mean(sum_k w_{1:k} (r_k - q_k) + w_{1:k-1} v_k)``, ``v_k`` the target's mean of q (Kiyohara et al., 2022).

    RIPS corrected by a model; unbiased where RIPS is. The telescoping sum holds whether q models the rewards from the
    position on or that of the position alone; the former takes more variance away.

    Attributes:
        name: in results.
    """

    name: str = "Cascade-DR"

    def fractions(self, data: LoggedSlates) -> tuple[Fraction, ...]:
        """One mean; needs ``prefix``, ``prefix_target``, ``q_taken`` and ``q_target``."""
        weight = prefix_weights(data)
        before = np.concatenate([np.ones((data.n, 1)), weight[:, :-1]], 1)
        taken, expected = needed(data.q_taken, "q_taken"), needed(data.q_target, "q_target")
        return (Fraction((weight * (data.reward - taken) + before * expected).sum(1)),)

    def weights(self, data: LoggedSlates) -> Float64[np.ndarray, "n"]:
        """Of the last position, which vary most."""
        return prefix_weights(data)[:, -1]


@dataclass(frozen=True)
class PseudoInverse:
    """``mean(l sum_k r_k)`` with weights l for rewards linear in (item, position) pairs (Swaminathan et al., 2017).

    Unbiased where a slate's reward is a sum of unknown gains of each item at its place; the variance grows with the
    number of pairs, not of slates. Weights may be negative.

    Attributes:
        normalised: whether to divide by the mean weight.
        name: in results.
    """

    normalised: bool = False
    name: str = "PI"

    def fractions(self, data: LoggedSlates) -> tuple[Fraction, ...]:
        """One mean or quotient; needs ``linear``."""
        weight = needed(data.linear, "linear")
        return (Fraction(weight * data.reward.sum(1), weight if self.normalised else None),)

    def weights(self, data: LoggedSlates) -> Float64[np.ndarray, "n"]:
        """Of each slate."""
        return needed(data.linear, "linear")


def slate_moments(
    slates: Int64[np.ndarray, "S K"], probability: Float64[np.ndarray, "S"], actions: int
) -> Float64[np.ndarray, "KA KA"]:
    """``E[x x^T]`` of the indicators x of (position, item) under a policy, from a list of its slates.

    Args:
        slates: items of each slate.
        probability: of each slate.
        actions: items there are.
    """
    shown = _indicators(slates, actions)
    moments: np.ndarray = (shown * probability[:, None]).T @ shown
    return moments


def pseudo_inverse_weights(
    slates: Int64[np.ndarray, "n K"],
    target: Float64[np.ndarray, "n K A"],
    moments: Float64[np.ndarray, "KA KA"],
) -> Float64[np.ndarray, "n"]:
    """``q^T G^+ x``: q the target's probability of each item at each position, G the logging policy's second moments.

    Args:
        slates: items shown.
        target: probability of each item at each position under the target policy, whatever stands elsewhere.
        moments: of a logging policy that ignores the context, see :func:`slate_moments`.
    """
    rows = target.reshape(len(target), -1) @ np.linalg.pinv(moments, hermitian=True)
    columns = slates + np.arange(slates.shape[1]) * target.shape[2]
    weight: np.ndarray = np.take_along_axis(rows, columns, 1).sum(1)
    return weight


def independent_slot_weights(
    marginal: Float64[np.ndarray, "n K"], marginal_target: Float64[np.ndarray, "n K"]
) -> Float64[np.ndarray, "n"]:
    """The same in closed form for a logging policy that fills positions independently: ``sum_k w_k - K + 1``."""
    weight: np.ndarray = (marginal_target / marginal).sum(1) - marginal.shape[1] + 1
    return weight


def _indicators(slates: np.ndarray, actions: int) -> Float64[np.ndarray, "S KA"]:
    positions = slates.shape[1]
    shown = np.zeros((len(slates), positions * actions))
    np.put_along_axis(shown, slates + np.arange(positions) * actions, 1.0, 1)
    return shown
