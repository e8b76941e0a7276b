"""Whether a fitted simulator ranks policies as the truth does, where the truth is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from recgym.agents.base import Policy
from recgym.envs.task import Task
from recgym.evaluation.rollout import rollout
from recgym.seeding import make_generator
from recgym.stats import Interval, cluster_weights, kendall_tau, percentile_interval

__all__ = ["PolicyValues", "RankingAgreement", "RankingConfig", "ranking_agreement"]

Policies = Mapping[str, Policy[Any]]


@dataclass(frozen=True)
class RankingConfig:
    """How much of everything.

    Attributes:
        users: users a seed, in each world.
        seeds: root seeds; the same ones for every policy, so that all serve the same users.
        max_steps: episodes are cut there.
        replicates: bootstrap replicates.
        level: confidence level of the intervals.
    """

    users: int = 256
    seeds: tuple[int, ...] = (0, 1)
    max_steps: int = 200
    replicates: int = 1000
    level: float = 0.95


@dataclass(frozen=True)
class PolicyValues:
    """What one policy is worth in both worlds, a user's return in the mean."""

    name: str
    truth: Interval
    fitted: Interval


@dataclass(frozen=True)
class RankingAgreement:
    """How the ranks of policies in a fitted simulator agree with those in the truth.

    Intervals resample the users of either world, each policy's alike, as all policies serve the same.

    Attributes:
        policies: in the order in which they were given.
        tau: Kendall's rank correlation (tau-b) of the two values over the policies: 1 for the same order.
        pick: the policy that is best in the fitted simulator.
        best: the policy that is best in the truth.
        regret: true value of ``best`` less that of ``pick``; each replicate makes its own pick.
        regret_share: the same as a share of the true value of ``best`` less that of the reference policy: 0 for the
            right pick, 1 for one that is no better than the reference.
        reference: the policy that the share is counted from.
    """

    policies: tuple[PolicyValues, ...]
    tau: Interval
    pick: str
    best: str
    regret: Interval
    regret_share: Interval
    reference: str

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold; null for what is not defined."""

        def plain(interval: Interval) -> dict[str, float | None]:
            return {name: value if np.isfinite(value) else None for name, value in interval._asdict().items()}

        return {
            "kendall_tau": plain(self.tau),
            "pick": self.pick,
            "best": self.best,
            "regret": plain(self.regret),
            "regret_share": plain(self.regret_share),
            "reference": self.reference,
            "policies": {
                policy.name: {"truth": plain(policy.truth), "fitted": plain(policy.fitted)} for policy in self.policies
            },
        }


def ranking_agreement(
    policies: Policies,
    truth: Task,
    fitted: Task,
    *,
    reference: str = "random",
    in_truth: Callable[[Policy[Any]], Policy[Any]] = lambda policy: policy,
    config: RankingConfig | None = None,
    seed: int = 0,
) -> RankingAgreement:
    """Roll policies out on true and on learned users, and compare their order.

    Policies draw their actions as they would in service (they are not made greedy).

    Args:
        policies: at least three, by name; each serves in both worlds.
        truth: the true users, with the reward that counts.
        fitted: users learned from a log of the truth, with the same items, slates and reward.
        reference: the policy among them that regret is counted from.
        in_truth: makes of a policy one that understands the observations of the truth, where they differ.
        config: how much of everything.
        seed: root seed of the bootstrap.

    Raises:
        ValueError: there are fewer than three policies, or the reference is not among them.
    """
    if len(policies) < 3:
        raise ValueError(f"a ranking needs at least 3 policies, found {len(policies)}")
    if reference not in policies:
        raise ValueError(f"the reference policy {reference!r} is not among {', '.join(policies)}")
    config = config or RankingConfig()
    names = list(policies)
    true = _returns({name: in_truth(policy) for name, policy in policies.items()}, truth, config)
    learned = _returns(policies, fitted, config)
    true_means, learned_means = (
        _replicates(returns, config.replicates, make_generator(seed, f"ranking in {world}", device="numpy"))
        for world, returns in (("truth", true), ("fitted", learned))
    )
    picks, bests = learned_means.argmax(1), true_means.argmax(1)
    rows = np.arange(picks.size)
    regret = true_means[rows, bests] - true_means[rows, picks]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = regret / (true_means[rows, bests] - true_means[:, names.index(reference)])

    def interval(values: np.ndarray) -> Interval:
        return percentile_interval(float(values[0]), values[1:], config.level)

    return RankingAgreement(
        tuple(
            PolicyValues(name, interval(true_means[:, index]), interval(learned_means[:, index]))
            for index, name in enumerate(names)
        ),
        interval(kendall_tau(true_means, learned_means)), names[picks[0]], names[bests[0]], interval(regret),
        interval(share), reference,
    )  # fmt: skip


def _returns(policies: Policies, task: Task, config: RankingConfig) -> Float64[np.ndarray, "policies users"]:
    """The return of each user under each policy; user i is the same under all."""
    played = [
        rollout(policy, task, users=config.users, seeds=config.seeds, max_steps=config.max_steps)
        for policy in policies.values()
    ]
    return np.stack([run.episodes.reward.ravel() for run in played])


def _replicates(
    returns: Float64[np.ndarray, "policies users"], replicates: int, generator: np.random.Generator
) -> Float64[np.ndarray, "replicates_plus_1 policies"]:
    """The mean return of each policy: in the first row the estimate, then one of each bootstrap replicate."""
    users = returns.shape[1]
    weights = np.concatenate([np.ones((1, users)), cluster_weights(users, replicates, generator)])
    means: np.ndarray = weights @ returns.T / users
    return means
