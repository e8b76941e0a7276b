"""d3rlpy's algorithms on our transitions, our encoders in its networks; needs the extra ``recgym[offline]``."""

import importlib
import warnings

try:
    with warnings.catch_warnings():  # gym, which d3rlpy imports, is no longer maintained
        warnings.simplefilter("ignore")
        importlib.import_module("d3rlpy")
except ModuleNotFoundError as error:
    message = "recgym.agents.d3rlpy needs d3rlpy; pip install 'recgym[offline]' installs it"
    raise ModuleNotFoundError(message, name="d3rlpy") from error

from recgym.agents.d3rlpy.configs import (
    D3RLPY_CONFIGS,
    BCConfig,
    CQLConfig,
    D3RLPyConfig,
    DecisionTransformerConfig,
    DiscreteBCConfig,
    DiscreteBCQConfig,
    DiscreteCQLConfig,
    DiscreteDecisionTransformerConfig,
    IQLConfig,
    ReBRACConfig,
    TD3PlusBCConfig,
)
from recgym.agents.d3rlpy.encoders import HistoryEncoderFactory, flat_histories, log_histories
from recgym.agents.d3rlpy.fqe import FQEValue, fitted_q_evaluation
from recgym.agents.d3rlpy.learner import D3RLPyLearner
from recgym.agents.d3rlpy.policies import PreferenceNetwork, PromptedPolicy, ValueNetwork
from recgym.agents.d3rlpy.states import FlatHistories, HistorySummary

__all__ = [
    "D3RLPyLearner", "D3RLPyConfig", "D3RLPY_CONFIGS",
    "DiscreteBCConfig", "DiscreteCQLConfig", "DiscreteBCQConfig", "DiscreteDecisionTransformerConfig",
    "BCConfig", "IQLConfig", "TD3PlusBCConfig", "CQLConfig", "ReBRACConfig", "DecisionTransformerConfig",
    "ValueNetwork", "PreferenceNetwork", "PromptedPolicy",
    "fitted_q_evaluation", "FQEValue",
    "HistorySummary", "FlatHistories",
    "HistoryEncoderFactory", "flat_histories", "log_histories",
]  # fmt: skip
