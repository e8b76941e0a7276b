"""The environments of bandits: worlds with a known truth, and replay of the Open Bandit Dataset."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import polars as pl
import pytest
import torch

from recgym.data.readers import read_log
from recgym.data.replay import ReplayRounds
from recgym.envs import Simulation
from recgym.envs.bandit_cascade import task as cascade
from recgym.envs.bandit_contextual import task as contextual
from recgym.envs.bandit_drifting import task as drifting
from recgym.envs.open_bandit import task as open_bandit
from tests.shared import shared_data

HEADER = ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user-item_affinity_0"


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """A tiny campaign of 3 items: item 2 is shown in the odd rounds and clicked there."""
    rows = [
        f"{n},2019-11-24 00:0{n}:13.442536+00:00,{2 if n % 2 else n // 2 % 2},{n % 3 + 1},{n % 2},0.25,a{n % 2},b,0.0"
        for n in range(9)
    ]
    (tmp_path / "all.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return tmp_path


def test_weights_drift_by_the_step_that_is_asked_for() -> None:
    simulation = Simulation(drifting(drift=0.2), 500, seed=0)
    simulation.reset()
    before = simulation.users.weights
    simulation.step(torch.zeros(500, dtype=torch.int64))
    cosine = (before * simulation.users.weights).sum(-1)
    # w + 0.2 z over its length: the angle's tangent is at most 0.2 and on average a little less.
    assert float(cosine.min()) > 1 / (1 + 0.21**2) ** 0.5
    assert float(cosine.mean()) < 0.995
    still = Simulation(contextual(), 5, seed=0)
    still.reset()
    weights = still.users.weights
    still.step(torch.zeros(5, dtype=torch.int64))
    assert bool((still.users.weights == weights).all())


def test_a_seed_gives_all_services_the_same_weights() -> None:
    same = Simulation(contextual(seed=3), 4, seed=0)
    same.reset()
    assert bool((same.users.weights == same.users.weights[:1]).all())
    own = Simulation(contextual(), 4, seed=0)
    own.reset()
    assert not bool((own.users.weights == own.users.weights[:1]).all())


def test_a_list_gets_at_most_one_click() -> None:
    simulation = Simulation(cascade(low=0.3, high=0.6), 300, device="numpy", seed=0)
    simulation.reset()
    slate = np.tile(np.arange(4), (300, 1))
    clicks = np.stack([simulation.step(slate).response.feedback[..., 0] for _ in range(200)])
    assert clicks.sum(-1).max() == 1
    v = simulation.users.attraction[:, :4]
    truth = v * np.cumprod(np.concatenate([np.ones((300, 1)), 1 - v[:, :-1]], 1), 1)
    assert np.abs(clicks.mean(0).mean(0) - truth.mean(0)).max() < 0.01
    assert np.allclose(simulation.expected(slate).feedback[..., 0], truth, atol=1e-5)


def test_replay_answers_for_what_the_log_shows(campaign: Path) -> None:
    env = gym.make("recgym/OpenBandit-v0", path=campaign)
    observation, _ = env.reset(seed=0)
    clicks, matched, steps, done = 0.0, 0.0, 0, False
    while not done:
        assert observation["profile"].shape == env.observation_space["profile"].shape  # type: ignore[index]
        observation, reward, done, _, info = env.step(2)
        clicks, steps = clicks + float(reward), steps + 1
        matched += float(np.sum(info["feedback"]["matched"]))
    assert (clicks, steps, matched) == (4, 9, 4)


def test_the_context_of_replay(campaign: Path) -> None:
    log = read_log(campaign, "open-bandit")
    rounds = ReplayRounds.from_log(log, columns=["user_feature_0", "user_feature_1"])
    assert (rounds.n, rounds.arms, rounds.shown.shape) == (9, 3, (9, 1))
    assert rounds.context.shape == (9, 2 + 1 + 3), "two values of one feature, a constant, three positions"
    assert rounds.propensity is not None
    assert rounds.propensity.tolist() == [0.25] * 9
    with pytest.raises(ValueError, match="there is no user feature 'age'"):
        ReplayRounds.from_log(log, columns=["age"])


def test_bootstrapped_replay_goes_on(campaign: Path) -> None:
    made = open_bandit(campaign, bootstrap=True)
    assert made.horizon == 9
    simulation = Simulation(made, 200, device="numpy", seed=0)
    simulation.reset()
    assert np.unique(simulation.users.round).size == 9
    simulation.step(np.zeros(200, np.int64))
    assert not simulation.model.has_left(simulation.users).any()


@pytest.mark.parametrize(("path", "message"), [(None, "needs path=FOLDER"), ("nowhere", "does not exist")])
def test_what_is_missing_is_said(path: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make("recgym/OpenBandit-v0", path=path)


def test_slates_of_a_log_limit_what_may_be_chosen(campaign: Path) -> None:
    log = read_log(campaign, "open-bandit")
    frame = log.frame.with_columns(user=pl.lit(0, pl.Int64), slate=(pl.int_range(pl.len()) // 3).cast(pl.Int64))
    frame = frame.with_columns(time_s=pl.col("slate").cast(pl.Float64)).unique(["slate", "item"], keep="first")
    frame = frame.sort("user", "time_s", "slate", "position", "item")
    rounds = ReplayRounds.from_log(log.with_frame(frame), columns=[])
    assert rounds.allowed is not None
    assert (rounds.allowed.sum(1) == (rounds.shown >= 0).sum(1)).all()
    assert np.take_along_axis(rounds.allowed, np.maximum(rounds.shown, 0), 1)[rounds.shown >= 0].all()


@pytest.mark.data
def test_the_real_campaigns() -> None:
    made = open_bandit(shared_data("open-bandit") / "random" / "men")
    assert made.num_candidates == 34
    rounds = made.model.rounds  # type: ignore[attr-defined]
    assert rounds.n == 10_000
    assert np.allclose(rounds.propensity, 1 / 34)
