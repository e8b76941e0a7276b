"""Action masks: what was consumed, as info, as MaskablePPO reads them, and never everything."""

import warnings

import numpy as np
import pytest

from recgym.arrays import to_numpy
from recgym.envs import FullCatalogue, RecEnv, RecVectorEnv, SampledCandidates, SB3VecEnv, Simulation, Task
from tests.testing.tasks import clicks, small


def item_task(count: int = 60, sampled: bool = True) -> Task:
    source = SampledCandidates(count) if sampled else FullCatalogue()
    return small(candidates=source, slate_size=1, mask_consumed=True, window=8, reward=clicks)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("sampled", [True, False])
def test_the_mask_is_the_visible_history(sampled: bool, device: str) -> None:
    simulation = Simulation(item_task(12, sampled), 24, device=device, seed=0)
    simulation.reset()
    for step in range(15):
        simulation.step(np.full(24, step % 3) if device == "numpy" else simulation.steps * 0 + step % 3)
        offered = np.tile(np.arange(60), (24, 1)) if simulation.candidates is None else to_numpy(simulation.candidates)
        history = to_numpy(simulation.history().items)
        allowed = to_numpy(simulation.allowed())
        for user in range(24):
            assert allowed[user].tolist() == [item not in history[user] for item in offered[user]]
    assert not to_numpy(simulation.allowed()).all()


def test_a_user_who_has_seen_all_candidates_may_be_shown_any() -> None:
    simulation = Simulation(item_task(1), 64, device="numpy", seed=0)
    simulation.reset()
    for _ in range(10):
        simulation.step(np.zeros(64, dtype=np.int64))
        assert simulation.allowed().all()


def test_info_holds_the_mask_of_the_users_who_are_there() -> None:
    env = RecVectorEnv(item_task(12), 8, seed=0)
    _, info = env.reset()
    for _ in range(100):
        np.testing.assert_array_equal(info["action_mask"], env.action_masks())
        info = env.step(np.zeros(8, dtype=np.int64))[-1]


def test_slates_repeat_the_mask_at_each_position() -> None:
    env = RecEnv(small(mask_consumed=True), seed=0)
    env.reset()
    for _ in range(5):
        _, _, _, _, info = env.step(np.array([0, 1]))
        np.testing.assert_array_equal(env.action_masks(), np.tile(info["action_mask"], 2))
    other = SB3VecEnv(small(mask_consumed=True), 4, seed=0)
    other.reset()
    assert other.action_masks().shape == (4, 16)


def test_maskable_ppo_reads_and_obeys_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that it imports
        from sb3_contrib import MaskablePPO
        from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported

    env = SB3VecEnv(item_task(12), 8, seed=0)
    assert is_masking_supported(env)
    model = MaskablePPO("MultiInputPolicy", env, n_steps=16, batch_size=64, n_epochs=1, seed=0, device="cpu")
    model.learn(256)
    observation = env.reset()
    chosen_masked = hidden = 0
    for _ in range(20):
        masks = get_action_masks(env)
        np.testing.assert_array_equal(masks, env.action_masks())
        action, _ = model.predict(observation, action_masks=masks)
        chosen_masked += int((~masks[np.arange(8), action]).sum())
        hidden += int((~masks).sum())
        observation = env.step(action)[0]
    assert chosen_masked == 0
    assert hidden > 0
