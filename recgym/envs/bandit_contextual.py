"""``recgym/ContextualBandit-v0``."""

from recgym.envs.bandit_task import bandit_task
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.bandit_contextual import ContextualBandit, ContextualBanditConfig

__all__ = ["task"]


def task(
    arms: int = 20,
    width: int = 10,
    seed: int | None = None,
    slate_size: int = 1,
    horizon: int = 100,
) -> Task:
    """Which arm suits this visitor? The world of contextual bandits.

    Action: an arm, ``Discrete(A)`` (K of them in order, ``MultiDiscrete([A] * K)``). Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`; the profile is the visitor's features. Reward: clicks. Each user of the
    environment is a service with a world of its own, which meets one visitor a step; an episode is cut (``truncated``)
    at the horizon. The truth is known, so regret is: :meth:`recgym.simulators.UserModel.expected`. Dynamics:
    :class:`recgym.simulators.bandit_contextual.ContextualBandit`.

    Args:
        arms: A.
        width: d, features of a visitor.
        seed: of weights that all services share; None if each has its own.
        slate_size: K.
        horizon: visitors of an episode.

    Version history: v0, first version.
    """
    model = ContextualBandit(ContextualBanditConfig(arms, width, seed=seed))
    return bandit_task(model, "recgym/ContextualBandit-v0", slate_size, horizon)


env, vector_env = faces(task)
