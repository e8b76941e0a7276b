"""Decision transformers: agents that learn from a log what actions led to which returns, and are asked for one."""

from recgym.agents.decision_transformer.dt import DT, DTConfig
from recgym.agents.decision_transformer.dt4ier import DT4IER, DT4IERConfig
from recgym.agents.decision_transformer.learning import OptimiserConfig
from recgym.agents.decision_transformer.network import CoreConfig, SequenceNetwork
from recgym.agents.decision_transformer.policy import DecisionState, DecisionTransformerPolicy
from recgym.agents.decision_transformer.returns import FeedbackAndReturns, OneSum, TaskReturn
from recgym.agents.decision_transformer.tokens import Buckets, Linear

__all__ = [
    "DT", "DTConfig", "DT4IER", "DT4IERConfig",
    "TaskReturn", "FeedbackAndReturns", "OneSum",
    "CoreConfig", "OptimiserConfig", "Linear", "Buckets",
    "DecisionTransformerPolicy", "DecisionState", "SequenceNetwork",
]  # fmt: skip
