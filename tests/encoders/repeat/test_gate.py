"""The gate learns when users repeat, what, and what they explore; its scores are probabilities."""

import numpy as np
import pytest
import torch

from recgym.encoders import Sequences
from recgym.encoders.repeat import RepeatGateConfig
from tests.encoders.repeat.common import N, history, made_up, scores, sequences

QUICK = RepeatGateConfig(epochs=30, batch_size=32, step_size=0.03, sessions=3)


def test_scores_are_the_logarithms_of_a_distribution() -> None:
    model = RepeatGateConfig(epochs=1).fit(sequences(*made_up(5)))
    everything = [list(range(N))]
    found = scores(model, [[1, 2], [2, 3]], [], everything)
    np.testing.assert_allclose(np.exp(found).sum(1), 1.0, rtol=1e-4)
    assert np.isfinite(found).all()


def _creatures_of_habit(users: int, habit: bool) -> Sequences:
    """Sessions of two items out of two of the user's own, or of the next two on a ring."""
    made = []
    for user in range(users):
        own = [user % N, (user + 5) % N]
        made.append([own if habit else [(user + 2 * n) % N, (user + 2 * n + 1) % N] for n in range(4)])
    return sequences(*made)


def test_the_gate_opens_where_users_repeat() -> None:
    past = [[3, 8], [3, 8]]
    for habit in (True, False):
        found = np.exp(scores(QUICK.fit(_creatures_of_habit(40, habit)), past)[0])
        assert (found[[3, 8]].sum() > 0.9) == habit


def test_what_is_repeated_follows_recency_where_users_do() -> None:
    """Users take again what they had in the last session, whatever they had more often before."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(60):
        a, b = rng.permutation(N)[:2].tolist()
        made.append([[a], [a], [b], [b]])
    found = scores(QUICK.fit(sequences(*made)), [[4], [4], [4], [9]])[0]
    assert found[9] > found[4]


def test_what_is_explored_follows_sessions_and_popularity() -> None:
    users = [[[n % 3], [n % 3 + 3, n % 3 + 6], [n % 3 + 9]] for n in range(30)]
    found = scores(QUICK.fit(sequences(*users)), [[4]])[0]
    assert np.argmax(np.where(np.arange(N) == 4, -np.inf, found)) == 7  # 4 and 7 share sessions


def test_the_same_seed_gives_the_same_model_and_the_global_generator_is_left_alone() -> None:
    log, state = sequences(*made_up(6)), torch.get_rng_state()
    first, second = (RepeatGateConfig(epochs=2).fit(log) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    asked = history([[1, 2]])
    assert torch.equal(first.scores(torch.arange(1), asked), second.scores(torch.arange(1), asked))
    other = RepeatGateConfig(epochs=2, seed=1).fit(log)
    assert not torch.equal(first.scores(torch.arange(1), asked), other.scores(torch.arange(1), asked))


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        RepeatGateConfig(epochs=0)
