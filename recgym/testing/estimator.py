"""The contract of :class:`recgym.ope.base.Estimator`."""

from typing import Any

import numpy as np

from recgym.ope.base import Estimator, Fraction, Rerun, Weighted, take, value_of
from recgym.testing.checks import assert_same, no_global_randomness

__all__ = ["check_estimator"]

_CLOSE = 1e-9


def check_estimator(estimator: Estimator[Any], data: Any, on_policy: Any = None) -> None:
    """Hold an estimator against its contract.

    ===================  ===========================================================================================
    fractions            one or more, each of one finite number a row, of a type with floating point
    determinism          the same twice; the inputs and global random state are left alone
    order                rows in another order have the same value
    copies               every row twice has the same value (not asked of a :class:`~recgym.ope.base.Rerun`, which
                         may choose otherwise when it has more data)
    resamples            drawing every row once gives the value; a row that is never drawn does not count, and one
                         that is drawn twice counts as two rows, so that a bootstrap means what it says
    weights              one finite number a row, if the estimator has weights
    on policy            the value is the mean of the rows' rewards, if on-policy data are given
    ===================  ===========================================================================================

    Args:
        estimator: the estimator.
        data: with ten rows or more, and all that the estimator needs.
        on_policy: data whose target policy is the logging policy, for estimators that weigh rewards without a model,
            or with one; ``reward`` of several columns is summed over them.

    Raises:
        AssertionError: a promise is broken; the sentence says which.
    """
    name = estimator.name
    fractions = _check_fractions(estimator, data)
    value = float(value_of(fractions)[0])
    assert np.isfinite(value), f"{name}: the value is {value}, a finite number was expected"
    generator = np.random.Generator(np.random.SFC64(0))
    shuffled = generator.permutation(data.n)
    _same(_value(estimator, take(data, shuffled)), value, f"{name}: rows in another order have another value")
    if not isinstance(estimator, Rerun):
        twice = np.repeat(np.arange(data.n), 2)
        _same(_value(estimator, take(data, twice)), value, f"{name}: every row twice has another value")
    _check_resamples(estimator, fractions, data, value, generator)
    if isinstance(estimator, Weighted):
        weights = estimator.weights(data)
        assert weights.shape == (data.n,), f"{name}: weights have shape {weights.shape}, expected {(data.n,)}"
        assert np.isfinite(weights).all(), f"{name}: weights are not finite"
    if on_policy is not None:
        reward = on_policy.reward if on_policy.reward.ndim == 1 else on_policy.reward.sum(1)
        _same(_value(estimator, on_policy), float(reward.mean()), f"{name}: on-policy data have not their mean reward")


def _value(estimator: Estimator[Any], data: Any) -> float:
    return float(value_of(estimator.fractions(data))[0])


def _check_fractions(estimator: Estimator[Any], data: Any) -> tuple[Fraction, ...]:
    name = estimator.name
    assert isinstance(name, str) and name, f"{type(estimator).__name__} has no name"  # noqa: PT018
    before = {key: np.copy(part) for key, part in vars(data).items() if isinstance(part, np.ndarray)}
    with no_global_randomness(f"{name}.fractions()"):
        fractions = estimator.fractions(data)
        again = estimator.fractions(data)
    after = {key: part for key, part in vars(data).items() if isinstance(part, np.ndarray)}
    assert_same(before, after, f"{name}.fractions() changes the data")
    assert_same(fractions, again, f"{name}.fractions() differs when called again")
    assert isinstance(fractions, tuple) and fractions, f"{name}.fractions() must be a tuple of at least one fraction"  # noqa: PT018
    for part in (part for fraction in fractions for part in fraction if part is not None):
        fits = part.shape == (data.n,) and part.dtype.kind == "f"
        assert fits, f"{name}: a part has shape {part.shape} and type {part.dtype}, expected {(data.n,)} numbers"
        assert np.isfinite(part).all(), f"{name}: a part is not finite"
    return fractions


def _check_resamples(
    estimator: Estimator[Any], fractions: tuple[Fraction, ...], data: Any, value: float, generator: np.random.Generator
) -> None:
    name = estimator.name
    drawn = np.sort(generator.integers(0, data.n, data.n))
    counts = np.stack([np.ones(data.n), np.bincount(drawn, minlength=data.n)]).astype(np.float64)
    found = estimator.rerun(data, counts) if isinstance(estimator, Rerun) else value_of(fractions, counts)
    assert found.shape == (2,), f"{name}: two resamples give values of shape {found.shape}"
    _same(float(found[0]), value, f"{name}: drawing every row once has another value")
    direct = _value(estimator, take(data, drawn))
    _same(float(found[1]), direct, f"{name}: a resample has another value than the rows that were drawn")


def _same(found: float, expected: float, sentence: str) -> None:
    close = np.isclose(found, expected, rtol=_CLOSE, atol=_CLOSE)
    assert close, f"{sentence}: {found:.12g}, expected {expected:.12g}"
