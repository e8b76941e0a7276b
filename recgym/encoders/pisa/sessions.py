"""Histories as sessions: events user after user, the sessions they form, and windows of these."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from recgym.data import InteractionLog, consumed_events

__all__ = ["SessionHistories", "SessionTimes"]


@dataclass(frozen=True)
class SessionHistories:
    """What some users consumed, user after user and oldest first, and the sessions that this forms.

    Attributes:
        items: item id of each event.
        time_s: of each event.
        first_event: first event of each session, and the number of events at the end.
        owner: the user of each session, ascending.
        first_session: first session of each user, and the number of sessions at the end.
        held: the first K distinct items of each session; N is padding.
        num_items: N.
    """

    items: Int64[Tensor, "E"]
    time_s: Float64[Tensor, "E"]
    first_event: Int64[Tensor, "S_plus_1"]
    owner: Int64[Tensor, "S"]
    first_session: Int64[Tensor, "U_plus_1"]
    held: Int64[Tensor, "S K"]
    num_items: int

    @classmethod
    def of(
        cls,
        items: Int64[Tensor, "E"],
        time_s: Float64[Tensor, "E"],
        user: Int64[Tensor, "E"],
        opens: Bool[Tensor, "E"],
        num_users: int,
        num_items: int,
        longest: int,
    ) -> "SessionHistories":
        """From events.

        Args:
            items: of the events.
            time_s: likewise; ascending for each user.
            user: whose events; ascending.
            opens: events that open a session; each user's first one is one of them.
            num_users: U, users with events or without.
            num_items: N.
            longest: K.

        Raises:
            ValueError: an item id is outside the catalogue.
        """
        if len(items) and (int(items.min()) < 0 or int(items.max()) >= num_items):
            bad = int(items.min()) if int(items.min()) < 0 else int(items.max())
            raise ValueError(f"found item id {bad} in a history, expected 0..{num_items - 1}")
        number, first = opens.cumsum(0) - 1, opens.nonzero()[:, 0]
        new = _first_of_equals(number * num_items + items)
        place = new.cumsum(0) - 1
        place = place - place[first][number]
        kept = new & (place < longest)
        held = torch.full((len(first), longest), num_items)
        held[number[kept], place[kept]] = items[kept]
        owner = user[first]
        count = torch.bincount(owner, minlength=num_users)
        return cls(
            items, time_s, torch.cat([first, torch.tensor([len(items)])]), owner,
            torch.nn.functional.pad(count.cumsum(0), (1, 0)), held, num_items,
        )  # fmt: skip

    @classmethod
    def from_log(cls, log: InteractionLog, longest: int) -> "SessionHistories":
        """Of the sessions of a log, see :func:`recgym.data.distinct_sessions`.

        Args:
            log: what counts as consumed is :attr:`recgym.data.InteractionLog.consumed`.
            longest: K.

        Raises:
            ValueError: something was consumed in no session.
        """
        events = consumed_events(log)
        if (events.session < 0).any():
            raise ValueError(
                f"{log.source}: column 'session' is empty for {int((events.session < 0).sum())} consumed rows, each "
                "was expected to belong to a session; see recgym.data.distinct_sessions"
            )
        opens = np.ones(len(events.items), dtype=bool)
        opens[1:] = (np.diff(events.user) != 0) | (np.diff(events.session) != 0)
        items, time_s, user = (torch.tensor(part) for part in (events.items, events.time_s, events.user))
        return cls.of(items, time_s, user, torch.from_numpy(opens), log.n_users, log.n_items, longest)

    @property
    def start_s(self) -> Float64[Tensor, "S"]:
        """When each session began."""
        return self.time_s[self.first_event[:-1]]

    @property
    def followed(self) -> Bool[Tensor, "S"]:
        """Which sessions are not the last ones of their users."""
        if len(self.owner) == 0:
            return torch.zeros(0, dtype=torch.bool)
        return torch.cat([self.owner[1:] == self.owner[:-1], torch.tensor([False])])

    def windows(self, window: int, stride: int) -> Int64[Tensor, "W C"]:
        """Windows to train on: the session before the first input, then inputs, then the target of the last one.

        They end at each user's last session and at every ``stride``-th one before it, and at last there is one with the
        user's first session as its first input. So each session but the first ones is a target, if ``stride`` is at
        most ``window``.

        Args:
            window: inputs of a window, at most.
            stride: see above.

        Returns:
            Sessions, padding on the right and, where nothing came before the first input, in the first column; padding
            is the number of sessions. C is ``window + 2``.
        """
        count = self.first_session.diff()
        extra = ((count - 1 - window).clamp(min=0) + stride - 1) // stride
        windows = torch.where(count >= 2, 1 + extra, 0)
        user = torch.repeat_interleave(windows)
        nth = torch.arange(len(user)) - (windows.cumsum(0) - windows)[user]
        last = count[user] - 1
        end = torch.where(nth < extra[user], last - nth * stride, last.clamp(max=window))
        column = (end - window).clamp(min=0)[:, None] + torch.arange(-1, window + 1)
        there = (column >= 0) & (column <= end[:, None])
        return torch.where(there, self.first_session[user][:, None] + column, len(self.owner))

    def newest(self, window: int) -> Int64[Tensor, "U C"]:
        """Each user's newest sessions, padded as in :meth:`windows`, without a target; C is at most ``window + 1``."""
        count = self.first_session.diff()
        width = min(window, int(count.max())) if len(count) else 0
        column = (count - window).clamp(min=0)[:, None] + torch.arange(-1, width)
        there = (column >= 0) & (column < count[:, None])
        return torch.where(there, self.first_session[:-1, None] + column, len(self.owner))


def _first_of_equals(keys: Int64[Tensor, "E"]) -> Bool[Tensor, "E"]:
    """Which keys did not come before."""
    ordered, order = keys.sort(stable=True)
    new = torch.ones_like(keys, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return torch.empty_like(new).scatter(0, order, new)


@dataclass(frozen=True)
class SessionTimes:
    """When the sessions of a log began: what tells the sessions of a history apart that holds events alone.

    Attributes:
        moments: all times at which any session began, ascending.
        starts: for each session, user times (number of moments + 1) plus the rank of its start, from 1; ascending.
    """

    moments: Float64[np.ndarray, "m"]
    starts: Int64[np.ndarray, "S"]

    @classmethod
    def of(cls, log: InteractionLog) -> "SessionTimes":
        """Of all that was consumed in a log; sessions of a user that begin at the same time are one."""
        histories = SessionHistories.from_log(log, 1)
        start_s, owner = histories.start_s.numpy(), histories.owner.numpy()
        moments = np.unique(start_s)
        rank = np.searchsorted(moments, start_s) + 1
        return cls(moments, np.unique(owner * (len(moments) + 1) + rank))

    def numbers(self, users: Int64[Tensor, "B"], time_s: Float64[Tensor, "B T"]) -> Int64[Tensor, "B T"]:
        """A number for each event, equal for events of one session of a user; later sessions never matter."""
        rank = np.searchsorted(self.moments, time_s.numpy(), side="right")
        key = users.numpy()[:, None] * (len(self.moments) + 1) + rank
        return torch.from_numpy(np.searchsorted(self.starts, key, side="right"))
