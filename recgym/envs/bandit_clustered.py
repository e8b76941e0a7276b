"""``recgym/ClusteredBandit-v0``."""

from recgym.envs.bandit_task import bandit_task
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.bandit_clustered import ClusteredBandit, ClusteredBanditConfig

__all__ = ["task"]


def task(
    arms: int = 50,
    clusters: int = 5,
    between: float = 0.12,
    within: float = 0.04,
    slate_size: int = 1,
    horizon: int = 100,
) -> Task:
    """Many arms in few clusters: what one arm brings says something about its like.

    Action: an arm, ``Discrete(A)`` (K of them in order, ``MultiDiscrete([A] * K)``). Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`; visitors have no features, an item's features say which cluster it is in.
    Reward: clicks. Each user of the environment is a service with a world of its own, which meets one visitor a step;
    an episode is cut (``truncated``) at the horizon. The truth is known, so regret is:
    :meth:`recgym.simulators.UserModel.expected`. Dynamics: :class:`recgym.simulators.bandit_clustered.ClusteredBandit`.

    Args:
        arms: A; arm a is in cluster ``a mod clusters``.
        clusters: how many there are.
        between: standard deviation of the clusters' click probabilities.
        within: standard deviation of those of the arms of a cluster.
        slate_size: K.
        horizon: visitors of an episode.

    Version history: v0, first version.
    """
    model = ClusteredBandit(ClusteredBanditConfig(arms, clusters, between=between, within=within))
    return bandit_task(model, "recgym/ClusteredBandit-v0", slate_size, horizon)


env, vector_env = faces(task)
