"""Slate estimators on small worlds in which every slate can be listed, so that their expectation is exact."""

from itertools import permutations, product

import numpy as np
import pytest

from recgym.ope import (
    CascadeDR,
    Estimator,
    LoggedSlates,
    PseudoInverse,
    iips,
    independent_slot_weights,
    pseudo_inverse_weights,
    rips,
    sips,
    slate_moments,
)

K, A = 3, 4
RNG = np.random.default_rng(0)
SLATES = np.array(list(product(range(A), repeat=K)))
PLACES = np.arange(K)
LAWS = RNG.dirichlet(np.ones(A) * 3, (2, K))
"""Logging and target policy that fill positions independently."""


def slates(reward: np.ndarray) -> tuple[LoggedSlates, np.ndarray]:
    """Every slate once, and how likely it is logged."""
    marginal, target = (law[PLACES, SLATES] for law in LAWS)
    prefix, prefix_target = np.cumprod(marginal, 1), np.cumprod(target, 1)
    linear = independent_slot_weights(marginal, target)
    return LoggedSlates(
        reward, prefix[:, -1], prefix_target[:, -1], marginal, target, prefix, prefix_target, linear=linear
    ), prefix[:, -1]


def expectation(estimator: Estimator[LoggedSlates], data: LoggedSlates, likely: np.ndarray) -> float:
    """Of the estimate over the logging policy."""
    return float((estimator.fractions(data)[0].numerator * likely).sum())


def truth(data: LoggedSlates) -> float:
    assert data.joint_target is not None
    return float((data.reward.sum(1) * data.joint_target).sum())


def rewards() -> dict[str, np.ndarray]:
    """What each reward depends on -> rewards of each slate."""
    own = RNG.random((K, A))[PLACES, SLATES]
    above = RNG.random((A, A, A))
    cascade = own.copy()
    cascade[:, 1] += above[SLATES[:, 0], SLATES[:, 1], 0]
    cascade[:, 2] += above[SLATES[:, 0], SLATES[:, 1], SLATES[:, 2]]
    return {"own": own, "above": cascade, "all": RNG.random((len(SLATES), K))}


REWARDS = rewards()


@pytest.mark.parametrize(
    ("estimator", "unbiased"),
    [
        (sips(), {"own", "above", "all"}), (rips(), {"own", "above"}), (iips(), {"own"}), (PseudoInverse(), {"own"}),
    ],
    ids=["SIPS", "RIPS", "IIPS", "PI"],
)  # fmt: skip
def test_unbiased_where_rewards_depend_on_no_more_than_assumed(
    estimator: Estimator[LoggedSlates], unbiased: set[str]
) -> None:
    for name, reward in REWARDS.items():
        data, likely = slates(reward)
        right = expectation(estimator, data, likely) == pytest.approx(truth(data), abs=1e-9)
        assert right == (name in unbiased), name


@pytest.mark.parametrize("quality", [0.0, 0.5, 1.0])
def test_the_cascade_is_unbiased_with_any_model_and_exact_with_the_true_one(quality: float) -> None:
    data, likely = slates(REWARDS["above"])
    # The true value of what is still to come, from the last position up.
    shape = (A,) * K
    reward = data.reward.reshape(*shape, K)
    q = [np.zeros(shape) for _ in range(K)]
    v = [np.zeros(shape) for _ in range(K)]
    after = np.zeros(shape)
    for k in reversed(range(K)):
        q[k] = reward[..., k] + after
        axes = tuple(-1 if axis == k else 1 for axis in range(K))
        v[k] = np.broadcast_to((q[k] * LAWS[1][k].reshape(axes)).sum(k, keepdims=True), shape)
        after = v[k]
    taken, expected = (np.stack([part.reshape(-1) for part in parts], 1) * quality for parts in (q, v))
    model = LoggedSlates(
        data.reward, prefix=data.prefix, prefix_target=data.prefix_target, q_taken=taken, q_target=expected
    )
    each = CascadeDR().fractions(model)[0].numerator
    assert (each * likely).sum() == pytest.approx(truth(data), abs=1e-9)
    if quality == 1.0:
        assert each == pytest.approx(np.full(len(each), truth(data)), abs=1e-9)


def test_pseudo_inverse_weights_of_independent_slots_are_their_closed_form() -> None:
    data, likely = slates(REWARDS["own"])
    moments = slate_moments(SLATES, likely, A)
    target = np.broadcast_to(LAWS[1], (len(SLATES), K, A))
    assert pseudo_inverse_weights(SLATES, target, moments) == pytest.approx(data.linear, abs=1e-8)


def test_pseudo_inverse_without_replacement() -> None:
    ordered = np.array(list(permutations(range(A), K)))
    logging = RNG.dirichlet(np.ones(len(ordered)) * 5)
    aim = RNG.dirichlet(np.ones(len(ordered)))
    marginal = np.zeros((K, A))
    for k in range(K):
        marginal[k] = np.bincount(ordered[:, k], weights=aim, minlength=A)
    weight = pseudo_inverse_weights(
        ordered, np.broadcast_to(marginal, (len(ordered), K, A)), slate_moments(ordered, logging, A)
    )
    reward = RNG.random((K, A))[PLACES, ordered]
    data = LoggedSlates(reward, linear=weight)
    found = float((PseudoInverse().fractions(data)[0].numerator * logging).sum())
    assert found == pytest.approx(float((reward.sum(1) * aim).sum()), abs=1e-8)


def test_bad_slates() -> None:
    with pytest.raises(ValueError, match="needs 'marginal_target'"):
        iips().fractions(LoggedSlates(np.zeros((2, K)), marginal=np.ones((2, K))))
    with pytest.raises(ValueError, match="prefix must hold probabilities"):
        LoggedSlates(np.zeros((2, K)), prefix=np.zeros((2, K)))
    with pytest.raises(ValueError, match="reward must be finite"):
        LoggedSlates(np.full((2, K), np.nan))
