"""Episodes of one request, one session, and several sessions."""

from typing import Any

import numpy as np
import pytest

from recgym.arrays import to_numpy
from recgym.envs import RecVectorEnv, RetentionLimits, SB3VecEnv, Simulation, Task, make_task
from recgym.envs.levels import DAY_S
from recgym.envs.short_video import task as short_video
from recgym.testing import environment_checks

HAND_MADE = (
    "InterestEvolution", "InterestExploration", "LongTermSatisfaction", "LongTermSatisfactionRecSim", "OrganicBandit",
    "Relisten", "Retention", "ShortVideo",
)  # fmt: skip
CHECKS = (
    "gymnasium's check_env", "spaces, types and ends", "determinism under a seed", "branching from a state",
    "arrays of the caller's own", "gym.make and gym.make_vec agree", "episodes and sessions", "autoreset: next step",
    "autoreset: same step", "autoreset: disabled", "Stable-Baselines3 agrees",
)  # fmt: skip


@pytest.mark.parametrize("name", HAND_MADE)
@pytest.mark.parametrize("level", ["request", "retention"])
def test_every_environment_keeps_its_promises_on_other_levels(name: str, level: str) -> None:
    for check in environment_checks(f"recgym/{name}-v0", level=level):
        if check.name in CHECKS:
            check.run()


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_request_is_over_after_one_step(name: str) -> None:
    env = RecVectorEnv(make_task(f"recgym/{name}-v0", {"level": "request"}), 5, autoreset_mode="SameStep", seed=0)
    env.reset()
    for _ in range(3):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        assert terminated.all()
        assert not truncated.any()


@pytest.mark.parametrize("name", ["InterestEvolution", "LongTermSatisfaction", "OrganicBandit"])
def test_where_nobody_comes_back_retention_is_one_session(name: str) -> None:
    steps: list[list[Any]] = []
    for level in ("session", "retention"):
        simulation = Simulation(make_task(f"recgym/{name}-v0", {"level": level}), 50, device="numpy", seed=4)
        simulation.reset()
        shape = (50,) if simulation.task.slate_size == 1 else (50, simulation.task.slate_size)
        steps.append([simulation.step(np.zeros(shape, dtype=np.int64)) for _ in range(20)])
    assert len(steps[0]) == len(steps[1])
    for one, other in zip(*steps, strict=True):
        if one.terminated.any():  # the draws of the gap follow, so the two part here
            break
        np.testing.assert_array_equal(one.reward, other.reward)
        np.testing.assert_array_equal(one.terminated, other.terminated)


def several(device: str = "numpy", users: int = 400, **limits: Any) -> tuple[Simulation, np.ndarray]:
    task = short_video(level="retention", retention=RetentionLimits(**limits))
    simulation = Simulation(task, users, device=device, seed=2)
    simulation.reset()
    return simulation, to_numpy(simulation.clock_s).copy()


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_sessions_follow_each_other_after_the_gap(device: str) -> None:
    """Clock, counters and history go on as the gaps that are reported say."""
    simulation, clock = several(device, churn_after_s=2 * DAY_S)
    session, start, away = (np.zeros(400) for _ in range(3))
    alive, returned = np.ones(400, dtype=bool), 0
    for step in range(1, 61):
        action = simulation.steps * 0
        transition = simulation.step(action)
        gap = to_numpy(transition.return_gap_s)
        ended, back = ~np.isnan(gap), gap <= 2 * DAY_S
        np.testing.assert_array_equal(to_numpy(transition.terminated), ended & ~back)
        watched = to_numpy(transition.response.feedback)[:, 0, 0]
        np.testing.assert_allclose(to_numpy(transition.time_s), clock + watched + 1, rtol=1e-6)
        clock = to_numpy(transition.time_s) + np.where(back, np.nan_to_num(gap, posinf=0), 0)
        np.testing.assert_allclose(to_numpy(simulation.clock_s), clock)
        session, start, away = session + back, np.where(back, step, start), np.where(back, gap, away)
        np.testing.assert_array_equal(to_numpy(simulation.session), session)
        shown = to_numpy(simulation.observation()["progress"])
        np.testing.assert_allclose(shown, np.stack([session, step - start, away / DAY_S], 1), rtol=1e-6)
        alive &= ~to_numpy(transition.terminated)
        returned += int(back.sum())
    assert returned > 200
    assert 0.05 < alive.mean() < 0.95
    history = simulation.history()
    events = to_numpy(history.mask).sum(1)
    assert events[alive].min() == 30, "the record of consumption goes on over sessions"
    # The newest event lies one gap in the past for those who have just come back.
    just = back & alive
    newest = to_numpy(history.time_s)[:, -1]
    np.testing.assert_allclose((clock - newest)[just], gap[just])


def test_limits_cut_and_do_not_terminate() -> None:
    for limits in ({"max_sessions": 2}, {"horizon_days": 1.5}):
        simulation, _ = several(churn_after_s=float("1e12"), **limits)
        cut = np.zeros(400, dtype=bool)
        for _ in range(200):
            transition = simulation.step(np.zeros(400, dtype=np.int64))
            reached = simulation.session >= 2 if "max_sessions" in limits else simulation.clock_s >= 1.5 * DAY_S
            np.testing.assert_array_equal(transition.truncated, reached & ~transition.terminated)
            assert not (transition.truncated & transition.terminated).any()
            cut |= transition.truncated
        assert cut.mean() > 0.5


def test_reset_rows_start_in_the_first_session() -> None:
    simulation, _ = several()
    for _ in range(60):
        simulation.step(np.zeros(400, dtype=np.int64))
    mask = simulation.session > 1
    assert 0 < mask.sum() < 400
    others = simulation.session[~mask].copy()
    simulation.reset_rows(mask)
    for part in (simulation.session, simulation.session_start, simulation.away_s, simulation.clock_s):
        assert not part[mask].any()
    np.testing.assert_array_equal(simulation.session[~mask], others)


def test_a_transition_is_not_changed_by_a_reset() -> None:
    simulation, _ = several()
    transition = simulation.step(np.zeros(400, dtype=np.int64))
    before = transition.time_s.copy()
    simulation.reset_rows(np.ones(400, dtype=bool))
    np.testing.assert_array_equal(transition.time_s, before)


def test_the_level_of_a_task_must_be_one_there_is() -> None:
    task = short_video()
    object.__setattr__(task, "level", "forever")  # shape checks, on in tests, would stop it earlier
    with pytest.raises(ValueError, match="level must be one of request, session, retention, found 'forever'"):
        task.__post_init__()
    for limits, found in (
        ({"churn_after_s": 0.0}, "churn_after_s"), ({"max_sessions": 0}, "max_sessions"),
        ({"horizon_days": 0.0}, "horizon_days"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{found} must be"):
            RetentionLimits(**limits)


def test_stable_baselines_sees_episodes_of_several_sessions() -> None:
    task: Task = short_video(level="retention", retention=RetentionLimits(max_sessions=2))
    env = SB3VecEnv(task, 64, seed=0)
    env.reset()
    ends = [env.step(np.zeros(64, dtype=np.int64))[2:] for _ in range(80)]
    episodes = [info["episode"] for done, infos in ends for info in np.array(infos)[done]]
    assert len(episodes) > 64
    assert np.mean([episode["t"] for episode in episodes]) > 3600, "seconds of simulated time, gaps included"
