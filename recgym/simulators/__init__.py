"""Simulated users, hand-made and learned, behind one face."""

from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import (
    ExponentialCascade,
    MultinomialLogit,
    MultinomialProportional,
    ProportionalCascade,
)
from recgym.simulators.interest_evolution import InterestEvolution, InterestEvolutionConfig
from recgym.simulators.interest_exploration import InterestExploration, InterestExplorationConfig
from recgym.simulators.long_term_satisfaction import LongTermSatisfaction, LongTermSatisfactionConfig
from recgym.simulators.organic import OrganicUsers, Visit
from recgym.simulators.organic_bandit import OrganicBandit, OrganicBanditConfig
from recgym.simulators.retention import Retention, RetentionConfig
from recgym.simulators.short_video import ShortVideo, ShortVideoConfig
from recgym.simulators.uncertain import UncertainUsers

__all__ = [
    "UserModel", "Observed", "OrganicUsers", "Visit", "UncertainUsers",
    "LongTermSatisfaction", "LongTermSatisfactionConfig", "InterestEvolution", "InterestEvolutionConfig",
    "ShortVideo", "ShortVideoConfig", "Retention", "RetentionConfig",
    "InterestExploration", "InterestExplorationConfig", "OrganicBandit", "OrganicBanditConfig",
    "MultinomialProportional", "MultinomialLogit", "ExponentialCascade", "ProportionalCascade",
]  # fmt: skip
