import numpy as np

from recgym.evaluation.embedded import DAYS, embedded_log


def test_embedded_log_is_a_seeded_log_of_the_truth() -> None:
    log, truth = embedded_log(users=100, seed=1)
    assert log.frame.equals(embedded_log(users=100, seed=1).log.frame)
    assert not log.frame.equals(embedded_log(users=100, seed=2).log.frame)
    assert log.n_items == truth.model.num_items == 300
    assert log.schema == truth.model.schema
    starts = log.frame.group_by("user").agg(log.frame["time_s"].min() * 0).height
    assert starts == 100
    span_days = (log.frame["time_s"].max() - log.frame["time_s"].min()) / 86_400  # type: ignore[operator]
    assert 0.8 * DAYS < span_days < DAYS + 1
    propensity = log.frame["propensity"].to_numpy()
    assert (propensity > 0.2 / 90 * 0.99).all(), "a fifth of the slates is random, so every slate has that much"
    assert np.isfinite(propensity).all()
