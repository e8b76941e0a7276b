"""Models recover what made the data, and never see the round that they are used in."""

from typing import Any

import numpy as np
import pytest

from recgym.ope import (
    LoggedRounds,
    Logistic,
    Ridge,
    balanced_ipw,
    classifier_weights,
    cross_fitted,
    dros,
    embedding_shares,
    evaluate,
    value_of,
)
from recgym.ope.models import with_model
from tests.ope.cases import draw, world


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def test_ridge_is_least_squares_with_a_penalty() -> None:
    x, noise = generator().normal(size=(200, 3)), generator(1).normal(size=200)
    y = 2 + x @ np.array([1.0, -0.5, 0.0]) + 0.1 * noise
    model = Ridge(1e-9)
    model.fit(x, y)
    padded = np.concatenate([x, np.ones((200, 1))], 1)
    expected = padded @ np.linalg.lstsq(padded, y, rcond=None)[0]
    assert model.predict(x) == pytest.approx(expected, abs=1e-6)
    tight = Ridge(1e9)
    tight.fit(x, y)
    assert tight.predict(x) == pytest.approx(np.full(200, y.mean()), abs=1e-5)


def test_logistic_regression_recovers_its_weights() -> None:
    x = generator().normal(size=(20_000, 2))
    p = 1 / (1 + np.exp(-(0.5 + x @ np.array([1.0, -2.0]))))
    model = Logistic(1e-3)
    model.fit(x, (generator(1).random(20_000) < p).astype(float))
    assert np.abs(model.predict(x) - p).max() < 0.03
    with pytest.raises(ValueError, match=r"needs outcomes in \[0, 1\], found 0 to 2"):
        model.fit(x, np.linspace(0, 2, 20_000))


class Memory:
    """Knows by heart what it has been shown, and says 9 to anything else."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self.seen = dict(zip(x[:, 0].tolist(), y.tolist(), strict=True))

    def predict(self, x: np.ndarray) -> Any:
        return np.array([self.seen.get(key, 9.0) for key in x[:, 0].tolist()])


@pytest.mark.parametrize("features", [None, np.eye(3)])
def test_cross_fitting_never_uses_a_model_of_the_round_itself(features: np.ndarray | None) -> None:
    context = np.arange(60, dtype=float)[:, None]
    action, reward = np.arange(60) % 3, np.zeros(60)
    q = cross_fitted(context, action, reward, 3, generator(), Memory, 4, features)
    assert (q == 9.0).all()
    # Rows of one cluster stay together: each of a pair of equal contexts would give the other away.
    twice = np.repeat(context, 2, 0)
    pair = np.repeat(np.arange(60), 2)
    q = cross_fitted(twice, pair % 3, np.zeros(120), 3, generator(), Memory, 4, features, cluster=pair)
    assert (q == 9.0).all()
    assert (cross_fitted(twice, pair % 3, np.zeros(120), 3, generator(), Memory, 4, features) == 0.0).any()


@pytest.mark.parametrize("with_features", [False, True])
def test_cross_fitted_models_find_the_rewards(with_features: bool) -> None:
    context = generator().normal(size=(6000, 2))
    weights = np.array([[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]])
    truth = context @ weights + np.array([0.0, 1.0, 2.0])
    action = generator(1).integers(0, 3, 6000)
    reward = truth[np.arange(6000), action] + 0.1 * generator(2).normal(size=6000)
    q = cross_fitted(context, action, reward, 3, generator(3), action_features=np.eye(3) if with_features else None)
    assert np.abs(q - truth).mean() < 0.02


def test_an_action_never_taken_gets_the_mean_reward() -> None:
    context, reward = generator().normal(size=(90, 1)), generator(1).random(90)
    q = cross_fitted(context, np.zeros(90, dtype=np.int64), reward, 2, generator(2))
    assert np.abs(q[:, 1] - reward.mean()).max() < 0.1


@pytest.mark.parametrize("folds", [1, 11])
def test_folds_that_cannot_be_made(folds: int) -> None:
    with pytest.raises(ValueError, match="cross-fitting needs 2 to 10 folds"):
        cross_fitted(np.zeros((10, 1)), np.zeros(10, dtype=np.int64), np.zeros(10), 2, generator(), folds=folds)


def test_a_classifier_finds_the_weights() -> None:
    made = world(contexts=4, actions=3, spread=0.7)
    who = generator().integers(0, 4, 30_000)
    action = draw(made.logging[who], generator(1))
    truth = made.target[who, action] / made.logging[who, action]
    found = classifier_weights(np.eye(4)[who], action, made.target[who], generator(2), lambda: Logistic(1e-2))
    assert np.corrcoef(found, truth)[0, 1] > 0.97
    assert found.mean() == pytest.approx(1.0, abs=0.05)
    # How often the target takes its favourite, which the log takes less often.
    reward, value = (action == made.target.argmax(1)[who]).astype(float), made.target.max(1).mean()
    data = LoggedRounds(action, reward, np.ones(30_000), made.target[who], ratio=found)
    assert float(value_of(balanced_ipw().fractions(data))[0]) == pytest.approx(value, abs=0.015)
    assert abs(reward.mean() - value) > 0.03


def test_shares_of_categories_are_counted() -> None:
    data = LoggedRounds(
        np.array([0, 0, 0, 2]), np.zeros(4), np.ones(4), np.full((4, 3), 1 / 3), embedding=np.array([1, 1, 0, 1])
    )
    assert embedding_shares(data) == pytest.approx(np.array([[1 / 3, 2 / 3], [0, 0], [0, 1]]))


def test_from_a_log_without_a_model_to_a_result() -> None:
    made = world(contexts=4, spread=0.5)
    data = made.draw(4000, generator(4))
    context = np.eye(4)[np.abs(data.target[:, None] - made.target).sum(2).argmin(1)]
    (result,) = evaluate(with_model(data, context, generator(5)), (dros(50.0),))
    assert result.interval.low < made.value < result.interval.high
