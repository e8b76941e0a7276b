"""Bandits: learners of one arm, or of one slate of arms, a round, for R replications and U users at once.

A bandit is a frozen config with four methods, see :class:`Bandit`::

    from recgym.agents.bandits import BanditSpec, Context, LinUCB, act

    bandit = LinUCB(alpha=1.0)
    state = bandit.init_state(BanditSpec(arms=20, width=10, replications=50))
    choice = act(bandit, state, Context(features), generator)   # arms [R, U] and their propensities
    state = bandit.update(state, Context(features), choice.action, reward)

Which one: :class:`LinUCB` or :class:`LinTS` where users have features, :class:`SharedLinUCB` where arms have them too
and come and go, :class:`BernoulliTS` where there are none; :class:`TVUCB` where tastes drift at an unknown rate;
:class:`CascadeUCB` for lists. :class:`BanditPolicy` lets any of them serve and learn on an environment.
"""

from recgym.agents.bandits.adversarial import EXP3, EXP4, Advice
from recgym.agents.bandits.base import Bandit, BanditSpec, Certain, Choice, Context, SlateBandit, act, act_slate
from recgym.agents.bandits.counting import KLUCB, MOSS, UCB1, BernoulliTS, EpsilonGreedy, GaussianTS
from recgym.agents.bandits.dependent import ClusterTS, Taxonomy, TreeTS, TreeUCB
from recgym.agents.bandits.drifting import DiscountedLinUCB, DiscountedUCB, SlidingLinUCB, SlidingWindowUCB
from recgym.agents.bandits.gaussian_process import GPUCB
from recgym.agents.bandits.linear import HybridLinUCB, LinTS, LinUCB, SharedLinTS, SharedLinUCB
from recgym.agents.bandits.logistic import LogisticTS
from recgym.agents.bandits.neural import NetworkConfig, NeuralBootstrap, NeuralLinear
from recgym.agents.bandits.policy import BanditPolicy
from recgym.agents.bandits.replay import Replayed, replay
from recgym.agents.bandits.slates import CascadeTS, CascadeUCB, RankedBandit, TopKLinUCB
from recgym.agents.bandits.time_varying import TVTP, TVUCB, DriftPrior

__all__ = [
    "Bandit", "SlateBandit", "BanditSpec", "Certain", "Context", "Choice", "act", "act_slate",
    "EpsilonGreedy", "UCB1", "KLUCB", "MOSS", "BernoulliTS", "GaussianTS",
    "EXP3", "EXP4", "Advice",
    "LinUCB", "SharedLinUCB", "HybridLinUCB", "LinTS", "SharedLinTS", "LogisticTS",
    "NetworkConfig", "NeuralLinear", "NeuralBootstrap", "GPUCB",
    "SlidingWindowUCB", "DiscountedUCB", "SlidingLinUCB", "DiscountedLinUCB", "DriftPrior", "TVUCB", "TVTP",
    "ClusterTS", "Taxonomy", "TreeUCB", "TreeTS",
    "BanditPolicy", "Replayed", "replay",
    "RankedBandit", "CascadeUCB", "CascadeTS", "TopKLinUCB",
]  # fmt: skip
