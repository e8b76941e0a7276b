"""``recgym/OpenBandit-v0``: replay of the Open Bandit Dataset."""

from pathlib import Path

import polars as pl

from recgym.data.readers import read_log
from recgym.data.replay import ReplayRounds
from recgym.envs.rewards import ChannelReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.bandit_replay import LogReplay

__all__ = ["open_bandit_rounds", "task"]


def task(path: Path | str | None = None, bootstrap: bool = False, horizon: int | None = None) -> Task:
    """Replay of real rounds of a fashion site, in which items were drawn with known probabilities.

    Action: an item, ``Discrete(A)``; A is 80, 34 or 46 by campaign. Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`; the profile is the hashed features of the visitor, one-hot, and the position
    on the page. Reward: the click of the item, if the log shows that item in this round; else 0, and the feedback
    ``matched`` is 0: judge and teach by matched steps only. The episode ends (``terminated``) with the log, or never
    with ``bootstrap``. On ``random`` the mean reward of matched steps is unbiased, on ``bts`` it is not. Dynamics:
    :class:`recgym.simulators.bandit_replay.LogReplay`.

    Args:
        path: one policy and campaign of the data set, such as ``open-bandit/random/all``: a folder with ``all.csv``
            (gzip or not), from https://research.zozo.com/data.html.
        bootstrap: draw each round anew from all of the log, in place of their order.
        horizon: rounds after which an episode is cut; by default none, and the length of the log for a bootstrap.

    Raises:
        ValueError: there are no data at the path.

    Version history: v0, first version.
    """
    rounds = open_bandit_rounds(path)
    model = LogReplay(rounds, bootstrap)
    return Task(
        model,
        ChannelReward(model.schema, {"click": 1.0}),
        horizon=rounds.n if bootstrap and horizon is None else horizon,
        name="recgym/OpenBandit-v0",
    )


def open_bandit_rounds(path: Path | str | None) -> ReplayRounds:
    """The rounds of one policy and campaign, with the hashed features of visitors and the position as context.

    Raises:
        ValueError: there are no data at the path.
    """
    if path is None:
        raise ValueError(
            "recgym/OpenBandit-v0 needs path=FOLDER, one policy and campaign of the Open Bandit Dataset, such as "
            "open-bandit/random/all; the data are at https://research.zozo.com/data.html"
        )
    log = read_log(path, "open-bandit")
    features = log.user_features if log.user_features is not None else pl.DataFrame()
    return ReplayRounds.from_log(log, "click", [name for name in features.columns if name.startswith("user_feature_")])


env, vector_env = faces(task)
