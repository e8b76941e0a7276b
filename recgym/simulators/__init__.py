"""Simulated users, hand-made and learned, behind one face."""

from recgym.simulators.bandit_cascade import CascadeBandit, CascadeBanditConfig
from recgym.simulators.bandit_clustered import ClusteredBandit, ClusteredBanditConfig
from recgym.simulators.bandit_contextual import ContextualBandit, ContextualBanditConfig
from recgym.simulators.bandit_replay import LogReplay
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
    "ContextualBandit", "ContextualBanditConfig", "ClusteredBandit", "ClusteredBanditConfig",
    "CascadeBandit", "CascadeBanditConfig", "LogReplay",
    "InterestExploration", "InterestExplorationConfig", "OrganicBandit", "OrganicBanditConfig",
    "MultinomialProportional", "MultinomialLogit", "ExponentialCascade", "ProportionalCascade",
]  # fmt: skip
