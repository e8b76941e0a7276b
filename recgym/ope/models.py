"""Models that estimators lean on, always fitted on other rounds than those they are used in (cross-fitting).

Any model with ``fit(x, y)`` and ``predict(x)`` serves (scikit-learn's regressors have this form); two of our own need
no other package.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64
from scipy import optimize
from scipy.special import expit

from recgym.ope.base import LoggedRounds

__all__ = ["Logistic", "Regressor", "Ridge", "classifier_weights", "cross_fitted", "with_model"]


@runtime_checkable
class Regressor(Protocol):
    """A model of a number, or of the probability of a one."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Any:
        """Learn from features ``[n, d]`` and outcomes ``[n]``."""
        ...

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Expected outcome, ``[n]``."""
        ...


@dataclass
class Ridge:
    """Least squares with a penalty: ``min |y - b - X w|^2 + penalty |w|^2``; the intercept b is free.

    Attributes:
        penalty: in units of rounds, for features of unit size.
    """

    penalty: float = 1.0

    def fit(self, x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "n"]) -> None:
        """In closed form."""
        self._centre, self._mean = x.mean(0), float(y.mean())
        spread = x - self._centre
        normal = spread.T @ spread + self.penalty * np.eye(x.shape[1])
        self._weights = np.linalg.lstsq(normal, spread.T @ (y - self._mean), rcond=None)[0]

    def predict(self, x: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "m"]:
        """Expected outcome."""
        predicted: np.ndarray = (x - self._centre) @ self._weights + self._mean
        return predicted


@dataclass
class Logistic:
    """Logistic regression: ``min sum_i log(1 + exp(-s_i (b + x_i w))) + penalty / 2 |w|^2``, s the sign of the outcome.

    Attributes:
        penalty: of the weights; the intercept is free but for a trace that keeps it finite.
    """

    penalty: float = 1.0

    def fit(self, x: Float64[np.ndarray, "n d"], y: Float64[np.ndarray, "n"]) -> None:
        """By L-BFGS.

        Raises:
            ValueError: an outcome is outside [0, 1].
        """
        if ((y < 0) | (y > 1)).any():
            raise ValueError(f"logistic regression needs outcomes in [0, 1], found {y.min():g} to {y.max():g}")
        padded = np.concatenate([x, np.ones((len(x), 1))], 1)
        penalty = np.append(np.full(x.shape[1], self.penalty), 1e-6)

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            score = padded @ weights
            value = np.logaddexp(0, score).sum() - y @ score + 0.5 * (penalty * weights**2).sum()
            return float(value), padded.T @ (expit(score) - y) + penalty * weights

        self._weights = optimize.minimize(loss, np.zeros(padded.shape[1]), jac=True, method="L-BFGS-B").x

    def predict(self, x: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "m"]:
        """Probability of a one."""
        probability: np.ndarray = expit(x @ self._weights[:-1] + self._weights[-1])
        return probability


def cross_fitted(
    context: Float64[np.ndarray, "n d"],
    action: Int64[np.ndarray, "n"],
    reward: Float64[np.ndarray, "n"],
    actions: int,
    generator: np.random.Generator,
    model: Callable[[], Regressor] = Ridge,
    folds: int = 3,
    action_features: Float64[np.ndarray, "A f"] | None = None,
    cluster: Int64[np.ndarray, "n"] | None = None,
) -> Float64[np.ndarray, "n A"]:
    """Expected reward of every action in every round, by models that did not see the round.

    Without features of actions each action gets a model of its own (and the mean reward where it was never taken in
    the other folds); with them one model sees the context, the features and their products.

    Args:
        context: features of each round.
        action: taken.
        reward: that followed.
        actions: how many there are.
        generator: of the split.
        model: makes a model.
        folds: parts; each is predicted by models of the others.
        action_features: of each action.
        cluster: rows of one number stay in one part.

    Raises:
        ValueError: there are fewer rows (or clusters) than folds, or fewer than 2 folds.
    """
    q = np.empty((len(action), actions))
    for fit, use in _folds(len(action), folds, generator, cluster):
        if action_features is None:
            q[use] = _by_action(context, action, reward, actions, model, fit, use)
        else:
            fitted = model()
            fitted.fit(_crossed(context[fit], action_features[action[fit]]), reward[fit])
            for chosen, features in enumerate(action_features):
                q[use, chosen] = fitted.predict(
                    _crossed(context[use], np.broadcast_to(features, (len(use), features.size)))
                )
    return q


def with_model(data: LoggedRounds, context: Float64[np.ndarray, "n d"], generator: np.random.Generator) -> LoggedRounds:
    """The rounds with a cross-fitted ridge model of their rewards, for DM and the doubly robust estimators."""
    return replace(data, q=cross_fitted(context, data.action, data.reward, data.target.shape[1], generator))


def classifier_weights(
    context: Float64[np.ndarray, "n d"],
    action: Int64[np.ndarray, "n"],
    target: Float64[np.ndarray, "n A"],
    generator: np.random.Generator,
    model: Callable[[], Regressor] = Logistic,
    folds: int = 3,
    action_features: Float64[np.ndarray, "A f"] | None = None,
) -> Float64[np.ndarray, "n"]:
    """Importance weights without propensities: the odds that a classifier gives to "this is the target's action".

    Each context appears twice, with the logged action (label 0) and with one drawn from the target policy (label 1);
    the odds ``p / (1 - p)`` of the logged pair estimate its importance weight (Sondhi et al., 2020). Cross-fitted.

    Args:
        context: features of each round.
        action: taken.
        target: probability of every action under the target policy.
        generator: of the split and the target's actions.
        model: makes a classifier; ``predict`` is the probability of label 1.
        folds: parts.
        action_features: of each action; one column an action if None.
    """
    features = np.eye(target.shape[1]) if action_features is None else action_features
    cumulative = np.cumsum(target, 1)
    drawn = (cumulative[:, :-1] <= generator.random(len(action))[:, None] * cumulative[:, -1:]).sum(1)
    logged, wanted = (_crossed(context, features[chosen]) for chosen in (action, drawn))
    ratio = np.empty(len(action))
    for fit, use in _folds(len(action), folds, generator, None):
        fitted = model()
        fitted.fit(np.concatenate([logged[fit], wanted[fit]]), np.repeat([0.0, 1.0], len(fit)))
        probability = np.clip(fitted.predict(logged[use]), 1e-9, 1 - 1e-9)
        ratio[use] = probability / (1 - probability)
    return ratio


def _by_action(
    context: np.ndarray, action: np.ndarray, reward: np.ndarray, actions: int, model: Callable[[], Regressor],
    fit: np.ndarray, use: np.ndarray,
) -> Float64[np.ndarray, "m A"]:  # fmt: skip
    q = np.full((len(use), actions), reward[fit].mean())
    order = fit[np.argsort(action[fit], kind="stable")]
    starts = np.searchsorted(action[order], np.arange(actions + 1))
    for chosen in np.flatnonzero(np.diff(starts)):
        rows = order[starts[chosen] : starts[chosen + 1]]
        fitted = model()
        fitted.fit(context[rows], reward[rows])
        q[:, chosen] = fitted.predict(context[use])
    return q


def _crossed(context: np.ndarray, features: np.ndarray) -> Float64[np.ndarray, "n w"]:
    products = (context[:, :, None] * features[:, None, :]).reshape(len(context), -1)
    return np.concatenate([context, features, products], 1)


def _folds(
    n: int, folds: int, generator: np.random.Generator, cluster: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit and rows to use, once a part."""
    names, member = (None, np.arange(n)) if cluster is None else np.unique(cluster, return_inverse=True)
    units = n if names is None else names.size
    if not 2 <= folds <= units:
        raise ValueError(f"cross-fitting needs 2 to {units} folds (rows or clusters), found {folds}")
    part = (generator.permutation(units) % folds)[member]
    for fold in range(folds):
        yield np.flatnonzero(part != fold), np.flatnonzero(part == fold)
