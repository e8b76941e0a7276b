import numpy as np
import pytest
import torch

from recgym.agents.base import NoState, RandomPolicy, ScoredPolicy
from recgym.envs import SampledCandidates, Task
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.long_term_satisfaction import task as long_term_satisfaction
from recgym.evaluation.baselines import action_spec, item_popularity
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.rollout import BLOCK, rollout
from recgym.types import Array


def test_random_policy_meets_the_known_value_inside_its_interval() -> None:
    task = long_term_satisfaction(choc=14.0)
    summary = rollout(RandomPolicy(action_spec(task)), task, users=1000, seeds=range(5)).summary()
    assert summary["low"] < 651 < summary["high"]
    assert summary["high"] - summary["low"] < 40
    assert summary["session_length"] == 140
    assert summary["left"] == 1.0
    assert summary["channels"]["engagement"]["mean"] == pytest.approx(summary["return"], rel=1e-6)


def test_each_user_has_exactly_one_episode() -> None:
    task = interest_evolution(num_documents=50, num_candidates=6)
    played = rollout(RandomPolicy(action_spec(task)), task, users=40, seeds=(3,), record=True)
    steps = played.steps[0]
    assert np.array_equal(np.bincount(steps.user), played.episodes.length[0])
    for user in range(40):
        mine = steps.user == user
        assert np.array_equal(steps.step[mine], np.arange(mine.sum()))
        assert (np.diff(steps.time_s[mine]) > 0).all()
        watched = steps.feedback[mine, :, 1].sum()
        assert played.episodes.reward[0, user] == pytest.approx(watched, rel=1e-5)
        shown = steps.slate[mine].ravel()
        assert played.episodes.repeats[0, user] == pytest.approx(1 - np.unique(shown).size / shown.size)
    assert played.episodes.coverage[0] == np.unique(steps.slate).size / 50


def test_same_seed_same_rollout_and_policies_meet_the_same_users() -> None:
    task = interest_evolution(num_documents=50, num_candidates=6)
    policy = RandomPolicy(action_spec(task))
    first, again = (rollout(policy, task, users=30, seeds=(1, 2)).episodes for _ in range(2))
    assert np.array_equal(first.reward, again.reward)
    assert not np.array_equal(first.reward[0], first.reward[1])
    oracle = rollout(OneStepOracle, task, users=30, seeds=(1,), record=True).steps[0]
    random = rollout(policy, task, users=30, seeds=(1,), record=True).steps[0]
    assert np.array_equal(oracle.profile, random.profile)


def test_blocks_do_not_depend_on_how_many_follow() -> None:
    task = long_term_satisfaction()
    policy = RandomPolicy(action_spec(task))
    one, two = (rollout(policy, task, users=n, seeds=(0,)).episodes.reward[0] for n in (BLOCK, BLOCK + 7))
    assert np.array_equal(one, two[:BLOCK])


def test_oracle_of_one_step_equals_brute_force_and_beats_random() -> None:
    task = long_term_satisfaction(choc=21.0)
    played = rollout(OneStepOracle, task, users=20, seeds=(0,), record=True)
    # Clickbait pays more than it costs within the step whatever the satisfaction, so the best single step is level 29.
    assert (played.steps[0].slate == 29).all()
    world = interest_evolution(num_documents=50, num_candidates=6)
    best = rollout(OneStepOracle, world, users=200, seeds=(0, 1)).summary()
    random = rollout(RandomPolicy(action_spec(world)), world, users=200, seeds=(0, 1)).summary()
    assert (
        best["channels"]["click"]["mean"] / best["session_length"]
        > random["channels"]["click"]["mean"] / (random["session_length"])
    )


def test_rollout_becomes_a_log_with_true_propensities() -> None:
    task = interest_evolution(num_documents=50, num_candidates=6)

    def score(observation: dict[str, Array]) -> Array:
        return task.model.item_features[observation["candidates"]][:, :, :10].sum(-1)

    policy: ScoredPolicy[NoState] = ScoredPolicy(action_spec(task), score, temperature=1.0, mix=0.1)
    played = rollout(policy, task, users=300, seeds=(0,), record=True)
    log = played.to_log(arrivals_s=np.arange(300) * 10.0)
    assert log.n_users == 300
    assert log.n_items == 50
    assert log.frame["slate"].n_unique() == played.episodes.length.sum()
    steps = played.steps[0]
    # Inverse propensities of the slates shown average to the number of slates, 6 x 5.
    assert np.exp(-steps.log_propensity.astype(np.float64)).mean() == pytest.approx(30, rel=0.05)
    assert log.frame["time_s"][0] == pytest.approx(steps.time_s[0])


def test_popularity_counts_rates_per_exposure() -> None:
    task = interest_evolution(num_documents=50, num_candidates=6)
    log = rollout(RandomPolicy(action_spec(task)), task, users=200, seeds=(0,), record=True).to_log()
    rate = item_popularity(log, "click")
    assert rate.shape == (50,)
    item = 7
    mine = log.frame.filter(log.frame["item"] == item)["click"].to_numpy()
    overall = log.frame["click"].to_numpy().mean()
    assert rate[item] == pytest.approx((mine.sum() + 10 * overall) / (mine.size + 10), rel=1e-6)


def test_bad_input_gets_one_sentence() -> None:
    task = long_term_satisfaction()
    policy = RandomPolicy(action_spec(task))
    with pytest.raises(ValueError, match="found 0 users"):
        rollout(policy, task, users=0)
    with pytest.raises(ValueError, match="were not recorded"):
        rollout(policy, task, users=2, seeds=(0,)).to_log()


def test_runs_on_numpy_too() -> None:
    task = long_term_satisfaction()
    summary = rollout(RandomPolicy(action_spec(task)), task, users=500, seeds=(0, 1), device="numpy").summary()
    assert summary["return"] == pytest.approx(651, rel=0.05)
    assert torch.get_default_dtype() == torch.float32


def test_users_keep_their_own_world_beyond_the_first_block() -> None:
    task = long_term_satisfaction(choc=[6.0] * BLOCK + [21.0] * BLOCK)
    reward = rollout(RandomPolicy(action_spec(task)), task, users=2 * BLOCK, seeds=(0,)).episodes.reward[0]
    assert reward[:BLOCK].mean() == pytest.approx(366, rel=0.05)
    assert reward[BLOCK:].mean() == pytest.approx(900, rel=0.05)


def test_oracle_keeps_to_the_mask() -> None:
    world = interest_evolution(num_documents=50, num_candidates=6)
    masked = Task(world.model, world.reward, world.observer, 2, SampledCandidates(6), window=30, mask_consumed=True)
    steps = rollout(OneStepOracle, masked, users=30, seeds=(0,), record=True).steps[0]
    for user in range(30):
        mine = steps.user == user
        clicked = steps.slate[mine][steps.feedback[mine, :, 0] > 0]
        early = clicked[:10]
        assert np.unique(early).size == early.size
