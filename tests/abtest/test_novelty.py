"""Effects that wear off."""

import numpy as np
import pytest

from recgym.abtest import Novelty, effect_trend, exposure_panel
from recgym.agents import RandomPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec, rollout


def panel(seed: int, n: int = 2000, periods: int = 10) -> np.ndarray:
    """Days of a user that are alike."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + rng.normal(size=(n, periods))


def test_an_effect_that_fades_is_found_and_one_that_lasts_is_not_taken_for_it() -> None:
    fading = Novelty(first=0.8, lasting=0.1, fades_after=3.0)
    found = effect_trend(panel(0), fading.treated(panel(1)))
    assert found.effect == pytest.approx(fading.effect(10), abs=4 * found.error.max())
    assert found.slope < 0
    assert found.p < 1e-6
    steady = Novelty(0.5, 0.5, 1.0)
    p = [effect_trend(panel(2 * s + 2, 100), steady.treated(panel(2 * s + 3, 100))).p for s in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=4 * (0.0475 / 400) ** 0.5)


def test_the_error_of_a_slope_is_that_of_repetitions() -> None:
    found = [effect_trend(panel(2 * s, 50), panel(2 * s + 1, 50)) for s in range(300)]
    assert np.std([f.slope for f in found]) == pytest.approx(np.mean([f.slope_error for f in found]), rel=0.15)


def test_the_panel_sums_to_the_episode() -> None:
    task = make_task("recgym/ShortVideo-v0", {})
    result = rollout(RandomPolicy(action_spec(task)), task, users=40, seeds=(0,), record=True)
    longest = int(result.episodes.length.max())
    made = exposure_panel(result.steps[0], 1, -(-longest // 5), 5)
    assert made.sum(1) == pytest.approx(result.episodes.feedback[0, :, 1])
    assert exposure_panel(result.steps[0], 1, 1, 5)[:, 0] == pytest.approx(made[:, 0])


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(ValueError, match="a trend needs two users an arm and the same two periods or more"):
        effect_trend(np.zeros((5, 3)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="fades_after must be positive"):
        Novelty(1.0, 0.0, 0.0)
