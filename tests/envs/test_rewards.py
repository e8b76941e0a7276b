"""Rewards from channels, side by side, and of one's own."""

import numpy as np
import pytest
import torch

from recgym.arrays import from_numpy, full, to_numpy, zeros
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.envs import ChannelReward, Outcome, RetentionReward, RewardFn, Simulation, SumReward, VectorReward
from recgym.types import Array, Response
from tests.testing.tasks import clicks, small

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY), Channel("watch_time", ChannelKind.DURATION)))
FEEDBACK = np.array([[[1, 2.5], [0, 0]], [[0, 0], [1, 4]], [[0, 0], [0, 0]]], dtype=np.float32)


def outcome(feedback: Array) -> Outcome:
    device = "numpy" if isinstance(feedback, np.ndarray) else "cpu"
    users, positions = feedback.shape[:2]
    return Outcome(
        slate=zeros((users, positions), "int64", device),
        response=Response(feedback),
        left=zeros((users,), "bool", device),
        step=full((users,), 1, "int64", device),
    )


@pytest.mark.parametrize("feedback", [FEEDBACK, torch.from_numpy(FEEDBACK)], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"click": 1.0}, [1, 1, 0]),
        ({"watch_time": 2.0}, [5, 8, 0]),
        ({"click": -3.0, "watch_time": 1.0}, [-0.5, 1, 0]),
        ({}, [0, 0, 0]),
    ],
)
def test_weighted_channels(feedback: Array, weights: dict[str, float], expected: list[float]) -> None:
    reward = ChannelReward(SCHEMA, weights)(outcome(feedback))
    assert to_numpy(reward).dtype == np.float32
    np.testing.assert_allclose(to_numpy(reward), expected)


def test_a_single_position_is_its_own_sum() -> None:
    reward = ChannelReward(SCHEMA, {"watch_time": 1.0})(outcome(FEEDBACK[:, :1]))
    np.testing.assert_allclose(reward, [2.5, 0, 0])


@pytest.mark.parametrize("feedback", [FEEDBACK, torch.from_numpy(FEEDBACK)], ids=["numpy", "torch"])
def test_rewards_side_by_side(feedback: Array) -> None:
    parts = (ChannelReward(SCHEMA, {"click": 1.0}), ChannelReward(SCHEMA, {"watch_time": 1.0}))
    expected = np.array([[1, 2.5], [1, 4], [0, 0]])
    np.testing.assert_allclose(to_numpy(VectorReward(parts)(outcome(feedback))), expected)


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no feedback channel 'like'; there are: click, watch_time"):
        ChannelReward(SCHEMA, {"like": 1.0})


def test_a_function_of_ones_own_sees_the_whole_outcome() -> None:
    seen: list[Outcome] = []

    def patience(outcome: Outcome) -> Array:
        seen.append(outcome)
        return outcome.response.feedback[:, :, 1].sum(1) - 5.0 * outcome.left

    simulation = Simulation(small(reward=patience, costs={"clicks": clicks}, horizon=40), 16, device="numpy", seed=0)
    simulation.reset()
    for _ in range(40):
        transition = simulation.step(np.tile(np.arange(2), (16, 1)))
        watch = transition.response.feedback[:, :, 1].sum(1)
        np.testing.assert_array_equal(transition.reward, watch - 5.0 * transition.terminated)
        np.testing.assert_array_equal(transition.costs["clicks"], transition.response.feedback[:, :, 0].sum(1))
    assert [int(entry.step[0]) for entry in seen] == list(range(1, 41))
    assert any(entry.left.any() for entry in seen)
    assert isinstance(patience, RewardFn)


def with_gaps(device: str, gaps_s: list[float]) -> Outcome:
    feedback = from_numpy(np.ones((len(gaps_s), 1, 2), dtype=np.float32), device)
    return outcome(feedback)._replace(return_gap_s=from_numpy(np.array(gaps_s), device))


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_days_away(device: str) -> None:
    day = 86_400.0
    seen = with_gaps(device, [float("nan"), 0.0, 0.25 * day, 2 * day, 31 * day, float("inf")])
    linear = to_numpy(RetentionReward()(seen))
    assert linear.dtype == np.float32
    np.testing.assert_allclose(linear, [0, 0, -0.25, -2, -30, -30])
    whole = RetentionReward(per_day=-0.1, longest_days=10, whole_days=True)
    np.testing.assert_allclose(to_numpy(whole(seen)), [0, 0, -0.1, -0.2, -1, -1], rtol=1e-6)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_a_sum_of_rewards(device: str) -> None:
    parts = (ChannelReward(SCHEMA, {"watch_time": 2.0}), 0.5), (RetentionReward(), 10.0)
    np.testing.assert_allclose(
        to_numpy(SumReward(parts)(with_gaps(device, [float("nan"), 86_400.0, float("inf")]))), [1, -9, -299]
    )
    with pytest.raises(ValueError, match="at least one part"):
        SumReward(())


def test_days_away_need_several_sessions() -> None:
    with pytest.raises(ValueError, match="level='retention'"):
        RetentionReward()(outcome(FEEDBACK))
    with pytest.raises(ValueError, match="longest_days must be a positive number of days, found inf"):
        RetentionReward(longest_days=float("inf"))
