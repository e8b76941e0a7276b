"""The state of users who each live in one simulator of a set."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.simulators.learned.user_state import LearnedState

__all__ = ["SetState", "only", "plain"]


class SetState(NamedTuple):
    """State of a batch of users: the fields of :class:`recgym.simulators.learned.LearnedState`, and two more.

    Attributes:
        hidden: the state of the member's network; narrower ones are padded with zeros.
        member: the simulator in which the user lives.
        views: the states that all members' networks would have of the user; V is M if they are followed, else 0.
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
    member: Int64[Tensor, "B"]
    views: Float32[Tensor, "B V H"]


def plain(state: SetState) -> LearnedState:
    """The state without what belongs to a set."""
    return LearnedState(*(getattr(state, name) for name in LearnedState._fields))


def only(state: LearnedState, *names: str) -> LearnedState:
    """The state with some of its fields, the others without columns: what is not looked at need not be moved."""
    blank = torch.empty(state.left.shape[0], 0, device=state.left.device)
    others: dict[str, Any] = {name: blank for name in LearnedState._fields if name not in names}
    return state._replace(**others)
