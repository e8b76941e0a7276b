"""Rollouts of several sessions, and what becomes of them in a log."""

import numpy as np
import pytest

from recgym.agents import RandomPolicy
from recgym.data.sessions import sessionise
from recgym.envs import RetentionLimits
from recgym.envs.organic_bandit import task as organic_bandit
from recgym.envs.retention import task as retention
from recgym.envs.short_video import task as short_video
from recgym.evaluation import rollout
from recgym.evaluation.baselines import action_spec


def test_each_session_of_a_user_is_a_session_of_the_log() -> None:
    world = short_video(level="retention", retention=RetentionLimits(max_sessions=4))
    played = rollout(RandomPolicy(action_spec(world)), world, users=200, seeds=(0,), record=True)
    arrivals = np.arange(200) * 50.0
    log, steps = played.to_log(arrivals_s=arrivals), played.steps[0]
    sessions = log.frame.group_by("user", "session").len()
    episodes = played.episodes
    assert sessions.height == episodes.sessions.sum()
    assert log.frame["session"].n_unique() == sessions.height, "no two users share one"
    assert episodes.sessions.max() == 4
    assert 1 < episodes.sessions.mean() < 4, "some stay away for good"
    # Cut by time alone, sessions are the same but for the few gaps that are shorter than half an hour.
    cut = sessionise(log, 1800.0).frame["session"].n_unique()
    assert cut == pytest.approx(sessions.height, rel=0.03)
    assert log.frame["time_s"].to_numpy() == pytest.approx(steps.time_s + arrivals[steps.user])
    summary = played.summary()
    assert summary["sessions"] == pytest.approx(episodes.sessions.mean())
    assert summary["session_length"] == pytest.approx(episodes.length.sum() / episodes.sessions.sum())


def test_the_gaps_of_the_log_are_those_of_the_users() -> None:
    """Minus the rewards of Retention, in days, are the gaps between the sessions of its log."""
    world = retention(retention=RetentionLimits(max_sessions=3))
    played = rollout(RandomPolicy(action_spec(world)), world, users=300, seeds=(0,), record=True)
    steps, days = played.steps[0], np.zeros(300)
    same = steps.user[1:] == steps.user[:-1]
    between = same & (steps.session[1:] > steps.session[:-1])
    gap = (steps.time_s[1:] - steps.time_s[:-1])[between] - 30  # the first step of a session takes 30 s
    np.add.at(days, steps.user[1:][between], gap / 86_400)
    # The last gap of an episode has no session after it, so the log knows less than the reward.
    assert (days <= -played.episodes.reward[0] + 1e-6).all()
    shares = days[played.episodes.sessions[0] == 3] / -played.episodes.reward[0][played.episodes.sessions[0] == 3]
    assert 0.5 < shares.mean() < 0.8


def test_organic_events_keep_their_users_over_blocks() -> None:
    world = organic_bandit()
    played = rollout(RandomPolicy(action_spec(world)), world, users=1030, seeds=(0,), record=True, max_steps=5)
    organic, log = played.steps[0].organic, played.to_log()
    assert set(organic.user) == set(range(1030)), "all have been there before"
    assert log.frame["view"].sum() == organic.user.size
    assert log.frame.filter(log.frame["click"] == 1)["slate"].null_count() == 0
