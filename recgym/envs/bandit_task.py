"""What the environments of bandits share."""

from typing import Any

from recgym.envs.rewards import ChannelReward
from recgym.envs.task import Task
from recgym.simulators.base import UserModel

__all__ = ["bandit_task"]

_WINDOW = 10


def bandit_task(model: UserModel[Any], name: str, slate_size: int, horizon: int) -> Task:
    """Clicks are what counts, every arm is on offer, and an episode is cut at the horizon.

    Args:
        model: the visitors.
        name: id of the environment.
        slate_size: K.
        horizon: visitors of an episode.
    """
    reward = ChannelReward(model.schema, {"click": 1.0})
    window = max(_WINDOW, slate_size)
    return Task(model, reward, slate_size=slate_size, horizon=horizon, window=window, name=name)
