"""Selection metrics on five policies worked out by hand."""

import json

import numpy as np
import pytest

from recgym.ope import policy_selection, regret_at_k, sharpe_ratio_at_k

TRUE = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
ESTIMATE = np.array([1.5, 4.5, 2.5, 5.0, 3.0])


def test_by_hand() -> None:
    found = policy_selection(TRUE, ESTIMATE, logging_value=2.5)
    assert found.mse == pytest.approx((0.25 + 6.25 + 0.25 + 1 + 4) / 5)
    assert found.spearman == pytest.approx(0.5)
    assert found.regret == (1.0, 1.0, 0.0, 0.0, 0.0)
    # Below the threshold are 1 and 2, of which 2 is accepted; at or above it 3, 4 and 5, all of them accepted.
    assert (found.type_1, found.type_2) == (0.5, 0.0)
    strict = policy_selection(TRUE, ESTIMATE, logging_value=2.5, threshold=3.0)
    assert strict.type_1 == 0.5
    assert strict.type_2 == pytest.approx(1 / 3)
    assert found.sharpe[0] == pytest.approx((4 - 2.5) / 1.0)
    assert found.sharpe[1] == pytest.approx((5 - 2.5) / np.std([4.0, 2.0, 5.0]))
    json.dumps(found.to_json(), allow_nan=False)


def test_perfect_estimates() -> None:
    found = policy_selection(TRUE, TRUE, logging_value=2.5)
    assert found.spearman == pytest.approx(1.0)
    assert (found.mse, set(found.regret), found.type_1, found.type_2) == (0.0, {0.0}, 0.0, 0.0)


def test_none_to_accept_or_refuse() -> None:
    found = policy_selection(TRUE, ESTIMATE, logging_value=9.0).to_json()
    assert found["type_2"] is None
    assert np.isnan(sharpe_ratio_at_k(np.ones(3), np.arange(3.0), 2, 0.0))


@pytest.mark.parametrize("k", [0, 6])
def test_k_out_of_range(k: int) -> None:
    with pytest.raises(ValueError, match=r"k must be in 1\.\.5"):
        regret_at_k(TRUE, ESTIMATE, k)
    with pytest.raises(ValueError, match="needs k of at least 2"):
        sharpe_ratio_at_k(TRUE, ESTIMATE, 1, 0.0)
