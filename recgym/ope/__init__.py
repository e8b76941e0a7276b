"""Off-policy evaluation: what a policy would have earned, from a log of another one.

Three steps: rounds with propensities and the target policy's probabilities (:class:`LoggedRounds`), estimators, and
one call that gives values, intervals and warnings::

    from recgym.ope import DR, IPW, SNIPW, LoggedRounds, evaluate

    for result in evaluate(LoggedRounds(action, reward, propensity, target, q=q), (IPW(), SNIPW(), DR())):
        print(result.estimator, result.interval, *result.diagnostics.warnings)

Which estimator: :class:`SNIPW` without a model; :class:`DR` with one, cross-fitted (:func:`cross_fitted`); where
weights are large, :func:`dros` tuned by :class:`Slope`; where there are thousands of actions in few categories,
:func:`mips`. What none can mend is a log that never takes the target policy's actions: the diagnostics say so.
"""

from recgym.ope.base import Estimator, Fraction, LoggedRounds, Rerun, Trajectories, Weighted, take, value_of
from recgym.ope.catalogue import (
    balanced_ipw,
    dros,
    iips,
    mips,
    rips,
    sips,
    sn_mips,
    sub_gaussian_dr,
    sub_gaussian_ipw,
    switch_dr,
)
from recgym.ope.continuous import (
    ContinuousRounds,
    KernelDR,
    KernelIPW,
    KernelSNIPW,
    cosine,
    epanechnikov,
    gaussian,
    triangular,
)
from recgym.ope.diagnostics import Diagnostics, diagnose, weight_diagnostics
from recgym.ope.dice import fitted_dice
from recgym.ope.direct import DM
from recgym.ope.distributional import ReturnDistribution, return_distribution
from recgym.ope.doubly_robust import DR, SNDR, SwitchIPW
from recgym.ope.evaluate import OPEResult, evaluate
from recgym.ope.fitted_q import FittedQ, fitted_q
from recgym.ope.importance import IPW, SNIPW, Replay
from recgym.ope.intervals import (
    Bootstrap,
    EmpiricalBernstein,
    EmpiricalLikelihood,
    Hoeffding,
    IntervalMethod,
    StudentT,
)
from recgym.ope.logged import by_episode, log_likelihoods, log_ratios, rounds_of, trajectories_of, with_behaviour
from recgym.ope.loggers import WeightedLoggers
from recgym.ope.magic import MAGIC
from recgym.ope.marginal import DICE, DRL, MIS, minimax_weights, state_ratios, weighted_value
from recgym.ope.models import Logistic, Regressor, Ridge, classifier_weights, cross_fitted
from recgym.ope.open_bandit import bts_distribution, open_bandit_rounds
from recgym.ope.resampling import resample
from recgym.ope.selection import Selection, policy_selection, regret_at_k, sharpe_ratio_at_k
from recgym.ope.sequential import NCIS, PDIS, SNPDIS, TIS, WDR, WIS, TrajectoryDM, TrajectoryDR
from recgym.ope.slate import (
    CascadeDR,
    LoggedSlates,
    PseudoInverse,
    SlateIPS,
    independent_slot_weights,
    joint_weights,
    position_weights,
    prefix_weights,
    pseudo_inverse_weights,
    slate_moments,
)
from recgym.ope.tuning import MseBound, Slope, Tuned
from recgym.ope.weights import (
    Clipped,
    Marginalised,
    Shrunk,
    SubGaussian,
    Switched,
    Weights,
    average_importance,
    classified,
    embedding_shares,
    importance,
)

__all__ = [
    "ContinuousRounds", "LoggedRounds", "LoggedSlates", "Trajectories", "bts_distribution", "open_bandit_rounds",
    "take",
    "Estimator", "Fraction", "Rerun", "Weighted", "value_of",
    "DM", "DR", "IPW", "SNDR", "SNIPW", "Replay", "SwitchIPW", "WeightedLoggers",
    "balanced_ipw", "dros", "mips", "sn_mips", "sub_gaussian_dr", "sub_gaussian_ipw", "switch_dr",
    "Clipped", "Marginalised", "Shrunk", "SubGaussian", "Switched", "Weights",
    "average_importance", "classified", "embedding_shares", "importance",
    "KernelDR", "KernelIPW", "KernelSNIPW", "cosine", "epanechnikov", "gaussian", "triangular",
    "CascadeDR", "PseudoInverse", "SlateIPS", "iips", "rips", "sips",
    "independent_slot_weights", "joint_weights", "position_weights", "prefix_weights", "pseudo_inverse_weights",
    "slate_moments",
    "DICE", "DRL", "MAGIC", "MIS", "NCIS", "PDIS", "SNPDIS", "TIS", "WDR", "WIS", "TrajectoryDM",
    "TrajectoryDR", "fitted_dice", "minimax_weights", "state_ratios", "weighted_value",
    "ReturnDistribution", "return_distribution",
    "by_episode", "log_likelihoods", "log_ratios", "rounds_of", "trajectories_of", "with_behaviour", "FittedQ",
    "fitted_q",
    "MseBound", "Slope", "Tuned",
    "Logistic", "Regressor", "Ridge", "classifier_weights", "cross_fitted",
    "Diagnostics", "OPEResult", "diagnose", "evaluate", "weight_diagnostics",
    "Bootstrap", "EmpiricalBernstein", "EmpiricalLikelihood", "Hoeffding", "IntervalMethod", "StudentT", "resample",
    "Selection", "policy_selection", "regret_at_k", "sharpe_ratio_at_k",
]  # fmt: skip
