"""``recgym/DriftingBandit-v0``."""

from recgym.envs.bandit_task import bandit_task
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.bandit_contextual import ContextualBandit, ContextualBanditConfig

__all__ = ["task"]


def task(
    arms: int = 10,
    width: int = 5,
    drift: float = 0.06,
    change: float = 0.0,
    slate_size: int = 1,
    horizon: int = 100,
) -> Task:
    """A contextual bandit whose arms change: what suited visitors no longer does.

    Action: an arm, ``Discrete(A)`` (K of them in order, ``MultiDiscrete([A] * K)``). Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`; the profile is the visitor's features. Reward: clicks. Each user of the
    environment is a service with a world of its own, which meets one visitor a step; an episode is cut (``truncated``)
    at the horizon. The truth is known, so regret is: :meth:`recgym.simulators.UserModel.expected`. Dynamics:
    :class:`recgym.simulators.bandit_contextual.ContextualBandit`.

    Args:
        arms: A.
        width: d, features of a visitor.
        drift: length of a step of each arm's weights, whose own length is 1.
        change: probability at each step that all weights are drawn anew.
        slate_size: K.
        horizon: visitors of an episode.

    Version history: v0, first version.
    """
    model = ContextualBandit(ContextualBanditConfig(arms, width, drift, change))
    return bandit_task(model, "recgym/DriftingBandit-v0", slate_size, horizon)


env, vector_env = faces(task)
