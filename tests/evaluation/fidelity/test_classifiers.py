import numpy as np
import pytest

from recgym.evaluation.fidelity.classifiers import boosted_trees, logistic_regression
from recgym.stats import auc


def data(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1500, 6))


@pytest.mark.parametrize("classify", [logistic_regression, boosted_trees])
def test_a_line_is_found_to_within_what_noise_allows(classify: object) -> None:
    train, test = data(0), data(1)
    weights = np.array([1.0, -1.0, 0.5, 0, 0, 0])
    noise = np.random.default_rng(2).logistic(size=3000)
    labels = train @ weights + noise[:1500] > 0
    truth = test @ weights + noise[1500:] > 0
    best = auc(test @ weights, truth)
    found = auc(classify(train, labels, test), truth)  # type: ignore[operator]
    assert found > best - 0.03


def test_trees_find_what_no_line_can() -> None:
    train, test = data(0), data(1)
    labels, truth = train[:, 0] * train[:, 1] > 0, test[:, 0] * test[:, 1] > 0
    assert auc(boosted_trees(train, labels, test), truth) > 0.95
    assert abs(auc(logistic_regression(train, labels, test), truth) - 0.5) < 0.1


@pytest.mark.parametrize("classify", [logistic_regression, boosted_trees])
def test_pure_noise_gives_nothing_away(classify: object) -> None:
    labels = np.random.default_rng(3).random(3000) < 0.5
    found = auc(classify(data(0), labels[:1500], data(1)), labels[1500:])  # type: ignore[operator]
    assert abs(found - 0.5) < 0.06


def test_logits_of_the_linear_one_solve_its_equations() -> None:
    x = np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0]])
    labels = np.array([True, False, False, True, True, False])
    logits = logistic_regression(x, labels, np.array([[0.0], [1.0]]), penalty=1e-9)
    assert logits == pytest.approx([np.log(1 / 2), np.log(2)], abs=1e-4)


def test_columns_that_do_not_vary_do_no_harm() -> None:
    x = np.column_stack([data(0)[:, 0], np.ones(1500)])
    for classify in (logistic_regression, boosted_trees):
        assert np.isfinite(classify(x, x[:, 0] > 0, x)).all()
