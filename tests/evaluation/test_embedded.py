import numpy as np

from recgym.agents.base import RandomPolicy
from recgym.evaluation.baselines import action_spec
from recgym.evaluation.embedded import DAYS, embedded_log
from recgym.evaluation.rollout import rollout


def test_embedded_log_is_a_seeded_log_of_the_truth() -> None:
    log, truth = embedded_log(users=100, seed=1)
    assert log.frame.equals(embedded_log(users=100, seed=1).log.frame)
    assert not log.frame.equals(embedded_log(users=100, seed=2).log.frame)
    assert log.n_items == truth.model.num_items == 300
    assert log.schema == truth.model.schema
    assert log.frame["user"].n_unique() == 100
    time_s = log.frame["time_s"].to_numpy()
    assert 0.8 * DAYS < (time_s.max() - time_s.min()) / 86_400 < DAYS + 1
    propensity = log.frame["propensity"].to_numpy()
    assert (propensity > 0.2 / 90 * 0.99).all(), "a fifth of the slates is random, so every slate has that much"
    assert np.isfinite(propensity).all()


def test_evaluation_seeds_meet_other_users_than_those_in_the_log() -> None:
    log, truth = embedded_log(users=50, seed=0)
    assert log.user_features is not None
    played = rollout(RandomPolicy(action_spec(truth)), truth, users=50, seeds=(0,), record=True)
    assert not np.allclose(played.steps[0].profile, log.user_features.to_numpy())
