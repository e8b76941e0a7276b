"""``recgym/OrganicBandit-v0``."""

from recgym.envs.levels import Level
from recgym.envs.rewards import ChannelReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.organic_bandit import OrganicBandit, OrganicBanditConfig

__all__ = ["task"]


def task(
    num_products: int = 10,
    slate_size: int = 1,
    flips: int = 0,
    window: int = 24,
    level: Level = "session",
    seed: int = 0,
) -> Task:
    """RecoGym: recommend to users whose tastes show in what they view by themselves, between recommendations.

    Action: a product, ``Discrete(N)`` (K of them in order, ``MultiDiscrete([N] * K)``). Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`; the history holds organic views, feedback (0, 1), and clicked recommendations,
    feedback (1, 0), and begins with the user's first visit. Reward: clicks, which are rare: 1 to 2 %. A step is one
    recommendation; the views that may follow it are in the history before the next. The episode ends (``terminated``)
    when the user leaves, after a recommendation or in a visit. Dynamics: :class:`recgym.simulators.OrganicBandit`.

    Args:
        num_products: N.
        slate_size: K.
        flips: pairs of similar products that swap their places when they are recommended.
        window: T, events that the history keeps; at least 2.
        level: ``"request"`` ends the episode after one recommendation; users never come back, so ``"retention"`` is
            ``"session"``.
        seed: of the products.

    Version history: v0, first version.
    """
    model = OrganicBandit(OrganicBanditConfig(num_products=num_products, flips=flips, seed=seed))
    return Task(
        model,
        ChannelReward(model.schema, {"click": 1.0}),
        slate_size=slate_size,
        window=window,
        level=level,
        name="recgym/OrganicBandit-v0",
    )


env, vector_env = faces(task)
