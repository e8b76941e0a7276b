"""Bandits whose arms depend on each other: clusters of arms, and a tree of categories.

ClusterTS: the mean reward of arm a in cluster c is ``mu_a ~ N(m_c, within^2)``, ``m_c ~ N(0, between^2)``; rewards have
noise ``sigma``. The posterior is exact: given ``m_c``, arms are independent, and each arm's average is a noisy look at
``m_c`` with variance ``within^2 + sigma^2 / n_a``. A choice draws ``m_c``, then each ``mu_a`` given it, and takes the
largest. Source: Hong, Kveton, Zaheer and Ghavamzadeh, "Hierarchical Bayesian Bandits", AISTATS 2022; dependent arms in
recommendation: Wang et al., TKDE 31 (2019).

TreeUCB and TreeTS walk down a tree of categories whose leaves are the arms. At each node they take the child with the
largest index, UCB1's or a draw from the child's Beta posterior, by what the child's whole subtree brought; all nodes on
the path learn. Source: the tree bandits of the survey arXiv 2107.00161, section on hierarchical arms; Coquelin and
Munos, UAI 2007. A choice costs the tree's depth, whatever the number of arms.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import betainc, betaincinv

from recgym.agents.bandits.base import BanditSpec, Context, best, mask_of, monte_carlo, one_hot, sums_by_arm
from recgym.agents.bandits.counting import Counts

__all__ = ["ClusterTS", "Taxonomy", "TreeTS", "TreeUCB"]

_LEVELS = 128


@dataclass(frozen=True, eq=False)
class ClusterTS:
    """See the module.

    Attributes:
        clusters: the cluster of each arm, ids from 0, ``[A]``.
        between: standard deviation of the means of clusters.
        within: standard deviation of the means of arms within a cluster.
        noise_sd: of a reward around its arm's mean.
        draws: for propensities.
    """

    clusters: Int64[np.ndarray, "A"]
    between: float = 1.0
    within: float = 0.3
    noise_sd: float = 1.0
    draws: int = 1000
    exact: ClassVar[bool] = False

    def init_state(self, spec: BanditSpec) -> Counts:
        """See :class:`recgym.agents.bandits.Bandit`.

        Raises:
            ValueError: there is not one cluster for each arm.
        """
        if len(self.clusters) != spec.arms:
            raise ValueError(f"ClusterTS knows the clusters of {len(self.clusters)} arms, found {spec.arms} arms")
        return Counts(np.zeros((spec.replications, spec.arms)), np.zeros((spec.replications, spec.arms)))

    def cluster_posterior(self, state: Counts) -> tuple[Float64[np.ndarray, "R C"], Float64[np.ndarray, "R C"]]:
        """Mean and standard deviation of the mean of each cluster."""
        member = one_hot(self.clusters, int(self.clusters.max()) + 1)
        # An arm shown n times looks at the mean of its cluster with precision n / (n within^2 + sigma^2).
        weight = 1 / (state.number * self.within**2 + self.noise_sd**2)
        precision = self.between**-2 + (state.number * weight) @ member
        return (state.total * weight) @ member / precision, precision**-0.5

    def _scores(self, state: Counts, users: int, draws: int, generator: np.random.Generator) -> np.ndarray:
        centre, sd = self.cluster_posterior(state)
        shape = (draws, len(centre), users)
        cluster = centre[:, None] + sd[:, None] * generator.standard_normal((*shape, centre.shape[1]))
        precision = (self.within**-2 + state.number / self.noise_sd**2)[:, None]
        prior = cluster[..., self.clusters] / self.within**2
        mean = (prior + state.total[:, None] / self.noise_sd**2) / precision
        drawn: np.ndarray = mean + generator.standard_normal(mean.shape) / np.sqrt(precision)
        return drawn

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return best(self._scores(state, context.user.shape[1], 1, generator)[0], context.allowed)

    def probabilities(
        self, state: Counts, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        scores = self._scores(state, 1, self.draws, generator)
        shape = (self.draws, scores.shape[1], context.user.shape[1], scores.shape[3])
        return monte_carlo(np.broadcast_to(scores, shape), context.allowed)

    def update(
        self,
        state: Counts,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Counts:
        """See :class:`recgym.agents.bandits.Bandit`."""
        arms, weight = state.number.shape[1], mask_of(mask, action)
        return Counts(
            state.number + sums_by_arm(action, weight, arms), state.total + sums_by_arm(action, weight * reward, arms)
        )


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """A tree of categories over arms.

    Attributes:
        parent: of each node, ``[N]``; -1 for the root. Nodes ``0..A-1`` are the arms, and they are the leaves.
        arms: A.
    """

    parent: Int64[np.ndarray, "N"]
    arms: int
    children: Int64[np.ndarray, "N C"] = field(init=False, repr=False)
    paths: Int64[np.ndarray, "A L"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        nodes = len(self.parent)
        roots = np.flatnonzero(self.parent == -1)
        inner = np.unique(self.parent[self.parent >= 0])
        if len(roots) != 1 or roots[0] < self.arms or self.parent.max() >= nodes or self.parent.min() < -1:
            raise ValueError(f"a taxonomy needs one root beside its {self.arms} arms, found {len(roots)} roots")
        if not np.array_equal(inner, np.arange(self.arms, nodes)):
            raise ValueError(f"the leaves of a taxonomy must be its arms 0..{self.arms - 1}, and these alone")
        most = int(np.bincount(self.parent[self.parent >= 0]).max())
        children = np.full((nodes, most), -1)
        order = np.argsort(self.parent, kind="stable")[1:]
        first = np.searchsorted(self.parent[order], self.parent[order])
        children[self.parent[order], np.arange(len(order)) - first] = order
        steps = [np.arange(self.arms)]
        while (steps[-1] != roots[0]).any():
            above = np.where(steps[-1] == roots[0], roots[0], self.parent[steps[-1]])
            steps.append(above)
            if len(steps) > nodes:
                raise ValueError("a taxonomy must be a tree, found a circle")
        object.__setattr__(self, "children", children)
        object.__setattr__(self, "paths", np.stack(steps, 1))

    @property
    def root(self) -> int:
        """The node above all."""
        return int(self.paths[0, -1])


class _Tree:
    """Counts of every node, and the walk down."""

    taxonomy: Taxonomy

    def init_state(self, spec: BanditSpec) -> Counts:
        """See :class:`recgym.agents.bandits.Bandit`. Counts are of nodes.

        Raises:
            ValueError: the taxonomy has other arms.
        """
        if self.taxonomy.arms != spec.arms:
            raise ValueError(f"the taxonomy has {self.taxonomy.arms} arms, the problem {spec.arms}")
        nodes = len(self.taxonomy.parent)
        return Counts(np.zeros((spec.replications, nodes)), np.zeros((spec.replications, nodes)))

    def update(
        self,
        state: Counts,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> Counts:
        """See :class:`recgym.agents.bandits.Bandit`. Every node on the path learns, once."""
        tree, nodes, weight = self.taxonomy, state.number.shape[1], mask_of(mask, action)
        path = tree.paths[action].reshape(len(action), -1)
        # Shallow arms reach the root early; only their first step there counts.
        first = np.ones(tree.paths.shape, bool)
        first[:, 1:] = tree.paths[:, 1:] != tree.paths[:, :-1]
        counted = weight[..., None] * first[action]
        rewarded = (counted * reward[..., None]).reshape(path.shape)
        return Counts(
            state.number + sums_by_arm(path, counted.reshape(path.shape), nodes),
            state.total + sums_by_arm(path, rewarded, nodes),
        )

    def _open(self, context: Context, replications: int) -> Bool[np.ndarray, "R U N"]:
        """Which nodes lead to an allowed arm."""
        tree, users = self.taxonomy, context.user.shape[1]
        shape = (replications, users, len(tree.parent))
        if context.allowed is None:
            return np.ones(shape, bool)
        leads = one_hot(tree.paths, shape[2]).any(1)
        reached: np.ndarray = context.allowed.astype(np.float64) @ leads > 0
        return reached


@dataclass(frozen=True, eq=False)
class TreeUCB(_Tree):
    """See the module.

    Attributes:
        taxonomy: of the arms.
        alpha: scale of UCB1's bonus.
    """

    taxonomy: Taxonomy
    alpha: float = 1.0
    exact: ClassVar[bool] = True

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        tree, rows = self.taxonomy, np.arange(len(state.number))[:, None, None]
        shown = np.maximum(state.number, 1)
        parents = np.maximum(state.number[:, np.maximum(tree.parent, 0)], 1)
        index = state.total / shown + self.alpha * np.sqrt(2 * np.log(parents) / shown)
        index = np.where(state.number > 0, index, np.inf)
        open_nodes = self._open(context, len(state.number))
        node = np.full((len(state.number), context.user.shape[1]), tree.root)
        for _ in range(tree.paths.shape[1] - 1):
            below = tree.children[node]
            there = (below >= 0) & np.take_along_axis(open_nodes, np.maximum(below, 0), 2)
            place = best(np.where(there, index[rows, np.maximum(below, 0)], -np.inf), None)
            chosen = np.take_along_axis(below, place[..., None], 2)[..., 0]
            node = np.where(node < tree.arms, node, chosen)
        return node

    def probabilities(
        self, state: Counts, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return one_hot(self.choose(state, context, generator), self.taxonomy.arms)


@dataclass(frozen=True, eq=False)
class TreeTS(_Tree):
    """See the module. Rewards lie in [0, 1].

    Attributes:
        taxonomy: of the arms.
    """

    taxonomy: Taxonomy
    exact: ClassVar[bool] = True

    def choose(self, state: Counts, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        tree, users = self.taxonomy, context.user.shape[1]
        a, b = 1 + state.total, 1 + state.number - state.total
        drawn = generator.beta(a[:, None], b[:, None], (len(a), users, a.shape[1]))
        drawn = np.where(self._open(context, len(a)), drawn, -np.inf)
        node = np.full((len(a), users), tree.root)
        for _ in range(tree.paths.shape[1] - 1):
            below = tree.children[node]
            score = np.where(below >= 0, np.take_along_axis(drawn, np.maximum(below, 0), 2), -np.inf)
            chosen = np.take_along_axis(below, score.argmax(-1)[..., None], 2)[..., 0]
            node = np.where(node < tree.arms, node, chosen)
        return node

    def probabilities(
        self, state: Counts, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`. The product of the probabilities of the steps on the path."""
        tree = self.taxonomy
        open_nodes = self._open(context, len(state.number))
        inner = tree.children[tree.arms :]
        exists = inner >= 0
        a, b = (1 + state.total)[:, inner], (1 + state.number - state.total)[:, inner]  # [R, inner, C]
        value = betaincinv(a[..., None], b[..., None], (np.arange(_LEVELS) + 0.5) / _LEVELS)
        below = betainc(a[:, :, None, :, None], b[:, :, None, :, None], value[:, :, :, None])  # [R, I, C, C', Q]
        rivals = exists & open_nodes[:, :, inner]  # [R, U, I, C']
        counted = rivals[:, :, :, None, :] & ~np.eye(inner.shape[1], dtype=bool)
        chance = np.where(counted[..., None], below[:, None], 1.0).prod(-2).mean(-1)
        chance = np.where(rivals, chance, 0.0)
        chance = chance / np.maximum(chance.sum(-1, keepdims=True), 1e-300)
        step = np.ones((*open_nodes.shape[:2], len(tree.parent)))
        step[:, :, inner[exists]] = chance[:, :, exists]
        path: np.ndarray = step[:, :, tree.paths].prod(-1)
        return path
