"""The two logs, and what simulated users make of a policy."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents import ActionSpec, Policy, ScoredPolicy
from recgym.data.readers import read_log
from recgym.data.transitions import PickReading, Problem, TransitionStore, transitions_from_log
from recgym.envs import Task
from recgym.envs.levels import RetentionLimits
from recgym.envs.short_video import FEEDBACK_REWARD, task
from recgym.evaluation import action_spec, record, rollout
from recgym.seeding import child_seed, make_generator
from reproductions.offline.arms import Budget, Signals

__all__ = ["FOLDS", "SIGNALS", "behaviour", "ebnerd", "fold", "logged", "served", "short_video", "uniform"]

FOLDS = 5
"""Parts of the users, of which each seed holds one out."""

SIGNALS = {
    "short-video": Signals("long_view", ("like", "hate"), ("hate",), tuple(FEEDBACK_REWARD.items())),
    "ebnerd": Signals("scroll", ("read_time",), (), (("scroll", 0.01),)),
}
_LONGEST = 20  # articles in view


def short_video(sessions: int) -> Task:
    """Ten videos on offer at each step, so many sessions an episode; days away count against reactions."""
    return task(num_candidates=10, level="retention", retention=RetentionLimits(max_sessions=sessions), window=10)


def behaviour(users: Task) -> ScoredPolicy[Any]:
    """Softmax over how well a video's topics fit the interests that the user states."""
    topics = torch.as_tensor(users.model.item_features)[:, : users.model.profile_size]

    def score(seen: Any) -> Any:
        return (seen["profile"][:, None] * topics[seen["candidates"]]).sum(-1)

    return ScoredPolicy(action_spec(users), score, 1.0)


def uniform(problem: Problem) -> ScoredPolicy[Any]:
    """Every item on offer is as likely; places that pad a short offer are never chosen."""

    def score(seen: Any) -> Any:
        return torch.where(seen["candidates"] < problem.num_items, 0.0, -1e9)

    return ScoredPolicy(ActionSpec(problem.num_candidates, problem.slate_size, problem.num_items), score, 1.0)


@cache
def logged(seed: int, steps: int, sessions: int) -> TransitionStore:
    """The log of short videos of a seed."""
    users = short_video(sessions)
    return record(behaviour(users), users, steps, seed=child_seed(seed, "log"))


@cache
def ebnerd(folder: Path) -> TransitionStore:
    """The picks of EB-NeRD; a session is an episode."""
    log = read_log(folder, "ebnerd")
    return transitions_from_log(log, PickReading(most=_LONGEST), {"scroll": 0.01}).store


def fold(store: TransitionStore, seed: int) -> tuple[TransitionStore, TransitionStore]:
    """The episodes of the users to learn from, and of those who are held out: a fifth, another one for each seed."""
    user = store.columns["user"][store.episodes[:, 0]]
    users, row = np.unique(user, return_inverse=True)
    part = make_generator(0, "held out", device="numpy").permutation(np.arange(len(users)) % FOLDS)
    out = part[row] == seed % FOLDS
    return store.subset(np.flatnonzero(~out)), store.subset(np.flatnonzero(out))


def served(policy: Policy[Any], users: Task, budget: Budget, seed: int, greedy: bool = False) -> dict[str, Any]:
    """What a policy comes to with new users, an episode each; a seed stands for the same users.

    Returns:
        ``returns`` (one mean for each seed of users), and means over all: ``return``, ``watch_time`` (s), ``like``,
        ``days_away`` (30 for users who never come back).
    """
    seeds = [child_seed(seed, "test users", number) for number in range(budget.user_seeds)]
    episodes = rollout(policy, users, users=budget.users, seeds=seeds, greedy=greedy).episodes
    schema, feedback = users.model.schema, episodes.feedback
    reactions = sum(weight * feedback[:, :, schema.index(name)] for name, weight in FEEDBACK_REWARD.items())
    return {
        "returns": episodes.reward.mean(1).tolist(),
        "return": float(episodes.reward.mean()),
        "watch_time": float(feedback[:, :, schema.index("watch_time")].mean()),
        "like": float(feedback[:, :, schema.index("like")].mean()),
        "days_away": float((reactions - episodes.reward).mean()),
        "steps": float(episodes.length.mean()),
    }
