"""Values of policies from a log alone, by normalised capped importance sampling, and whether they rank as the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from recgym.agents.offline import NetworkPolicy
from recgym.data.transitions import TransitionStore
from recgym.seeding import make_generator
from recgym.stats import Interval, cluster_weights, few_clusters, percentile_interval, rank_correlation

__all__ = ["CAP", "Valued", "rank_agreement", "valued"]

CAP = 10.0
REPLICATES = 500


@dataclass(frozen=True)
class Valued:
    """Sums over the steps of each logged user, from which the estimate of any set of users follows.

    Attributes:
        weight: of ``min(pi / beta, cap)``.
        product: of weight times response.
        square: of the weight's square.
    """

    weight: Float64[np.ndarray, "users"]
    product: Float64[np.ndarray, "users"]
    square: Float64[np.ndarray, "users"]

    def estimate(self) -> float:
        """``sum w r / sum w``."""
        return float(self.product.sum() / self.weight.sum())

    def effective(self) -> float:
        """Effective sample size, ``(sum w)^2 / sum w^2`` steps."""
        return float(self.weight.sum() ** 2 / self.square.sum())


@torch.no_grad()
def valued(policy: NetworkPolicy, store: TransitionStore, channel: str, batch: int = 2048) -> Valued:
    """Weigh the steps of a log, whose users no policy learned from."""
    column = store.problem.schema.index(channel)
    weights, responses = [], []
    for start in range(0, len(store), batch):
        points = store.steps[start : start + batch]
        chosen = policy.network(store.observations(points)).log_prob(store.actions(points))
        known = torch.from_numpy(store.columns["log_propensity"][points])
        weights.append((chosen - known).exp().clamp(max=CAP).double().numpy())
        responses.append(store.responses(points)[:, column].astype(np.float64))
    weight, response = np.concatenate(weights), np.concatenate(responses)
    user, count = few_clusters(store.columns["user"][store.steps].astype(np.int64))

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(user, weights=values, minlength=count)

    return Valued(summed(weight), summed(weight * response), summed(weight**2))


def rank_agreement(estimates: dict[int, list[Valued]], truth: dict[int, list[float]]) -> Interval:
    """Spearman between estimated and true values of policies, mean over seeds; the interval resamples logged users.

    Args:
        estimates: of each policy, by seed of the log.
        truth: the same policies' values with simulated users.
    """
    plain, replicates = [], []
    for seed, values in estimates.items():
        draw: Any = make_generator(seed, "ncis", device="numpy")
        weights = cluster_weights(len(values[0].weight), REPLICATES, draw)
        found = np.stack([(weights @ value.product) / (weights @ value.weight) for value in values], 1)
        true = np.asarray(truth[seed])
        plain.append(rank_correlation(np.array([value.estimate() for value in values]), true))
        replicates.append(np.array([rank_correlation(row, true) for row in found]))
    return percentile_interval(float(np.mean(plain)), np.mean(replicates, axis=0))
