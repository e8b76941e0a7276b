"""Linear bandits: the reward of an arm is linear in features, with an error bar that narrows as it is shown.

===============  =====================================================================================================
LinUCB           arm a has its own weights over the user's features: ``x^T m_a + alpha sqrt(x^T P_a x)``; Algorithm 1
                 (disjoint) of Li, Chu, Langford and Schapire, WWW 2010
SharedLinUCB     all arms share weights over features of user and arm, ``z_a``: the same with one regression
HybridLinUCB     both at once, Algorithm 2 of the same paper
LinTS            the arm whose drawn ``x^T w_a`` is largest, ``w_a ~ N(m_a, v^2 P_a)``: Agrawal and Goyal, ICML 2013
SharedLinTS      the same with shared weights
===============  =====================================================================================================

In LinTS each arm's weights are independent, so its score is a normal number of its own: ``N(x^T m_a, v^2 x^T P_a x)``
is drawn in place of d numbers, which gives the same choices, and propensities are exact.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from recgym.agents.bandits.base import BanditSpec, Certain, Context, best, gaussian_best, monte_carlo, one_hot
from recgym.agents.bandits.ridge import Ridge, learn, predict, predict_shared, start

__all__ = ["HybridLinUCB", "HybridState", "LinTS", "LinUCB", "SharedLinTS", "SharedLinUCB", "chosen_items", "items_of"]


def items_of(context: Context) -> Float[np.ndarray, "R U A k"]:
    """The features of the arms.

    Raises:
        ValueError: there are none.
    """
    if context.items is None:
        raise ValueError("the bandit needs features of the arms, found a context without them")
    return context.items


def chosen_items(context: Context, action: Int64[np.ndarray, "R U"]) -> Float[np.ndarray, "R U k"]:
    """The features of the arms that were shown."""
    chosen: np.ndarray = np.take_along_axis(items_of(context), action[..., None, None], 2)[:, :, 0]
    return chosen


class _Disjoint:
    """One regression an arm, on the user's features."""

    precision: float

    def init_state(self, spec: BanditSpec) -> Ridge:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return start(spec, spec.arms, spec.width, self.precision)

    def update(
        self,
        state: Ridge,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Ridge:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return learn(state, action, context.user, reward, mask)


class _Shared:
    """One regression for all arms, on features of user and arm."""

    precision: float

    def init_state(self, spec: BanditSpec) -> Ridge:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return start(spec, 1, spec.item_width, self.precision)

    def update(
        self,
        state: Ridge,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Ridge:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return learn(state, np.zeros_like(action), chosen_items(context, action), reward, mask)


@dataclass(frozen=True)
class LinUCB(_Disjoint, Certain[Ridge]):
    """See the module.

    Attributes:
        alpha: width of the error bar, in standard deviations.
        precision: lambda of the prior.
    """

    alpha: float = 1.0
    precision: float = 1.0

    def scores(self, state: Ridge, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        mean, variance = predict(state, context.user)
        scores: np.ndarray = mean + self.alpha * np.sqrt(variance)
        return scores


@dataclass(frozen=True)
class LinTS(_Disjoint):
    """See the module.

    Attributes:
        scale: v, by which the posterior's standard deviations are multiplied.
        precision: lambda of the prior.
    """

    scale: float = 1.0
    precision: float = 1.0
    exact: ClassVar[bool] = True

    def choose(self, state: Ridge, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, variance = predict(state, context.user)
        noise = generator.standard_normal(mean.shape, dtype=mean.dtype.type)
        return best(mean + self.scale * np.sqrt(variance) * noise, context.allowed)

    def probabilities(
        self, state: Ridge, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, variance = predict(state, context.user)
        return gaussian_best(mean, self.scale * np.sqrt(variance), context.allowed)


@dataclass(frozen=True)
class SharedLinUCB(_Shared, Certain[Ridge]):
    """See the module.

    Attributes:
        alpha: width of the error bar, in standard deviations.
        precision: lambda of the prior.
    """

    alpha: float = 1.0
    precision: float = 1.0

    def scores(self, state: Ridge, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        mean, variance = predict_shared(state, items_of(context))
        scores: np.ndarray = mean + self.alpha * np.sqrt(variance)
        return scores


@dataclass(frozen=True)
class SharedLinTS(_Shared):
    """See the module.

    Attributes:
        scale: v, by which the posterior's standard deviations are multiplied.
        precision: lambda of the prior.
        draws: of the weights, for propensities.
    """

    scale: float = 1.0
    precision: float = 1.0
    draws: int = 1000
    exact: ClassVar[bool] = False

    def _weights(self, state: Ridge, users: int, draws: int, generator: np.random.Generator) -> np.ndarray:
        """Draws of the weights, ``[S, R, U, k]``: one for each user."""
        factor = np.linalg.cholesky(state.inverse[:, 0])
        noise = generator.standard_normal((draws, state.mean.shape[0], users, state.mean.shape[2]))
        drawn: np.ndarray = state.mean + self.scale * np.einsum("rij,sruj->srui", factor, noise)
        return drawn

    def choose(self, state: Ridge, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        weights = self._weights(state, context.user.shape[1], 1, generator)[0]
        return best((items_of(context) @ weights[..., None])[..., 0], context.allowed)

    def probabilities(
        self, state: Ridge, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`. The draws are shared by the users of a replication."""
        weights = self._weights(state, 1, self.draws, generator)
        return monte_carlo(np.einsum("ruak,srk->srua", items_of(context), weights[:, :, 0]), context.allowed)


class HybridState(NamedTuple):
    """What :class:`HybridLinUCB` knows.

    Attributes:
        own: the regression of the reward on the user's features, of each arm.
        slope: that of the arm's features on the user's features: ``A_a^-1 B_a`` of the paper.
        shared: the regression of what is left of the reward on what is left of the arm's features.
    """

    own: Ridge
    slope: Float[np.ndarray, "R A d k"]
    shared: Ridge


@dataclass(frozen=True)
class HybridLinUCB(Certain[HybridState]):
    """LinUCB with weights of each arm's own and weights that all arms share; see the module.

    The inverse of the paper's block matrix, taken apart: with ``rest = z_a - slope_a^T x``,

    * index: ``rest^T beta + x^T m_a + alpha sqrt(rest^T P_0 rest + x^T P_a x)``;
    * update: ``own`` and ``slope`` learn by the same gain; ``shared`` sees ``(rest, y - x^T m_a)``, both divided by
      ``sqrt(1 + x^T P_a x)``.

    A round of several users is learned in one step, with the sums of the paper's terms.

    Attributes:
        alpha: width of the error bar, in standard deviations.
        precision: of the priors.
    """

    alpha: float = 1.0
    precision: float = 1.0

    def init_state(self, spec: BanditSpec) -> HybridState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        own = start(spec, spec.arms, spec.width, self.precision)
        slope = np.zeros((spec.replications, spec.arms, spec.width, spec.item_width), spec.dtype)
        return HybridState(own, slope, start(spec, 1, spec.item_width, self.precision))

    def index(self, state: HybridState, context: Context) -> Float[np.ndarray, "R U A"]:
        """The upper confidence bound of each arm."""
        own, own_variance = predict(state.own, context.user)
        rest = items_of(context) - np.einsum("radk,rud->ruak", state.slope, context.user)
        shared, shared_variance = predict_shared(state.shared, rest)
        bound: np.ndarray = own + shared + self.alpha * np.sqrt(own_variance + shared_variance)
        return bound

    def scores(self, state: HybridState, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        scores: np.ndarray = self.index(state, context)
        return scores

    def update(
        self,
        state: HybridState,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> HybridState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        seen = np.ones(action.shape, bool) if mask is None else mask
        x, z = context.user * seen[..., None], chosen_items(context, action) * seen[..., None]
        member = one_hot(action, state.slope.shape[1])
        mean = np.take_along_axis(state.own.mean, action[..., None], 1)
        error = seen * reward - np.einsum("rud,rud->ru", x, mean)
        slopes = np.einsum("rua,radk->rudk", member, state.slope)
        rest = z - np.einsum("rud,rudk->ruk", x, slopes)
        together = np.concatenate([rest, error[..., None]], -1)
        own = learn(state.own, action, context.user, reward, mask)
        pull = np.einsum("rua,rud,ruk->radk", member, x, together)
        moved = own.inverse @ pull  # [R, A, d, k + 1]
        # Sum over users of rest (1 + x P x)^-1 rest^T, by Woodbury's formula for several users of one arm.
        gram = together.swapaxes(1, 2) @ together - np.einsum("radk,radj->rkj", pull, moved)
        k = z.shape[-1]
        known = np.linalg.inv(state.shared.inverse[:, 0])
        inverse = np.linalg.inv(known + gram[:, :k, :k])
        beta = inverse @ (known @ state.shared.mean[:, 0, :, None] + gram[:, :k, k:])
        return HybridState(own, state.slope + moved[..., :k], Ridge(inverse[:, None], beta[:, None, :, 0]))
