"""Estimators that have a name of their own in the literature, as combinations of an estimator and its weights."""

import math

from jaxtyping import Float64
from numpy import ndarray

from recgym.ope.doubly_robust import DR
from recgym.ope.importance import IPW, SNIPW
from recgym.ope.slate import SlateIPS, joint_weights, position_weights, prefix_weights
from recgym.ope.weights import Clipped, Marginalised, Shrunk, SubGaussian, Switched, classified

__all__ = [
    "balanced_ipw", "dros", "iips", "mips", "rips", "sips", "sn_mips", "sub_gaussian_dr", "sub_gaussian_ipw",
    "switch_dr",
]  # fmt: skip


def switch_dr(threshold: float) -> DR:
    """Switch-DR: the model alone where the weight is above the threshold (Wang et al., 2017)."""
    return DR(Switched(threshold), f"Switch-DR {threshold:g}")


def dros(strength: float) -> DR:
    """DRos: DR with weights ``lambda w / (w^2 + lambda)`` (Su et al., 2020)."""
    return DR(Shrunk(strength), f"DRos {strength:g}")


def sub_gaussian_ipw(strength: float) -> IPW:
    """IPW with weights ``w / (1 - lambda + lambda w)`` (Metelli et al., 2021)."""
    return IPW(SubGaussian(strength), f"SG-IPW {strength:g}")


def sub_gaussian_dr(strength: float) -> DR:
    """DR with weights ``w / (1 - lambda + lambda w)`` (Metelli et al., 2021)."""
    return DR(SubGaussian(strength), f"SG-DR {strength:g}")


def balanced_ipw(limit: float = math.inf) -> SNIPW:
    """Balanced IPW: self-normalised weights of a classifier (Sondhi et al., 2020).

    Args:
        limit: largest weight.
    """
    return SNIPW(Clipped(limit, classified), "B-IPW")


def mips(shares: Float64[ndarray, "A E"]) -> IPW:
    """MIPS: weights of the categories of actions (Saito and Joachims, 2022).

    Args:
        shares: probability of each category given the action, known or counted by
            :func:`~recgym.ope.weights.embedding_shares`.
    """
    return IPW(Marginalised(shares), "MIPS")


def sn_mips(shares: Float64[ndarray, "A E"]) -> SNIPW:
    """MIPS, self-normalised; arguments as for :func:`mips`."""
    return SNIPW(Marginalised(shares), "SN-MIPS")


def sips(normalised: bool = False) -> SlateIPS:
    """SIPS: slates weighed as a whole; divided by the mean weight if normalised."""
    return SlateIPS(joint_weights, normalised, "SN-SIPS" if normalised else "SIPS")


def iips(normalised: bool = False) -> SlateIPS:
    """IIPS: each position weighed alone (Li et al., 2018); divided by its mean weight if normalised."""
    return SlateIPS(position_weights, normalised, "SN-IIPS" if normalised else "IIPS")


def rips(normalised: bool = False) -> SlateIPS:
    """RIPS: each position weighed with those above it (McInerney et al., 2020); by its mean weight if normalised."""
    return SlateIPS(prefix_weights, normalised, "SN-RIPS" if normalised else "RIPS")
