"""What is carried from step to step of each user learned from a log."""

from typing import NamedTuple

from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

__all__ = ["Felt", "LearnedState"]


class LearnedState(NamedTuple):
    """State of a batch of users.

    Attributes:
        hidden: the network's state, which remembers more than the visible window.
        profile: user features.
        snapshot: the logged session start that says what is on record of the user; S for a blank record.
        steps: steps of the session so far.
        clock_s: seconds since the session began.
        start_s: time at which the session began.
        last_s: time of the last event, NaN if there is none.
        left: whether the session has ended.
        temper: the patience that the session's slates have added up to; 0 at its start.
        brought: sum over the steps of the session of what each brought.
        recent: ring of the last T consumed items; N where there is none; the last column is a waste bin.
        written: items written to the ring.
        pace: how slow the user is, as a normal score among those of the log.
        haste: where the time of the coming step lies among those of the log, from 0 to 1.
    """

    hidden: Float32[Tensor, "B H"]
    profile: Float32[Tensor, "B P"]
    snapshot: Int64[Tensor, "B"]
    steps: Int64[Tensor, "B"]
    clock_s: Float64[Tensor, "B"]
    start_s: Float64[Tensor, "B"]
    last_s: Float64[Tensor, "B"]
    left: Bool[Tensor, "B"]
    temper: Float32[Tensor, "B"]
    brought: Float32[Tensor, "B two_F_plus_2"]
    recent: Int64[Tensor, "B T_plus_1"]
    written: Int64[Tensor, "B"]
    pace: Float32[Tensor, "B"]
    haste: Float32[Tensor, "B"]


class Felt(NamedTuple):
    """What the network makes of a step.

    Attributes:
        hidden: its state after the step.
        temper: likewise.
        summary: what the step brought.
        leave: chance that the session ends with it.
    """

    hidden: Float32[Tensor, "B H"]
    temper: Float32[Tensor, "B"]
    summary: Float32[Tensor, "B two_F_plus_2"]
    leave: Float32[Tensor, "B"]
