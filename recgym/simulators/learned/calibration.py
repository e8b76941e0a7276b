"""Calibration on behaviour that training never saw: temperature scaling with a bias, two numbers a logit.

Amounts that are a choice among cells get a bias a cell instead.

Source: Guo et al., On calibration of modern neural networks (arXiv 1706.04599); Platt scaling is the same with the
bias.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.simulators.learned.cells import CellsHead
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import explain, row_blocks
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels

__all__ = ["calibrate", "calibrate_leaving", "calibrate_responses"]

_FEWEST = 30
_PRIOR_ROWS = 50.0


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
    for channel, head in enumerate(plan.heads):
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
        parameters: uncalibrated.
        numbers: what each head is to explain.
        modelled: where it is.
    """

    parameters: Float32[Tensor, "r W"]
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
        behaviour, parameters, rows = data.behaviour, [], []
        for block in row_blocks(behaviour, steps):
            explained = explain(network, data, steps[block], before[torch.from_numpy(steps[block])])
            parameters.append(explained.parameters)
            rows.append(explained.rows)
        row = np.concatenate(rows)
        labels, observed = torch.from_numpy(behaviour.row_labels[row]), torch.from_numpy(behaviour.row_observed[row])
        numbers = plan.numbers(labels, data.row_length[torch.from_numpy(row)])
        return cls(torch.cat(parameters), numbers, plan.modelled(labels, observed))


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
