"""One of each bandit, with a problem that it can learn."""

from typing import Any

import numpy as np
from jaxtyping import Float64

from recgym.agents.bandits import (
    EXP3,
    EXP4,
    GPUCB,
    KLUCB,
    MOSS,
    TVTP,
    TVUCB,
    UCB1,
    BanditSpec,
    BernoulliTS,
    CascadeTS,
    CascadeUCB,
    ClusterTS,
    Context,
    DiscountedLinUCB,
    DiscountedUCB,
    EpsilonGreedy,
    GaussianTS,
    HybridLinUCB,
    LinTS,
    LinUCB,
    LogisticTS,
    NetworkConfig,
    NeuralBootstrap,
    NeuralLinear,
    RankedBandit,
    SharedLinTS,
    SharedLinUCB,
    SlidingLinUCB,
    SlidingWindowUCB,
    Taxonomy,
    TopKLinUCB,
    TreeTS,
    TreeUCB,
)

PLAIN = BanditSpec(arms=5)
USERS = BanditSpec(arms=5, width=3)
ITEMS = BanditSpec(arms=5, width=3, item_width=2)

TAXONOMY = Taxonomy(np.array([5, 5, 6, 6, 7, 7, 7, -1]), 5)
"""Two arms under node 5, two under node 6, one right under the root, 7."""
SMALL = NetworkConfig(hidden=8, memory=200, every=10, steps=10, batch_size=16)


def advice(context: Context) -> Float64[np.ndarray, "R U E A"]:
    """Three experts: the first arm, all arms alike, an arm by the sign of a feature."""
    shape = (*context.user.shape[:2], 5)
    first, anything = np.zeros(shape), np.full(shape, 0.2)
    first[..., 0] = 1
    by_sign = np.where(context.user[..., :1] > 0, np.eye(5)[1], np.eye(5)[2])
    return np.stack([first, anything, by_sign], 2)


BANDITS: dict[str, tuple[Any, BanditSpec]] = {
    "epsilon-greedy": (EpsilonGreedy(0.2), PLAIN),
    "ucb1": (UCB1(), PLAIN),
    "kl-ucb": (KLUCB(), PLAIN),
    "moss": (MOSS(1000), PLAIN),
    "bernoulli-ts": (BernoulliTS(), PLAIN),
    "gaussian-ts": (GaussianTS(), PLAIN),
    "exp3": (EXP3(), PLAIN),
    "exp4": (EXP4(advice, 3), USERS),
    "linucb": (LinUCB(), USERS),
    "shared-linucb": (SharedLinUCB(), ITEMS),
    "hybrid-linucb": (HybridLinUCB(), ITEMS),
    "lints": (LinTS(), USERS),
    "shared-lints": (SharedLinTS(), ITEMS),
    "logistic-ts": (LogisticTS(), USERS),
    "neural-linear": (NeuralLinear(SMALL), USERS),
    "neural-bootstrap": (NeuralBootstrap(SMALL, 4), USERS),
    "gp-ucb": (GPUCB(np.arange(5.0)[:, None]), PLAIN),
    "sliding-ucb": (SlidingWindowUCB(30), PLAIN),
    "discounted-ucb": (DiscountedUCB(0.99, alpha=0.5), PLAIN),
    "sliding-linucb": (SlidingLinUCB(30), USERS),
    "discounted-linucb": (DiscountedLinUCB(0.95), USERS),
    "tvucb": (TVUCB(), USERS),
    "tvtp": (TVTP(), USERS),
    "cluster-ts": (ClusterTS(np.array([0, 0, 1, 1, 1])), PLAIN),
    "tree-ucb": (TreeUCB(TAXONOMY), PLAIN),
    "tree-ts": (TreeTS(TAXONOMY), PLAIN),
}

SLATE_BANDITS: dict[str, tuple[Any, BanditSpec]] = {
    "ranked-exp3": (RankedBandit(EXP3(), 2), PLAIN),
    "ranked-ucb": (RankedBandit(UCB1(), 3), PLAIN),
    "cascade-ucb": (CascadeUCB(2), PLAIN),
    "cascade-kl-ucb": (CascadeUCB(2, kl=True), PLAIN),
    "cascade-ts": (CascadeTS(2), PLAIN),
    "top-k-linucb": (TopKLinUCB(2), ITEMS),
}
