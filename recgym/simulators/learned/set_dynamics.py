"""Dynamics that a log leaves open: how far a fitted network can be bent before the log's tail tells the difference."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from recgym.seeding import make_generator
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import explain, row_blocks, running_states
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels

__all__ = ["Loss", "Tail", "bend", "told_apart"]

Loss = Callable[[ResponseNetwork], Float64[np.ndarray, "U"]]

_TRIES = tuple(3.0**-power for power in range(5))
_MOST_USERS = 2000


def _bend_leaving(network: ResponseNetwork, amount: float) -> None:
    network.leave_shift += amount


def _bend_temper(network: ResponseNetwork, amount: float) -> None:
    for weight in network.mood_out.parameters():
        weight.mul_(math.exp(amount))


def _bend_drift(network: ResponseNetwork, amount: float) -> None:
    bias = network.get_parameter("gru.bias_ih_l0")
    bias[network.shape.hidden : 2 * network.shape.hidden] += amount


def _bend_competition(network: ResponseNetwork, amount: float) -> None:
    if network.rivals_in is not None:
        network.rivals_in.weight *= math.exp(amount)


@dataclass(frozen=True)
class _Bend:
    """One parameter of the dynamics.

    Attributes:
        apply: changes a network in place by an amount.
        most: the largest amount that is tried, in either direction.
    """

    apply: Callable[[ResponseNetwork, float], None]
    most: float


_BENDS = {
    "log odds of leaving": _Bend(_bend_leaving, 1.0),
    "log strength of temper": _Bend(_bend_temper, 1.0),
    "log odds of keeping a taste": _Bend(_bend_drift, 1.5),
    "log strength of competition": _Bend(_bend_competition, 1.0),
}


@dataclass(frozen=True)
class Tail:
    """The validation tail of a log, of some users.

    Attributes:
        plan: heads of the channels.
        data: the log.
        labels: which exposures ended a session.
        steps: the exposures of the tail.
    """

    plan: ResponsePlan
    data: Prepared
    labels: LeaveLabels
    steps: Int64[np.ndarray, "s"]

    @classmethod
    def of(
        cls, plan: ResponsePlan, data: Prepared, labels: LeaveLabels, held_out: Bool[np.ndarray, "S"], seed: int
    ) -> "Tail":
        """The exposures marked by ``held_out`` of at most 2,000 users."""
        users = np.unique(data.behaviour.step_user[held_out])
        if users.size > _MOST_USERS:
            generator = make_generator(seed, "users of the tail", device="numpy")
            users = generator.choice(users, _MOST_USERS, replace=False)
        steps = np.flatnonzero(held_out & np.isin(data.behaviour.step_user, users))
        return cls(plan, data, labels, steps)

    @torch.no_grad()
    def loss(self, network: ResponseNetwork) -> Float64[np.ndarray, "U"]:
        """Negative log-likelihood of each user's answers and leaving; 0 for users who are not in the tail."""
        behaviour = self.data.behaviour
        states = running_states(network, self.data)
        total = np.zeros(int(behaviour.step_user.max()) + 1)
        for block in row_blocks(behaviour, self.steps):
            steps = self.steps[block]
            explained = explain(network, self.data, steps, states[0][torch.from_numpy(steps)])
            rows = torch.from_numpy(explained.rows)
            labels = torch.from_numpy(behaviour.row_labels[explained.rows])
            observed = torch.from_numpy(behaviour.row_observed[explained.rows])
            losses = self.plan.nll(explained.parameters, labels, observed, self.data.row_length[rows]).sum(1)
            counts = self.plan.slates.count_nll(explained.parameters, labels, observed, explained.owner, steps.size)
            losses = counts.index_add(0, explained.owner, losses)
            total += np.bincount(behaviour.step_user[steps], losses.double().numpy(), total.size)
        total += self._leave_loss(network, states[1], total.size)
        return total

    def _leave_loss(self, network: ResponseNetwork, after: Tensor, users: int) -> Float64[np.ndarray, "U"]:
        known = self.steps[self.labels.known[self.steps]]
        if not known.size:
            return np.zeros(users)
        logits = Ends.of(network, self.data, np.arange(self.data.behaviour.n_steps)).leave(network, after)
        last = torch.from_numpy(self.labels.last[known]).float()
        losses = nnf.binary_cross_entropy_with_logits(logits[torch.from_numpy(known)], last, reduction="none")
        total: np.ndarray = np.bincount(self.data.behaviour.step_user[known], losses.double().numpy(), users)
        return total


def told_apart(loss: Float64[np.ndarray, "U"], base: Float64[np.ndarray, "U"]) -> bool:
    """Whether the users of a tail tell a bent network from another one.

    They do if the sum of what it explains worse, user by user, exceeds the square root of the sum of squares. For a
    parameter at its best value that is so beyond 2 standard errors, those that hold although a user's rows go together.
    """
    worse = loss - base
    return bool(worse.sum() > np.sqrt(np.square(worse).sum()))


@torch.no_grad()
def bend(network: ResponseNetwork, loss: Loss, seed: int) -> dict[str, float]:
    """Move each parameter of the dynamics by a random amount within what the tail does not tell apart, in place.

    Parameters: the odds of leaving, how strongly the temper of a session counts, how long a taste is kept, how strongly
    the items of a slate compete. For each a direction is drawn, the largest amount found that the tail leaves open
    (among the largest at all, a third of it, and so on), and a uniform share of that is taken.

    Args:
        network: trained, in evaluation mode.
        loss: negative log-likelihood of each user in what training has not seen: :meth:`Tail.loss`.
        seed: root seed of directions and shares.

    Returns:
        The amount of each parameter.
    """
    generator = make_generator(seed, "bend", device="numpy")
    base = loss(network)
    amounts = {}
    for name, one in _BENDS.items():
        direction, share = (1.0 if generator.random() < 0.5 else -1.0), float(generator.random())
        amounts[name] = share * _reach(network, one, direction, loss, base)
    for name, amount in amounts.items():
        _BENDS[name].apply(network, amount)
    return amounts


def _reach(network: ResponseNetwork, one: _Bend, direction: float, loss: Loss, base: Float64[np.ndarray, "U"]) -> float:
    """The largest amount in a direction whose loss is not told apart from the least one in it; 0 if there is none.

    What changes nothing (of a log that knows no slates or sessions) is left alone.
    """
    found = {0.0: base}
    for part in _TRIES:
        trial, amount = copy.deepcopy(network), direction * part * one.most
        one.apply(trial, amount)
        found[amount] = loss(trial)
    if all(np.array_equal(users, base) for users in found.values()):
        return 0.0
    best = min(found.values(), key=np.sum)
    return max((amount for amount, users in found.items() if not told_apart(users, best)), key=abs)
