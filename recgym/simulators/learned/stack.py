"""Several learned simulators run as one: weights stacked, users arranged by simulator, no loop over either."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.func import functional_call, vmap

from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.newcomers import Newcomers
from recgym.simulators.learned.snapshots import Snapshots
from recgym.simulators.learned.stack_padding import padded, widest
from recgym.simulators.learned.tables import ItemTables
from recgym.simulators.learned.users import LearnedUsers

__all__ = ["Arrangement", "Stack", "joint_snapshots"]

_NOT_STACKED = ("embedding.weight", "feature_in.weight", "known", "item_table")
"""Only the item tables are made of these."""


class Arrangement(NamedTuple):
    """The rows of a batch by member, each member's filled up to as many as the largest has.

    Attributes:
        rows: the row at each place; places to fill up repeat some row.
        places: the place of each row among ``M * C``.
    """

    rows: Int64[Tensor, "M C"]
    places: Int64[Tensor, "B"]

    @classmethod
    def of(cls, member: Int64[Tensor, "B"], members: int) -> "Arrangement":
        """Arrange the rows of a batch that belong to the given members."""
        order = member.argsort(stable=True)
        counts = torch.bincount(member, minlength=members)
        start = counts.cumsum(0) - counts
        each = torch.arange(member.shape[0], device=member.device)
        width = int(counts.max())
        rows = order[(start[:, None] + each[:width]).clamp(max=member.shape[0] - 1)]
        sorted_member = member[order]
        places = torch.empty_like(member)
        places[order] = sorted_member * width + each - start[sorted_member]
        return cls(rows, places)

    def by_member(self, tree: Any) -> Any:
        """Arrays ``[B, ...]`` of a (nested) tuple as ``[M, C, ...]``."""
        if isinstance(tree, tuple):
            return _rebuilt(tree, [self.by_member(leaf) for leaf in tree])
        return tree.index_select(0, self.rows.flatten()).view(*self.rows.shape, *tree.shape[1:])

    def by_row(self, tree: Any) -> Any:
        """The inverse."""
        if isinstance(tree, tuple):
            return _rebuilt(tree, [self.by_row(leaf) for leaf in tree])
        return tree.flatten(0, 1).index_select(0, self.places)


def _rebuilt(tree: tuple[Any, ...], leaves: list[Any]) -> Any:
    return type(tree)(*leaves) if hasattr(tree, "_fields") else tuple(leaves)


class _Member(nn.Module):
    """One simulator whose weights and item tables can be put in from outside."""

    vectors: Tensor
    hidden: Tensor

    def __init__(self, users: LearnedUsers) -> None:
        super().__init__()
        self.network = users.network
        self.register_buffer("vectors", users.tables.vectors)
        self.register_buffer("hidden", users.tables.hidden)
        self._users = users

    def forward(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of :class:`LearnedUsers`, given unbound."""
        users = copy.copy(self._users)
        users.network = self.network
        users.tables = ItemTables(self.vectors, self.hidden, self._users.tables.lengths)
        return method(users, *arguments)


class Stack:
    """M simulators of one log, padded to one width and stacked.

    Args:
        members: the simulators; they must agree in everything that does not depend on a network's weights.
        device: torch device.
        newcomers: where users come from; their states are those of all members side by side.

    Attributes:
        size: M.
        width: of the network's state, the widest of all members.
        users: the first member, padded. What depends on no weight may be asked of it.
    """

    def __init__(self, members: Sequence[FittedSimulator], device: str, newcomers: Newcomers | None) -> None:
        wide = widest([member.network.shape for member in members])
        networks = []
        for member in members:
            network = ResponseNetwork(wide, member.schema)
            network.load_state_dict(padded(member.network.state_dict(), member.network.shape, wide))
            networks.append(network.to(device).requires_grad_(False).eval())
        self.size = len(members)
        self.width = wide.hidden
        first = replace(members[0], network=networks[0], snapshots=joint_snapshots(members))
        self.users = LearnedUsers(first, device, newcomers)
        tables = [ItemTables.of(member, network, device) for member, network in zip(members, networks, strict=True)]
        states = [network.state_dict() for network in networks]
        self._weights = {
            f"network.{name}": torch.stack([state[name] for state in states])
            for name in states[0]
            if name not in _NOT_STACKED
        }
        self._weights["vectors"] = torch.stack([table.vectors for table in tables])
        self._weights["hidden"] = torch.stack([table.hidden for table in tables])
        self._member = _Member(self.users)

    def each(self, arrangement: Arrangement, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of :class:`LearnedUsers` for each row of a batch, with the weights of the row's member."""
        result = self._call(method, 0, arrangement.by_member(arguments))
        return arrangement.by_row(result)

    def all(self, method: Callable[..., Any], own: Any, *arguments: Any) -> Any:
        """Call a method of :class:`LearnedUsers` for all rows with the weights of each member in turn.

        Args:
            method: the method, unbound.
            own: first argument, with an axis of members before all others.
            arguments: the others, the same for all members.
        """
        return self._call(method, (0, *(None for _ in arguments)), (own, *arguments))

    def _call(self, method: Callable[..., Any], axes: Any, arguments: tuple[Any, ...]) -> Any:
        def one(weights: dict[str, Tensor], *given: Any) -> Any:
            return functional_call(self._member, weights, (method, *given))

        dims = (0, *axes) if isinstance(axes, tuple) else 0
        return vmap(one, in_dims=dims)(self._weights, *arguments)


def joint_snapshots(members: Sequence[FittedSimulator]) -> Snapshots:
    """The logged users with the states that all members have of them side by side, each padded to the widest.

    A source of newcomers (:class:`recgym.simulators.learned.FreshUsers` and others) that is made of these serves a set.
    """
    width = widest([member.network.shape for member in members]).hidden
    states = [member.snapshots.hidden for member in members]
    wide = [nn.functional.pad(state, (0, width - state.shape[1])) for state in states]
    return replace(members[0].snapshots, hidden=torch.cat(wide, 1))
