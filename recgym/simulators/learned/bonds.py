"""How the answers to one item go together beyond what the network knows: a Gaussian copula over the channels.

Given the state, each channel has its law; it is drawn from a place between 0 and 1, by the inverse of its distribution
function. Places drawn independently would let a user watch a video to its end and not count it as a long view. So they
are the normal distribution function of correlated normal scores: every channel keeps its law and its expectation.

The correlations are those with which answers drawn for the rows of the log go together as the logged ones do. Places
of answers that are 0 or 1 are known within a range only and are drawn within it, in both alike.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from recgym.arrays import normal
from recgym.simulators.learned.channels import ResponsePlan
from recgym.types import Generator

__all__ = ["bond_factor", "correlated_places", "fit_bonds"]

_FEWEST, _MOST_ROWS = 200, 20_000
_ROUNDS, _STRONGEST = 12, 0.97
_EDGE = 1e-6


def bond_factor(plan: ResponsePlan, bonds: Float32[Tensor, "F F"]) -> Float32[Tensor, "F F"] | None:
    """Cholesky factor of the correlations between channels, on the CPU; None if no two of them may be bound."""
    return torch.linalg.cholesky(bonds.cpu()) if _pairs(plan).any() else None


def correlated_places(
    factor: Float32[Tensor, "F F"] | Float32[Tensor, "B F F"], shape: tuple[int, ...], generator: Generator
) -> Float32[Tensor, "*rows F"]:
    """Draw where in its law the answer of each channel lies.

    Args:
        factor: see :func:`bond_factor`; one for all, or one for each along the first axis of the rows.
        shape: of the rows, ``[B, K]`` if each has a factor of its own.
        generator: source of the draws.
    """
    places: Tensor = torch.special.ndtr(normal(generator, (*shape, factor.shape[-1])) @ factor.mT)
    return places


@torch.no_grad()
def fit_bonds(
    plan: ResponsePlan,
    parameters: Float32[Tensor, "R W"],
    labels: Float32[Tensor, "R F"],
    observed: Bool[Tensor, "R F"],
    lengths: Float32[Tensor, "R"],
    generator: torch.Generator,
) -> Float32[Tensor, "F F"]:
    """Correlations of the normal scores of all channels.

    Those of the gate and of channels that exclude each other are 0, as their chances are multiplied; so are those of
    pairs that hardly occur together. Found by moving each towards where answers drawn with them show the correlation
    that the logged ones show.

    Args:
        plan: the heads.
        parameters: of rows of a log, of items by themselves.
        labels: feedback.
        observed: where it was observed.
        lengths: of the items in seconds.
        generator: source of draws.
    """
    channels = len(plan.schema)
    use = plan.modelled(labels, observed)
    rows = torch.nonzero((use & _free(plan)).sum(1) > 1)[:, 0]
    rows = rows[torch.randperm(rows.shape[0], generator=generator)[:_MOST_ROWS]]
    parameters, labels, observed = parameters[rows], labels[rows], observed[rows]
    lengths, use = lengths[rows], use[rows]
    wanted = _correlations(plan, parameters, labels, use, lengths, generator)
    open_ = _pairs(plan) & ((use.double().T @ use.double()).numpy() >= _FEWEST)
    bonds = np.eye(channels)
    if not open_.any():
        return torch.eye(channels)
    for number in range(_ROUNDS):
        places = correlated_places(_factor(bonds), (rows.shape[0],), generator)
        drawn = torch.stack(plan.values_at(parameters, places, lengths), -1)
        found = _correlations(plan, parameters, drawn, use, lengths, generator)
        step = 1.5 if number < _ROUNDS // 2 else 0.5
        bonds = np.where(open_, np.clip(bonds + step * (wanted - found), -_STRONGEST, _STRONGEST), np.eye(channels))
    factor = _factor(bonds)
    return factor @ factor.T


def _free(plan: ResponsePlan) -> Bool[Tensor, "F"]:
    """Channels that may be bound to others: all but the gate, and those that leave nothing to draw."""
    free = torch.tensor([head.width > 0 for head in plan.heads])
    if plan.gate is not None or plan.together:
        free[plan.primary] = False
    return free


def _pairs(plan: ResponsePlan) -> Bool[np.ndarray, "F F"]:
    """Pairs of channels that may be bound."""
    free = _free(plan).numpy()
    pairs: np.ndarray = free[:, None] & free & ~np.eye(free.size, dtype=bool)
    for channel, earlier in enumerate(plan.excluded_by):
        for other in earlier:
            pairs[channel, other] = pairs[other, channel] = False
    return pairs


def _correlations(
    plan: ResponsePlan, parameters: Tensor, values: Tensor, use: Tensor, lengths: Tensor, generator: torch.Generator
) -> Float64[np.ndarray, "F F"]:
    """Mean products of the normal scores of values, over the rows in which both channels are to be explained."""
    places = plan.places_of(parameters, values, lengths, generator).clamp(_EDGE, 1 - _EDGE)
    scores = torch.where(use, torch.special.ndtri(places.double()), 0.0)
    both = (use.double().T @ use.double()).clamp(min=1.0)
    means: np.ndarray = (scores.T @ scores / both).numpy()
    return means


def _factor(bonds: Float64[np.ndarray, "F F"]) -> Float32[Tensor, "F F"]:
    """Cholesky factor of the correlations, weakened as far as it takes for them to be possible together."""
    least = float(np.linalg.eigvalsh(bonds)[0])
    weaker = min(1.0, (1 - 1e-3) / (1 - least)) if least < 1e-3 else 1.0
    return torch.from_numpy(np.linalg.cholesky(np.eye(len(bonds)) + weaker * (bonds - np.eye(len(bonds))))).float()
