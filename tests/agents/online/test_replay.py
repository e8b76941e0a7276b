"""The ring of steps, by hand."""

import pytest
import torch

from recgym.agents.online import Replay

USERS = 3


def numbered(step: int, users: int = USERS) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A step whose fields say which step and user it is of."""
    number = 10 * step + torch.arange(users)
    kept = {
        "slate": torch.stack([number, number + 1], 1) % 5, "picked": number % 3, "reward": number.float(),
        "terminated": number % 4 == 0, "cut": torch.zeros(users, dtype=torch.bool),
    }  # fmt: skip
    return {"candidates": number[:, None].expand(-1, 5)}, kept


@pytest.mark.parametrize("steps", [2, 3, 4, 9])
def test_what_follows_a_step_is_the_same_users_next_step(steps: int) -> None:
    replay = Replay(4 * USERS, USERS)
    for step in range(steps):
        replay.add(*numbered(step))
    batch = replay.sample(500, torch.Generator().manual_seed(0))
    number = batch.kept["reward"].long()
    assert torch.equal(batch.next_observation["candidates"][:, 0].long(), number + 10)
    assert torch.equal(batch.next_kept["slate"][:, 0], (number + 10) % 5)
    assert torch.equal(batch.kept["slate"][:, 0], number % 5)
    assert torch.equal(batch.kept["picked"], number % 3)
    first, last = max(steps - 4, 0), steps - 2
    assert set((number // 10).tolist()) == set(range(first, last + 1))
    assert set((number % 10).tolist()) == set(range(USERS))


def test_a_restored_buffer_holds_the_same_steps_in_order() -> None:
    replay, again = Replay(4 * USERS, USERS), Replay(4 * USERS, USERS)
    for step in range(6):
        replay.add(*numbered(step))
    again.restore(replay.to_tensors())
    assert (again.kept("reward")[:, 0] // 10).tolist() == [2, 3, 4, 5]
    assert again.kept("cut")[:, 0].tolist() == [False, False, False, True]
    again.add(*numbered(7))
    assert (again.to_tensors()["reward"][:, 0] // 10).tolist() == [3, 4, 5, 7]
    with pytest.raises(ValueError, match="4 slots of 3 users"):
        Replay(16, 4).restore(replay.to_tensors())
