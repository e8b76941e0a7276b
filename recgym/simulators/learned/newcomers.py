"""Where simulated users come from: the log's users as they were, without a past, or blended into users of their own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import device_of, integers, uniform
from recgym.data.features import FeatureEncoder, Numeric
from recgym.simulators.learned.snapshots import Snapshots
from recgym.types import Generator

__all__ = ["Arrivals", "BlendedUsers", "FreshUsers", "LoggedUsers", "Newcomers"]


class Arrivals(NamedTuple):
    """Users at the start of a session.

    Attributes:
        hidden: the network's state of each user.
        profile: user features.
        snapshot: the logged session start whose record is theirs; S, the number of these, for a blank one.
        last_s: time of the last event before the session, at most 0; NaN if there is none.
    """

    hidden: Float32[Tensor, "B H"]
    profile: Float32[Tensor, "B P"]
    snapshot: Int64[Tensor, "B"]
    last_s: Float64[Tensor, "B"]


class Newcomers(ABC):
    """A source of new users for :class:`recgym.simulators.learned.LearnedUsers`."""

    @abstractmethod
    def on(self, device: str) -> "Newcomers":
        """The same source with its tables on a torch device."""

    @abstractmethod
    def draw(self, n: int, generator: Generator) -> Arrivals:
        """Draw ``n`` users."""


@dataclass(frozen=True)
class LoggedUsers(Newcomers):
    """Users of the log as they were at the start of one of their sessions: a bootstrap of the log's session starts.

    Attributes:
        snapshots: the session starts.
    """

    snapshots: Snapshots

    def on(self, device: str) -> "LoggedUsers":
        """See :class:`Newcomers`."""
        return LoggedUsers(self.snapshots.to(device))

    def draw(self, n: int, generator: Generator) -> Arrivals:
        """See :class:`Newcomers`."""
        snapshots = self.snapshots
        drawn = integers(generator, snapshots.hidden.shape[0], (n,))
        return Arrivals(snapshots.hidden[drawn], snapshots.profile[drawn], drawn, snapshots.last_s[drawn])


@dataclass(frozen=True)
class FreshUsers(Newcomers):
    """Users with profiles of the log's users and no past: nothing on record, and the state that the network begins in.

    Each user of the log is as likely as every other, however many sessions they had.

    Attributes:
        snapshots: session starts of the log's users.
    """

    snapshots: Snapshots

    def on(self, device: str) -> "FreshUsers":
        """See :class:`Newcomers`."""
        return FreshUsers(self.snapshots.to(device))

    def draw(self, n: int, generator: Generator) -> Arrivals:
        """See :class:`Newcomers`."""
        device = device_of(generator)
        _, first = _one_each(self.snapshots.user)
        drawn = first[integers(generator, first.shape[0], (n,))]
        return Arrivals(
            hidden=torch.zeros(n, self.snapshots.hidden.shape[1], device=device),
            profile=self.snapshots.profile[drawn],
            snapshot=torch.full((n,), self.snapshots.hidden.shape[0], device=device),
            last_s=torch.full((n,), torch.nan, dtype=torch.float64, device=device),
        )


def _one_each(user: Int64[Tensor, "S"]) -> tuple[Int64[Tensor, "users"], Int64[Tensor, "users"]]:
    """The users, and one snapshot of each."""
    users, inverse = torch.unique(user, return_inverse=True)
    first = torch.empty_like(users).scatter_(0, inverse, torch.arange(user.shape[0], device=user.device))
    return users, first


@dataclass(frozen=True)
class BlendedUsers(Newcomers):
    """New users who are like those of the log and copies of none: each lies between two logged users who are alike.

    A user is drawn, and one of the ``k`` snapshots of other users that are nearest in state and profile. The new user
    lies at ``u`` on the line from the first to the second, with ``u`` uniform on [-0.5, 1]: as ``E[u] = E[u^2]``, that
    keeps means and spreads, and what goes together in the log goes together here. Features that are no numbers
    come from one of the two, all from the same one. The record is the first one's, that of the nearer in most cases.
    Source: SMOTE (arXiv 1106.1813), with the range of ``u`` chosen to keep the variance.

    Attributes:
        snapshots: session starts of the log's users.
        near: for each, the ``k`` nearest of other users.
        numeric: which columns of the profile hold numbers.
    """

    snapshots: Snapshots
    near: Int64[Tensor, "S k"]
    numeric: Float32[Tensor, "P"]

    @classmethod
    def of(cls, snapshots: Snapshots, users: FeatureEncoder, neighbours: int = 10) -> "BlendedUsers":
        """Find who is near to whom.

        Args:
            snapshots: of a :class:`recgym.simulators.learned.FittedSimulator`.
            users: its encoder of user features.
            neighbours: k.

        Raises:
            ValueError: there are not enough users to be blended.
        """
        if torch.unique(snapshots.user).shape[0] <= neighbours:
            raise ValueError(
                f"blending users needs more than {neighbours} users, found {torch.unique(snapshots.user).shape[0]}"
            )
        numeric = []
        for column in users.columns:
            numeric += [isinstance(column, Numeric) and place == 0 for place in range(column.width)]
        return cls(snapshots, _nearest(snapshots, neighbours), torch.tensor(numeric, dtype=torch.float32))

    def on(self, device: str) -> "BlendedUsers":
        """See :class:`Newcomers`."""
        return BlendedUsers(self.snapshots.to(device), self.near.to(device), self.numeric.to(device))

    def draw(self, n: int, generator: Generator) -> Arrivals:
        """See :class:`Newcomers`."""
        snapshots, (total, neighbours) = self.snapshots, self.near.shape
        first = integers(generator, total, (n,))
        second = self.near[first, integers(generator, neighbours, (n,))]
        far = uniform(generator, (n, 1), -0.5, 1.0)
        hidden = torch.lerp(snapshots.hidden[first], snapshots.hidden[second], far).clamp(-1.0, 1.0)
        # An event of nobody's: where one of the two has none, the first decides.
        last = torch.lerp(_log_time(snapshots.last_s[first]), _log_time(snapshots.last_s[second]), far[:, 0].double())
        last = torch.where(snapshots.last_s[second].isnan(), _log_time(snapshots.last_s[first]), last)
        one, two = snapshots.profile[first], snapshots.profile[second]
        other = torch.where(uniform(generator, (n, 1)) < far, two, one)
        profile = torch.where(self.numeric > 0, torch.lerp(one, two, far), other)
        return Arrivals(hidden, profile, first, -torch.expm1(last))


def _log_time(last_s: Float64[Tensor, "n"]) -> Float64[Tensor, "n"]:
    return torch.log1p(-last_s)


def _nearest(snapshots: Snapshots, neighbours: int, block: int = 1024) -> Int64[Tensor, "S k"]:
    """The nearest snapshots of other users; states and profiles each count in units of their spread."""
    parts = [snapshots.hidden, snapshots.profile]
    spread = [((part - part.mean(0)).square().sum(1).mean().sqrt()).clamp(min=1e-6) for part in parts]
    place = torch.cat([part / scale for part, scale in zip(parts, spread, strict=True)], 1)
    rows = []
    for start in range(0, place.shape[0], block):
        distance = torch.cdist(place[start : start + block], place)
        own = snapshots.user[start : start + block, None] == snapshots.user[None]
        rows.append(distance.masked_fill(own, torch.inf).topk(neighbours, largest=False).indices)
    return torch.cat(rows)
