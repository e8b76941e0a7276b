import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from recgym.agents.recurrent.collect import Batch
from recgym.agents.recurrent.judging import ReturnScale, discounted, generalised_advantages, judge
from recgym.agents.recurrent.network import Memory

STEPS, USERS = 12, 5


def batch(seed: int, ends: bool = True) -> Batch:
    """A random rollout; some episodes end by themselves, some are cut."""
    generator = torch.Generator().manual_seed(seed)
    ended = torch.rand(STEPS, USERS, generator=generator) < (0.3 if ends else 0.0)
    truncated = ended & (torch.rand(STEPS, USERS, generator=generator) < 0.5)
    cut = truncated.clone()
    cut[-1] |= ~ended[-1]
    start = torch.cat([torch.ones(1, USERS, dtype=torch.bool), ended[:-1]])
    number = torch.zeros(STEPS, USERS, dtype=torch.int64)
    for step in range(1, STEPS):
        number[step] = torch.where(start[step], 0, number[step - 1] + 1)
    blank = torch.zeros(STEPS, USERS, 1)
    return Batch(
        inputs=blank, offer={}, action=torch.zeros(STEPS, USERS, dtype=torch.int64), log_prob=blank[..., 0],
        value=torch.randn(STEPS, USERS, generator=generator), reward=torch.randn(STEPS, USERS, generator=generator),
        ended=ended, cut=cut, bootstrap=torch.where(cut, torch.randn(STEPS, USERS, generator=generator), 0.0),
        start=start, number=number, first=Memory(torch.zeros(USERS, 0), torch.zeros(USERS, 0)),
        group=torch.arange(USERS).expand(STEPS, USERS) % 2, features=blank,
    )  # fmt: skip


@pytest.mark.parametrize("gae_lambda", [0.0, 0.9, 1.0])
def test_advantages_are_those_of_stable_baselines3(gae_lambda: float) -> None:
    rollout = batch(3)
    buffer = RolloutBuffer(
        STEPS, spaces.Box(-1, 1, (1,)), spaces.Discrete(2), gamma=0.97, gae_lambda=gae_lambda, n_envs=USERS
    )
    inner = rollout.ended & rollout.cut
    for step in range(STEPS):
        # Stable-Baselines3 adds the value of what a time limit cut off to the reward.
        reward = rollout.reward[step] + 0.97 * torch.where(inner[step], rollout.bootstrap[step], 0.0)
        buffer.add(
            np.zeros((USERS, 1)), np.zeros((USERS, 1)), reward.numpy(), rollout.start[step].numpy(),
            rollout.value[step], torch.zeros(USERS),
        )  # fmt: skip
    buffer.compute_returns_and_advantage(rollout.bootstrap[-1], rollout.ended[-1].numpy())
    ours = generalised_advantages(rollout, rollout.value, rollout.bootstrap, 0.97, gae_lambda)
    assert np.allclose(ours.numpy(), buffer.advantages, atol=1e-5)


def test_a_cut_treated_as_an_end_is_told_apart() -> None:
    rollout = batch(3)
    right = generalised_advantages(rollout, rollout.value, rollout.bootstrap, 0.97, 0.9)
    wrong = generalised_advantages(rollout, rollout.value, torch.zeros_like(rollout.bootstrap), 0.97, 0.9)
    assert float((right - wrong).abs().max()) > 0.1


def test_returns_go_to_the_end_of_the_episode_only() -> None:
    reward = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
    ended = torch.tensor([[False], [True], [False], [False]])
    tail = torch.tensor([[0.0], [0.0], [0.0], [16.0]])
    assert discounted(reward, ended, tail, 0.5)[:, 0].tolist() == [2.0, 2.0, 12.0, 16.0]


def test_scale_goes_back_and_forth_and_follows_each_world() -> None:
    scale = ReturnScale(2)
    group, number = torch.arange(2).expand(50, 2), torch.arange(50)[:, None].expand(50, 2)
    for seed in range(40):
        noise = torch.randn(50, 2, generator=torch.Generator().manual_seed(seed))
        scale.update(group, number, torch.tensor([10.0, 1000.0]) + number + torch.tensor([1.0, 100.0]) * noise)
    returns = torch.tensor([[12.0, 900.0]])
    first = number[:1]
    scaled = scale.scale(group[:1], first, returns)
    assert torch.allclose(scale.unscale(group[:1], first, scaled), returns, rtol=1e-4)
    assert float(scale.mean[0, 5]) == pytest.approx(15, abs=2)
    assert float(scale.mean[1, 5]) == pytest.approx(1005, abs=150)


def test_no_world_counts_more_because_its_rewards_are_larger() -> None:
    rollout = batch(5, ends=False)
    loud = torch.where(rollout.group == 1, 1000.0, 1.0)
    silent = torch.zeros_like(rollout.value)
    rollout = Batch(**{**vars(rollout), "reward": rollout.reward * loud, "value": silent, "bootstrap": silent})
    squares = [
        judge(rollout, ReturnScale(2), 0.97, 0.9, per_world=per_world).advantage.square() for per_world in (True, False)
    ]
    each, together = (float(s[rollout.group == 1].mean() / s[rollout.group == 0].mean()) for s in squares)
    assert each == pytest.approx(1, abs=0.01)
    assert together > 1.5
