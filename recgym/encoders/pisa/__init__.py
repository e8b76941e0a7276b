"""PISA: a Transformer over sessions whose items count by their activation in ACT-R (arXiv 2408.16578)."""

from recgym.encoders.pisa.config import PISAConfig
from recgym.encoders.pisa.recommender import PISA
from recgym.encoders.pisa.sessions import SessionHistories, SessionTimes
from recgym.encoders.pisa.training import fit_pisa

__all__ = ["PISA", "PISAConfig", "SessionHistories", "SessionTimes", "fit_pisa"]
