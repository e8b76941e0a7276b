"""Users learned from a log: fit a response and leave model, save it, and let it behave as a user model."""

from recgym.simulators.learned.adversarial import AdversarialConfig, AdversarialRound, refine_adversarially
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.fit import fit
from recgym.simulators.learned.fitted import FitReport, FittedSimulator, record_gate
from recgym.simulators.learned.newcomers import BlendedUsers, FreshUsers, LoggedUsers, Newcomers
from recgym.simulators.learned.predict import Predictions, predict
from recgym.simulators.learned.scorer import ObservableScorer
from recgym.simulators.learned.set_fit import SetConfig, fit_set
from recgym.simulators.learned.simulator_set import SimulatorSet
from recgym.simulators.learned.user_state import LearnedState
from recgym.simulators.learned.users import LearnedUsers

__all__ = [
    "LearnedConfig", "fit",
    "AdversarialConfig", "AdversarialRound", "refine_adversarially",
    "FitReport", "FittedSimulator", "record_gate",
    "LearnedState", "LearnedUsers", "ObservableScorer",
    "SetConfig", "SimulatorSet", "fit_set",
    "BlendedUsers", "FreshUsers", "LoggedUsers", "Newcomers",
    "Predictions", "predict",
]  # fmt: skip
