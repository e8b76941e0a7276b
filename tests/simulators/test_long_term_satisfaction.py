"""Long-term satisfaction: RecSim's preset against RecSim's formulas, Sim2Rec's users, groups and errors."""

import numpy as np
import pytest
from scipy import stats

from recgym.arrays import from_numpy, to_numpy
from recgym.envs import Simulation
from recgym.envs.long_term_satisfaction import recsim_task
from recgym.seeding import make_generator
from recgym.simulators import LongTermSatisfaction, LongTermSatisfactionConfig
from tests.simulators.recsim import Reader


def recsim(device: str = "numpy", **changes: float) -> LongTermSatisfaction:
    config = LongTermSatisfactionConfig.recsim(num_documents=50)
    return LongTermSatisfaction(LongTermSatisfactionConfig(**{**vars(config), **changes}), device)


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_recsims_engagement_is_log_normal_around_its_formula(device: str) -> None:
    model = recsim(device)
    users, draws = 8, 4000
    state = model.sample_users(users, make_generator(0, "users", device=device))
    items = np.arange(users) * 6
    rows = np.repeat(np.arange(users), draws)
    many = type(state)(*(part[from_numpy(rows, device)] for part in state))
    slate = from_numpy(items[rows][:, None], device)
    logs = np.log(to_numpy(model.respond(many, slate, make_generator(1, "answers", device=device)).feedback))
    expected = to_numpy(model.expected(state, from_numpy(items[:, None], device)).feedback)[:, 0, 0]
    levels, exposure = to_numpy(model.clickbait), to_numpy(state.exposure)
    for u in range(users):
        mine = logs[rows == u].ravel().astype(np.float64)
        mean = Reader(float(exposure[u])).log_engagement(float(levels[items[u]]))
        assert stats.kstest(mine, "norm", args=(mean, 1.0)).pvalue > 1e-4
        assert expected[u] == pytest.approx(np.exp(mean + 0.5), rel=1e-4)


def test_recsims_exposure_moves_as_in_its_formula() -> None:
    model = recsim(innovation_sd=0.0)
    state = model.sample_users(20, make_generator(0, "users", device="numpy"))
    readers = [Reader(float(exposure)) for exposure in state.exposure]
    rng, generator = np.random.default_rng(0), make_generator(1, "answers", device="numpy")
    for _ in range(60):
        slate = rng.integers(50, size=(20, 1))
        assert not model.has_left(state).any()
        state = model.advance(state, slate, model.respond(state, slate, generator), generator)
        for reader, item in zip(readers, slate[:, 0], strict=True):
            reader.consume(float(model.clickbait[item]))
        np.testing.assert_allclose(state.exposure, [reader.exposure for reader in readers], atol=1e-5)
    assert model.has_left(state).all()


def test_recsims_exposure_is_noisy_by_its_standard_deviation() -> None:
    model = recsim()
    state = model.sample_users(20_000, make_generator(0, "users", device="numpy"))
    slate = np.zeros((20_000, 1), dtype=np.int64)
    generator = make_generator(1, "answers", device="numpy")
    after = model.advance(state, slate, model.respond(state, slate, generator), generator)
    noise = after.exposure - (0.7 * state.exposure - 2 * (model.clickbait[0] - 0.5))
    assert stats.kstest(noise, "norm", args=(0, 0.05)).pvalue > 1e-4


def test_recsims_users_are_equal_but_for_where_they_start() -> None:
    model = recsim()
    state = model.sample_users(5000, make_generator(0, "users", device="numpy"))
    np.testing.assert_allclose(state.memory, 0.7, rtol=1e-6)
    np.testing.assert_allclose(state.sensitivity, 0.01, rtol=1e-4)
    assert stats.kstest(state.exposure * 0.3, "uniform", args=(-0.5, 1)).pvalue > 1e-4


def test_recsims_task_is_60_steps_long() -> None:
    simulation = Simulation(recsim_task(), 4, device="numpy", seed=0)
    simulation.reset()
    ends = [simulation.step(np.zeros(4, dtype=np.int64)) for _ in range(60)]
    assert [bool(end.terminated.all()) for end in ends] == [False] * 59 + [True]
    assert not any(end.truncated.any() for end in ends)


def test_sim2recs_users() -> None:
    model = LongTermSatisfaction()
    state = model.sample_users(20_000, make_generator(0, "users"))
    memory, sensitivity = to_numpy(state.memory), to_numpy(state.sensitivity)
    for values in (memory, sensitivity):
        assert stats.kstest(np.exp(values), "uniform", args=(1.01, 1.59)).pvalue > 1e-4
    np.testing.assert_allclose(to_numpy(state.exposure), 0.5 / (1 - memory), rtol=1e-4)
    assert stats.kstest(to_numpy(state.signal), "norm", args=(14, 3)).pvalue > 1e-4
    assert abs(np.corrcoef(memory, sensitivity)[0, 1]) < 0.03
    assert to_numpy(model.clickbait).tolist() == pytest.approx([i / 30 for i in range(30)])


def test_sim2recs_engagement_uses_the_satisfaction_before_the_step() -> None:
    model = LongTermSatisfaction(device="numpy")
    state = model.sample_users(500, make_generator(0, "users", device="numpy"))
    slate = np.random.default_rng(0).integers(30, size=(500, 1))
    level = slate[:, 0] / 30
    mean = (level * 14 + (1 - level) * 4) / (1 + np.exp(-state.sensitivity * state.exposure))
    expected = model.expected(state, slate).feedback[:, 0, 0]
    np.testing.assert_allclose(expected, mean, rtol=1e-5)
    answers = model.respond(state, slate, make_generator(1, "answers", device="numpy"))
    assert stats.kstest((answers.feedback[:, 0, 0] - mean) / 0.01, "norm").pvalue > 1e-4
    after = model.advance(state, slate, answers, make_generator(2, "moves", device="numpy"))
    np.testing.assert_allclose(after.exposure, state.memory * state.exposure - 2 * (level - 0.5), atol=1e-5)


def test_only_the_first_position_is_answered() -> None:
    model = LongTermSatisfaction(device="numpy")
    state = model.sample_users(5, make_generator(0, "users", device="numpy"))
    slate = np.tile([3, 9, 3], (5, 1))
    feedback = model.respond(state, slate, make_generator(1, "answers", device="numpy")).feedback
    assert feedback[:, 0].all()
    assert not feedback[:, 1:].any()


def test_groups_are_the_distinct_values_and_stay_with_their_rows() -> None:
    model = LongTermSatisfaction(LongTermSatisfactionConfig(choc=(21.0, 6.0, 21.0, 14.0)), "numpy")
    state = model.sample_users(4, make_generator(0, "users", device="numpy"))
    assert state.group.tolist() == [0, 1, 0, 2]
    some = model.sample_users(2, make_generator(0, "users", device="numpy"), np.array([3, 0]))
    assert some.choc.tolist() == [14.0, 21.0]
    with pytest.raises(ValueError, match="choc has 4 values, found a batch of 5 users or more"):
        model.sample_users(5, make_generator(0, "users", device="numpy"))


@pytest.mark.parametrize("levels", [(), (0.5, 1.1), (-0.1,)])
def test_clickbait_levels_outside_their_range_are_refused(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"clickbait levels must lie in \[0, 1\]"):
        LongTermSatisfaction(LongTermSatisfactionConfig(clickbait=levels))
