"""Calibration on behaviour that training never saw: temperature scaling with a bias, two numbers a logit.

Amounts that are a choice among cells get a bias a cell instead.

Source: Guo et al., On calibration of modern neural networks (arXiv 1706.04599); Platt scaling is the same with the
bias.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.simulators.learned.bonds import fit_bonds
from recgym.simulators.learned.cells import CellsHead
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.counts import POTENTIALS
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import explain, row_blocks
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels

__all__ = ["bind_channels", "calibrate", "calibrate_leaving", "calibrate_responses"]

_FEWEST = 30
_PRIOR_ROWS = 50.0
_MOST_EXPOSURES = 50_000


def calibrate(logits: Float32[np.ndarray, "n"], labels: Bool[np.ndarray, "n"]) -> tuple[float, float]:
    """Scale and shift of a logit that minimise the log-loss, by Newton's method with a weak pull towards (1, 0).

    Args:
        logits: uncalibrated logits.
        labels: what happened.

    Returns:
        ``(1, 0)`` if there are fewer than 30 labels of either kind.
    """
    positives = int(labels.sum())
    if min(positives, labels.size - positives) < _FEWEST:
        return 1.0, 0.0
    design = np.stack([logits.astype(np.float64), np.ones(logits.size)], 1)
    start = np.array([1.0, 0.0])
    weights, pull = start.copy(), 1.0
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -40, 40)))
        gradient = design.T @ (probability - labels) + pull * (weights - start)
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + pull * np.eye(2)
        move = np.linalg.solve(curvature, gradient)
        weights = weights - move * min(1.0, 2.0 / max(float(np.abs(move).max()), 1e-12))
        if np.abs(move).max() < 1e-8:
            break
    # A negative scale would turn the ranking round; the validation tail is too small to be trusted with that.
    return (float(weights[0]), float(weights[1])) if weights[0] > 0 else (1.0, 0.0)


@torch.no_grad()
def calibrate_responses(
    network: ResponseNetwork,
    plan: ResponsePlan,
    data: Prepared,
    held_out: Bool[np.ndarray, "S"],
    before: Float32[Tensor, "S H"],
) -> None:
    """Set the scale and shift of the parameters of the response heads, in place, from the validation tail.

    Args:
        network: trained, in evaluation mode.
        plan: its heads.
        data: the log.
        held_out: exposures of the validation tail.
        before: state of the user before each exposure.
    """
    tail = _Tail.of(network, plan, data, np.flatnonzero(held_out), before)
    start = 0
    if plan.together:
        columns = [plan.primary_column, *range(plan.width - POTENTIALS, plan.width)]
        network.logit_scale[columns], network.logit_shift[columns] = _calibrate_slates(plan, tail)
    for channel, head in enumerate(plan.heads):
        if plan.together and channel == plan.primary:
            start += head.width
            continue
        rows = tail.modelled[:, channel]
        parameters, number = tail.parameters[rows, start : start + head.width], tail.numbers[channel][rows]
        for column in head.logits:
            scale, shift = calibrate(parameters[:, column].numpy(), (number > 0).numpy())
            network.logit_scale[start + column], network.logit_shift[start + column] = scale, shift
        if isinstance(head, CellsHead):
            some = number > 0 if head.hurdle else torch.ones_like(number, dtype=torch.bool)
            shifts = _cell_shifts(head, parameters[some][:, head.hurdle :], number[some])
            network.logit_shift[start + head.hurdle : start + head.width] = shifts
        start += head.width


@torch.no_grad()
def bind_channels(
    network: ResponseNetwork,
    plan: ResponsePlan,
    data: Prepared,
    before: Float32[Tensor, "S H"],
    generator: torch.Generator,
) -> None:
    """Set the correlations between channels, in place, from up to 50,000 exposures; call it after calibration.

    Args:
        network: trained and calibrated, in evaluation mode.
        plan: its heads.
        data: the log.
        before: state of the user before each exposure.
        generator: source of draws.
    """
    steps = torch.randperm(data.behaviour.n_steps, generator=generator)[:_MOST_EXPOSURES].sort().values.numpy()
    tail = _Tail.of(network, plan, data, steps, before)
    parameters = plan.slates.alone_rows(tail.parameters, tail.owner)
    network.bonds.copy_(fit_bonds(plan, parameters, tail.labels, tail.observed, tail.lengths, generator))


def _calibrate_slates(plan: ResponsePlan, tail: "_Tail") -> tuple[float, Float32[Tensor, "potentials_plus_1"]]:
    """Scale of the primary logit and the potentials, and their shifts, by the likelihood of whole slates.

    One scale for all: what an item is worth only counts against what the others, and none of them, are. Found as in
    :func:`calibrate`, with the same pull towards (1, 0).
    """
    taken = tail.labels[:, plan.primary] > 0
    if min(int(taken.sum()), int((~taken).sum())) < _FEWEST:
        return 1.0, torch.zeros(1 + POTENTIALS)
    column, slates = plan.primary_column, int(tail.owner[-1]) + 1
    inputs = tail.parameters.double()
    change = torch.zeros(2 + POTENTIALS, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([change], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = inputs[:, column] * (1 + change[0]) + change[1]
        moved = torch.cat(
            [inputs[:, :column], logits[:, None], inputs[:, column + 1 : -POTENTIALS],
             inputs[:, -POTENTIALS:] * (1 + change[0]) + change[2:]], 1,
        )  # fmt: skip
        rows = nnf.binary_cross_entropy_with_logits(logits, taken.double(), reduction="none")
        counts = plan.slates.count_nll(moved, tail.labels, tail.observed, tail.owner, slates)
        total = (rows * tail.modelled[:, plan.primary]).sum() + counts.sum() + 0.5 * change.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = change.detach()
    # A negative scale would turn the ranking round; the validation tail is too small to be trusted with that.
    return (1.0 + float(found[0]), found[1:].float()) if found[0] > -1 else (1.0, torch.zeros(1 + POTENTIALS))


def _cell_shifts(head: CellsHead, logits: Float32[Tensor, "n C"], number: Float32[Tensor, "n"]) -> Tensor:
    """Log of how often each cell came against how often it was foretold, as if in 50 more rows it had come as often."""
    foretold = logits.softmax(-1).sum(0)
    came = torch.bincount(head.cell(number), minlength=foretold.shape[0])
    prior = _PRIOR_ROWS * foretold / foretold.sum().clamp(min=1e-9)
    return ((came + prior + 1e-6) / (foretold + prior + 1e-6)).log()


@dataclass(frozen=True)
class _Tail:
    """What the heads say of some exposures, and what happened.

    Attributes:
        owner: the exposure of each row, counted from 0.
        labels: feedback.
        observed: where it was observed.
        parameters: uncalibrated.
        lengths: of the items in seconds.
        numbers: what each head is to explain.
        modelled: where it is.
    """

    owner: Int64[Tensor, "r"]
    labels: Float32[Tensor, "r F"]
    observed: Bool[Tensor, "r F"]
    parameters: Float32[Tensor, "r W"]
    lengths: Float32[Tensor, "r"]
    numbers: tuple[Float32[Tensor, "r"], ...]
    modelled: Bool[Tensor, "r F"]

    @classmethod
    def of(
        cls,
        network: ResponseNetwork,
        plan: ResponsePlan,
        data: Prepared,
        steps: Int64[np.ndarray, "s"],
        before: Float32[Tensor, "S H"],
    ) -> "_Tail":
        behaviour, parameters, rows, owner = data.behaviour, [], [], []
        for block in row_blocks(behaviour, steps):
            explained = explain(network, data, steps[block], before[torch.from_numpy(steps[block])])
            parameters.append(explained.parameters)
            rows.append(explained.rows)
            owner.append(explained.owner + int(block[0]))
        row = np.concatenate(rows)
        labels, observed = torch.from_numpy(behaviour.row_labels[row]), torch.from_numpy(behaviour.row_observed[row])
        lengths = data.row_length[torch.from_numpy(row)]
        numbers = plan.numbers(labels, lengths)
        use = plan.modelled(labels, observed)
        return cls(torch.cat(owner), labels, observed, torch.cat(parameters), lengths, numbers, use)


@torch.no_grad()
def calibrate_leaving(
    network: ResponseNetwork,
    labels: LeaveLabels,
    held_out: Bool[np.ndarray, "S"],
    after: Float32[Tensor, "S H"],
    ends: Ends,
) -> None:
    """Set the scale and shift of the leave logit, in place, from the validation tail.

    Args:
        network: trained, in evaluation mode.
        labels: which exposures ended a session.
        held_out: exposures of the validation tail.
        after: state of the user after each exposure.
        ends: all exposures.
    """
    logits = ends.leave(network, after).numpy()
    tail = labels.known & held_out
    scale, shift = calibrate(logits[tail], labels.last[tail])
    network.leave_scale.fill_(scale)
    network.leave_shift.fill_(shift)
