"""The contract of user models, for the hand-made ones that have no test file of their own."""

import pytest

from recgym.simulators import (
    InterestExploration,
    InterestExplorationConfig,
    OrganicBandit,
    OrganicBanditConfig,
    Retention,
    RetentionConfig,
    UserModel,
)
from recgym.testing import check_user_model


@pytest.mark.parametrize(
    "model",
    [
        Retention(RetentionConfig(num_items=80)),
        InterestExploration(InterestExplorationConfig(num_documents=80)),
        InterestExploration(InterestExplorationConfig.niche()),
        OrganicBandit(),
        OrganicBandit(OrganicBanditConfig(num_products=60, flips=10, bandit_to_organic=0.5)),
    ],
    ids=["retention", "exploration", "niche", "organic", "flipped"],
)
def test_contract(model: UserModel[object]) -> None:
    check_user_model(model)
