"""``recgym/CascadeBandit-v0``."""

from recgym.envs.bandit_task import bandit_task
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.bandit_cascade import CascadeBandit, CascadeBanditConfig

__all__ = ["task"]


def task(
    arms: int = 20,
    low: float = 0.02,
    high: float = 0.3,
    slate_size: int = 4,
    horizon: int = 100,
) -> Task:
    """Lists that visitors read from the top until something pleases: the world of cascading bandits.

    Action: K arms in order, ``MultiDiscrete([A] * K)``. Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`; neither visitors nor arms have features. Reward: clicks. Each user of the
    environment is a service with a world of its own, which meets one visitor a step; an episode is cut (``truncated``)
    at the horizon. The truth is known, so regret is: :meth:`recgym.simulators.UserModel.expected`. Dynamics:
    :class:`recgym.simulators.bandit_cascade.CascadeBandit`.

    Args:
        arms: A.
        low: smallest probability that a visitor who looks at an arm likes it.
        high: largest.
        slate_size: K.
        horizon: visitors of an episode.

    Version history: v0, first version.
    """
    model = CascadeBandit(CascadeBanditConfig(arms, low, high))
    return bandit_task(model, "recgym/CascadeBandit-v0", slate_size, horizon)


env, vector_env = faces(task)
