"""The contract of the worlds of bandits."""

from typing import Any

import numpy as np
import pytest

from recgym.data.replay import ReplayRounds
from recgym.simulators.bandit_cascade import CascadeBandit, CascadeBanditConfig
from recgym.simulators.bandit_clustered import ClusteredBandit
from recgym.simulators.bandit_contextual import ContextualBandit, ContextualBanditConfig
from recgym.simulators.bandit_replay import LogReplay
from recgym.testing import check_user_model


def rounds(n: int = 40) -> ReplayRounds:
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 6, (n, 1))
    reward = (rng.random((n, 1)) < 0.4).astype(np.float32)
    return ReplayRounds(rng.standard_normal((n, 3)).astype(np.float32), shown, reward, np.full(n, 1 / 6), None, 6)


@pytest.mark.parametrize(
    "model",
    [
        ContextualBandit(ContextualBanditConfig(6, 3)),
        ContextualBandit(ContextualBanditConfig(6, 3, drift=0.1, change=0.05, seed=1)),
        ClusteredBandit(),
        CascadeBandit(CascadeBanditConfig(8, 0.0, 1.0)),
        LogReplay(rounds()),
        LogReplay(rounds(), bootstrap=True),
    ],
    ids=["contextual", "drifting", "clustered", "cascade", "replay", "bootstrap"],
)
def test_contract(model: Any) -> None:
    check_user_model(model)
