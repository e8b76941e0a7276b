"""The tensor core: errors, slates, clocks, horizons and exactness between batch sizes."""

import numpy as np
import pytest

from recgym.arrays import take_rows, to_numpy
from recgym.envs import ChannelReward, FlatObserver, RecVectorEnv, Simulation, Task
from recgym.simulators import InterestEvolution, LongTermSatisfaction, LongTermSatisfactionConfig, UserModel
from recgym.types import Array
from tests.testing.broken import Sound
from tests.testing.tasks import clicks, small


def offered_items(simulation: Simulation) -> Array:
    """Ids of the candidates, of which there are some."""
    assert simulation.candidates is not None
    return simulation.candidates


def noise_free(**settings: float) -> Task:
    """Long-term satisfaction without noise in the engagement."""
    model = LongTermSatisfaction(LongTermSatisfactionConfig(choc_sd=0.0, kale_sd=0.0, **settings))  # type: ignore[arg-type]
    return Task(model, ChannelReward(model.schema, {"engagement": 1.0}), FlatObserver(140), window=1)


def test_without_noise_one_user_is_a_row_of_many() -> None:
    """The same user, alone and among 64, from the same state: the same rewards and observations, but for rounding."""
    many = Simulation(noise_free(), 64, device="numpy", seed=0)
    many.reset()
    users = many.users
    actions = np.random.default_rng(0).integers(30, size=140)
    rewards = np.stack([many.step(np.full(64, action)).reward for action in actions])
    last = many.observation()
    for row in (0, 31, 63):
        one = Simulation(noise_free(), 1, device="numpy", seed=1)
        one.reset()
        one.users = take_rows(users, np.array([row]))
        alone = np.array([one.step(np.array([action])).reward[0] for action in actions])
        np.testing.assert_allclose(alone, rewards[:, row], rtol=1e-5)
        np.testing.assert_allclose(to_numpy(one.observation())[0], to_numpy(last)[row], rtol=1e-5)


def test_without_noise_equal_users_have_equal_returns_at_any_batch_size() -> None:
    settings = {"memory": (2.0, 2.0), "sensitivity": (1.5, 1.5), "signal_sd": 0.0}
    returns = []
    for users in (1, 64):
        env = RecVectorEnv(noise_free(**settings), users, seed=users)  # type: ignore[arg-type]
        observation, _ = env.reset()
        assert (observation == observation[0]).all()
        rng = np.random.default_rng(3)
        rewards = [env.step(np.full(users, rng.integers(30)))[1] for _ in range(140)]
        assert all((reward == reward[0]).all() for reward in rewards)
        returns.append([float(reward[0]) for reward in rewards])
    np.testing.assert_allclose(returns[0], returns[1], rtol=1e-5)


def test_errors() -> None:
    with pytest.raises(ValueError, match="at least 1 user is needed, found num_users=0"):
        Simulation(small(), 0)

    class TorchOnly(Sound):
        runs_on_numpy = False

    task = Task(TorchOnly(), clicks)
    with pytest.raises(ValueError, match="TorchOnly runs on torch devices only, found device='numpy'"):
        Simulation(task, 1, device="numpy")


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"slate_size": 9}, r"slate_size must be in 1\.\.8 \(the candidates\), found 9"),
        ({"slate_size": 0}, "found 0"),
        ({"window": 1}, "window must be at least the slate size 2, found 1"),
        ({"horizon": 0}, "horizon must be at least 1 step, found 0"),
    ],
)
def test_a_task_that_cannot_be_is_refused(parts: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        small(**parts)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_slates_are_candidates_in_the_order_of_the_action(device: str) -> None:
    simulation = Simulation(small(), 16, device=device, seed=0)
    simulation.reset()
    offered = to_numpy(simulation.candidates)
    action = offered_items(simulation)[:, :2] * 0
    action[:, 0], action[:, 1] = 5, 2
    slate = to_numpy(simulation.step(action).slate)
    np.testing.assert_array_equal(slate, offered[:, [5, 2]])
    assert (to_numpy(simulation.candidates) != offered).any()


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_the_clock_adds_the_seconds_of_the_steps(device: str) -> None:
    simulation = Simulation(small(), 16, device=device, seed=0)
    simulation.reset()
    clock = np.zeros(16)
    for step in range(1, 8):
        watch = to_numpy(simulation.step(offered_items(simulation)[:, :2] * 0).response.feedback)[:, :, 1].sum(axis=1)
        clock += np.where(watch > 0, watch, 0.5) * 60
        np.testing.assert_allclose(to_numpy(simulation.clock_s), clock)
        assert to_numpy(simulation.steps).tolist() == [step] * 16
    mask = simulation.steps > 0
    mask[3:] = False
    simulation.reset_rows(mask)
    np.testing.assert_allclose(to_numpy(simulation.clock_s), np.where(to_numpy(mask), 0, clock))
    assert (to_numpy(simulation.history().mask).any(axis=1) <= ~to_numpy(mask)).all()


def test_a_horizon_cuts_and_leaving_does_not_count_as_cut() -> None:
    simulation = Simulation(small(horizon=14), 200, device="numpy", seed=0)
    simulation.reset()
    left = np.zeros(200, dtype=bool)
    for step in range(1, 15):
        transition = simulation.step(np.tile([0, 1], (200, 1)))
        left |= transition.terminated
        assert not (transition.terminated & transition.truncated).any()
        assert transition.truncated.any() == (step == 14)
    np.testing.assert_array_equal(transition.truncated, ~transition.terminated)
    assert 0 < left.sum() < 200


def test_expected_is_that_of_the_users_who_are_there() -> None:
    simulation = Simulation(small(), 16, device="numpy", seed=0)
    simulation.reset()
    slate = simulation.slate_of(np.tile([0, 1], (16, 1)))
    model: UserModel[object] = simulation.model
    assert isinstance(model, InterestEvolution)
    np.testing.assert_array_equal(simulation.expected(slate).feedback, model.expected(simulation.users, slate).feedback)
