"""GP-UCB for few arms that have places: near arms bring like rewards.

The rewards of the A arms are a priori normal with covariance K, ``K_ab = s^2 exp(-|z_a - z_b|^2 / (2 l^2))``. The
posterior after each reward is that of a linear regression on one-hot rows with prior covariance K, so it is updated by
rank one. Index: ``m_a + sqrt(beta_t P_aa)`` with ``beta_t = 2 ln(A t^2 pi^2 / (6 delta))``. Source: Srinivas, Krause,
Kakade and Seeger, ICML 2010.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from recgym.agents.bandits.base import BanditSpec, Certain, Context, one_hot
from recgym.agents.bandits.ridge import Ridge, learn

__all__ = ["GPUCB", "GPState"]


class GPState(NamedTuple):
    """What is known of the arms.

    Attributes:
        posterior: mean ``[R, 1, A]`` of their rewards in units of the noise, and covariance ``[R, 1, A, A]``.
        rounds: so far.
    """

    posterior: Ridge
    rounds: int


@dataclass(frozen=True, eq=False)
class GPUCB(Certain[GPState]):
    """See the module.

    Attributes:
        places: of the arms, ``[A, k]``.
        length: l, the distance over which rewards differ.
        sd: s, standard deviation of rewards over arms.
        noise_sd: of a reward around its arm's.
        delta: probability that the bound may fail.
        scale: of the bonus; 1 as published, less explores less.
    """

    places: Float64[np.ndarray, "A k"]
    length: float = 1.0
    sd: float = 1.0
    noise_sd: float = 0.5
    delta: float = 0.1
    scale: float = 1.0

    def init_state(self, spec: BanditSpec) -> GPState:
        """See :class:`recgym.agents.bandits.Bandit`.

        Raises:
            ValueError: there is not one place for each arm.
        """
        if len(self.places) != spec.arms:
            raise ValueError(f"GPUCB has places of {len(self.places)} arms, found a problem of {spec.arms}")
        apart = ((self.places[:, None] - self.places) ** 2).sum(-1)
        kernel = (self.sd / self.noise_sd) ** 2 * np.exp(-apart / (2 * self.length**2))
        mean = np.zeros((spec.replications, 1, spec.arms))
        return GPState(Ridge(np.tile(kernel, (spec.replications, 1, 1, 1)), mean), 0)

    def index(self, state: GPState) -> Float64[np.ndarray, "R A"]:
        """The upper confidence bound of each arm."""
        mean, cover = state.posterior.mean[:, 0], state.posterior.inverse[:, 0]
        beta = 2 * np.log(mean.shape[1] * (state.rounds + 1) ** 2 * np.pi**2 / (6 * self.delta))
        sd = np.sqrt(np.maximum(np.diagonal(cover, axis1=1, axis2=2), 0))
        bound: np.ndarray = self.noise_sd * (mean + self.scale * np.sqrt(beta) * sd)
        return bound

    def scores(self, state: GPState, context: Context) -> Float[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Certain`."""
        index = self.index(state)[:, None]
        scores: np.ndarray = np.broadcast_to(index, (len(index), context.user.shape[1], index.shape[2]))
        return scores

    def update(
        self,
        state: GPState,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> GPState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        row = one_hot(action, len(self.places))
        return GPState(
            learn(state.posterior, np.zeros_like(action), row, reward / self.noise_sd, mask), state.rounds + 1
        )
