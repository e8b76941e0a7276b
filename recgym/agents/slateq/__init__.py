"""SlateQ: slates of items for users who pick at most one of them, judged item by item."""

from recgym.agents.slateq.config import Learning, NullItem, SlateQConfig
from recgym.agents.slateq.learner import SlateQ
from recgym.agents.slateq.policy import SlateQPolicy
from recgym.agents.slateq.slates import Optimiser

__all__ = ["SlateQ", "SlateQConfig", "SlateQPolicy", "Learning", "NullItem", "Optimiser"]
