"""Logged users at the start of their sessions: where simulated users come from."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.simulators.learned.prepared import Prepared

__all__ = ["Snapshots", "take_snapshots"]


@dataclass(frozen=True)
class Snapshots:
    """S logged users, each at the start of one of their sessions. Times are seconds before that start, so at most 0.

    Attributes:
        user: which of the log's users it is.
        hidden: the network's state of the user.
        profile: user features.
        last_s: time of the user's last event, NaN if there is none.
        items: the last T consumptions, right-aligned; N where there is none.
        feedback: their feedback.
        time_s: their times, 0 where there is none.
    """

    user: Int64[Tensor, "S"]
    hidden: Float32[Tensor, "S H"]
    profile: Float32[Tensor, "S P"]
    last_s: Float64[Tensor, "S"]
    items: Int64[Tensor, "S T"]
    feedback: Float32[Tensor, "S T F"]
    time_s: Float64[Tensor, "S T"]

    def with_blank(self, n_items: int) -> "Snapshots":
        """With one more at the end: nobody in particular, without a past."""
        return Snapshots(
            user=torch.cat([self.user, torch.full_like(self.user[:1], -1)]),
            hidden=torch.cat([self.hidden, torch.zeros_like(self.hidden[:1])]),
            profile=torch.cat([self.profile, torch.zeros_like(self.profile[:1])]),
            last_s=torch.cat([self.last_s, torch.full_like(self.last_s[:1], torch.nan)]),
            items=torch.cat([self.items, torch.full_like(self.items[:1], n_items)]),
            feedback=torch.cat([self.feedback, torch.zeros_like(self.feedback[:1])]),
            time_s=torch.cat([self.time_s, torch.zeros_like(self.time_s[:1])]),
        )

    def to(self, device: str) -> "Snapshots":
        """The same on a device."""
        return Snapshots(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def take_snapshots(
    data: Prepared,
    before: Float32[Tensor, "S H"],
    n_items: int,
    history: int,
    most: int,
    generator: np.random.Generator,
) -> Snapshots:
    """Record session starts; of a log without sessions, any exposure counts as one.

    Args:
        data: the log.
        before: the network's state before each exposure.
        n_items: N, the padding id.
        history: T.
        most: how many to keep, drawn at random.
        generator: source of the draw.
    """
    behaviour = data.behaviour
    starts = np.flatnonzero((behaviour.step_index == 0) & (behaviour.step_session >= 0))
    if starts.size == 0:
        starts = np.arange(behaviour.n_steps)
    if starts.size > most:
        starts = np.sort(generator.choice(starts, most, replace=False))
    now = behaviour.step_time[starts]
    recent = behaviour.recent_items(starts, history)
    there = recent >= 0
    events = behaviour.step_events[starts]
    some = events > behaviour.user_event_start[behaviour.step_user[starts]]
    last = np.where(some, behaviour.event_time[np.maximum(events - 1, 0)] - now, np.nan)
    items = torch.where(torch.from_numpy(there), data.taken_item[torch.from_numpy(recent)], n_items)
    time = np.where(there, behaviour.taken_time[recent] - now[:, None], 0.0)
    return Snapshots(
        user=torch.from_numpy(behaviour.step_user[starts]),
        hidden=before[torch.from_numpy(starts)],
        profile=data.profile[torch.from_numpy(behaviour.step_user[starts])],
        last_s=torch.from_numpy(last),
        items=items,
        feedback=torch.from_numpy(behaviour.taken_feedback[recent] * there[:, :, None]),
        time_s=torch.from_numpy(time),
    )
