"""After training: the leave head and the temper by themselves."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.seeding import make_generator
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import ItemDropout, running_states
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels
from recgym.simulators.learned.steps import ranges

__all__ = ["refine_leaving"]

LEAVE_BATCH, LEAVE_ROUNDS, LEAVE_CHECK, LEAVE_PATIENCE = 2048, 20, 150, 3


def refine_leaving(
    network: ResponseNetwork,
    data: Prepared,
    labels: LeaveLabels,
    held_out: Bool[np.ndarray, "S"],
    after: Float32[Tensor, "S H"],
    ends: Ends,
    config: LearnedConfig,
    seed: int,
) -> None:
    """Train the leave head and the temper on, in place, with the states as they stand now.

    Sessions end far less often than items get feedback, so the head has learned little by the time the rest is done.
    It is small: passes over exposures alone cost next to nothing. Half of the sessions are seen as if some items that
    their users took were unknown, as items will be that came out after the log. Stops when the loss on the validation
    tail does.

    Args:
        network: trained, in evaluation mode.
        data: the log.
        labels: which exposures ended a session.
        held_out: exposures of the validation tail.
        after: state of the user after each exposure.
        ends: all exposures.
        config: settings.
        seed: root seed of the batches.
    """
    training, testing = labels.known & ~held_out, labels.known & held_out
    if not labels.last[training].any() or not testing.any():
        return
    drop = ItemDropout(config.item_dropout, make_generator(seed, "item dropout of leaving"))
    states = torch.stack([after, running_states(network, data, drop)[1]])
    sessions = _Sessions.of(ends)
    generator = make_generator(seed, "leaving", device="numpy")
    parts = [network.leave_in, network.leave_out, network.mood_in, network.mood_out]
    weights = [*(p for part in parts for p in part.parameters()), network.fading]
    optimiser = torch.optim.AdamW(weights, lr=config.learning_rate)
    target = torch.from_numpy(labels.last).float()

    def loss_of(chosen: Ends, state: Tensor, use: Bool[np.ndarray, "S"]) -> Tensor:
        at = torch.from_numpy(use[chosen.steps]).nonzero()[:, 0]
        logits = chosen.leave(network, state)
        return nnf.binary_cross_entropy_with_logits(logits[at], target[torch.from_numpy(chosen.steps)][at])

    def validate() -> float:
        with torch.no_grad():
            return float(loss_of(ends, after, testing))

    def keep() -> list[Tensor]:
        return [weight.detach().clone() for weight in weights]

    best_loss, best, stale = validate(), keep(), 0
    trainable = sessions.with_some(training)
    for _ in range(LEAVE_ROUNDS):
        for _ in range(LEAVE_CHECK):
            index, version = sessions.draw(trainable, LEAVE_BATCH, generator)
            optimiser.zero_grad(set_to_none=True)
            state = states[torch.from_numpy(version), torch.from_numpy(index)]
            loss_of(ends.pick(index), state, training).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        loss = validate()
        stale = 0 if loss < best_loss else stale + 1
        if stale == 0:
            best_loss, best = loss, keep()
        elif stale == LEAVE_PATIENCE:
            break
    with torch.no_grad():
        for weight, value in zip(weights, best, strict=True):
            weight.copy_(value)


@dataclass(frozen=True)
class _Sessions:
    """The exposures of a log by session.

    Attributes:
        order: exposures, those of a session together.
        start: where each session begins in that order, and the end of the last.
    """

    order: Int64[np.ndarray, "S"]
    start: Int64[np.ndarray, "sessions_plus_1"]

    @classmethod
    def of(cls, ends: Ends) -> "_Sessions":
        order = np.argsort(ends.sessions, kind="stable")
        fresh = np.diff(ends.sessions[order], prepend=-2) != 0
        return cls(order, np.append(np.flatnonzero(fresh), order.size))

    def with_some(self, use: Bool[np.ndarray, "S"]) -> Int64[np.ndarray, "n"]:
        """Sessions in which an exposure is marked."""
        return np.flatnonzero(np.logical_or.reduceat(use[self.order], self.start[:-1]))

    def draw(
        self, among: Int64[np.ndarray, "n"], exposures: int, generator: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "s"], Int64[np.ndarray, "s"]]:
        """The exposures of some sessions drawn at random, about so many, and a coin of each session."""
        mean = self.order.size / (self.start.size - 1)
        chosen = generator.choice(among, max(int(exposures / mean), 1))
        # A session drawn twice would be told from itself by nothing.
        chosen = np.unique(chosen)
        begin, end = self.start[chosen], self.start[chosen + 1]
        return self.order[ranges(begin, end)], np.repeat(generator.integers(2, size=chosen.size), end - begin)
