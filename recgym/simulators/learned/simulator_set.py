"""A set of simulators fitted to one log, which differ in what that log leaves open: each user lives in one of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import device_of, integers, permutation
from recgym.files import atomic_folder, read_json, write_json
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.learned.bonds import bond_factor
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.newcomers import Newcomers
from recgym.simulators.learned.returns import draw_pause
from recgym.simulators.learned.set_common import check_common
from recgym.simulators.learned.set_state import SetState, only, plain
from recgym.simulators.learned.stack import Arrangement, Stack
from recgym.simulators.learned.user_state import LearnedState
from recgym.simulators.learned.users import LearnedUsers
from recgym.types import Array, Generator, Response

__all__ = ["SimulatorSet", "is_set"]

_FORMAT, _VERSION, _MARKER = "recgym-simulator-set", 1, "set.json"
_RESPONDING = ("hidden", "profile", "recent")
_FEELING = ("hidden", "profile", "clock_s", "start_s", "last_s", "steps", "temper", "haste")
_RETURNING = ("hidden", "profile", "clock_s", "start_s", "steps", "temper", "brought")


class SimulatorSet(UserModel[SetState]):
    """Users who each live in one of M learned simulators for as long as their episode lasts.

    ================  ==================================================================================================
    member            drawn anew for each new user: every call deals the members out evenly and in random order; or
                      fixed by the row of the batch
    dynamics          those of :class:`recgym.simulators.learned.LearnedUsers` in the user's member
    group             the member, which is not hidden: users of one member share a world. Members must not be sorted by
                      what they do, so that their number tells nothing; those of :func:`fit_set` are not
    uncertainty       the standard deviation over all members of what they expect of the same user, see
                      :meth:`uncertainty`; with ``follow=True`` only
    ================  ==================================================================================================

    All members are stepped in one call: their weights are stacked, and the code of ``LearnedUsers`` runs on the stack
    (``torch.func``), users arranged by member.
    Source: Sim2Rec (arXiv 2305.04832), whose simulator set this is; deep ensembles (arXiv 1612.01474).

    Args:
        members: simulators of one log, which agree in everything but what depends on the network's weights.
        device: torch device.
        by_row: the member of each row of the batch; drawn at random if None.
        follow: whether every member follows every user, which :meth:`uncertainty` needs and which costs M network
            states a user.
        newcomers: where users come from, made of :func:`recgym.simulators.learned.stack.joint_snapshots`; the logged
            users if None.

    Raises:
        ValueError: there are no members, they are not of one log, or ``by_row`` names one that is not there.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("hidden", "temper", "brought", "pace", "haste", "views")
    runs_on_numpy: ClassVar[bool] = False

    def __init__(
        self,
        members: Sequence[FittedSimulator],
        device: str = "cpu",
        *,
        by_row: Sequence[int] | None = None,
        follow: bool = False,
        newcomers: Newcomers | None = None,
    ) -> None:
        check_common(members)
        self.members = tuple(members)
        self.by_row = None if by_row is None else tuple(by_row)
        if self.by_row is not None and not all(0 <= member < len(members) for member in self.by_row):
            found = f"{min(self.by_row)}..{max(self.by_row)}"
            raise ValueError(f"by_row must name members 0..{len(members) - 1}, found {found}")
        self.follow = follow
        self.newcomers = newcomers
        self._stack = Stack(self.members, device, newcomers)
        self._users = self._stack.users
        factors = [bond_factor(member.plan, member.network.bonds) for member in self.members]
        bound = [factor for factor in factors if factor is not None]
        self._factors = torch.stack(bound).to(device) if bound else None
        self._fixed = None if by_row is None else torch.tensor(self.by_row, device=device)
        self.schema = self._users.schema
        self.num_items = self._users.num_items
        self.item_features: Float32[Array, "N D"] = self._users.item_features
        self.profile_size = self._users.profile_size

    def on(self, device: str) -> "SimulatorSet":
        """See :class:`UserModel`."""
        if device == "numpy":
            raise ValueError("SimulatorSet runs on torch devices only, found device='numpy'")
        return SimulatorSet(
            self.members, device, by_row=self.by_row, follow=self.follow, newcomers=self.newcomers
        )  # fmt: skip

    def following(self) -> "SimulatorSet":
        """The same set with every member following every user, as :meth:`uncertainty` needs."""
        device = str(self.item_features.device)
        return SimulatorSet(self.members, device, by_row=self.by_row, follow=True, newcomers=self.newcomers)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> SetState:
        """See :class:`UserModel`."""
        member = self._members(n, generator, rows)
        users = self._users.sample_users(n, generator)
        views = users.hidden.view(n, self._stack.size, self._stack.width)
        own = views[torch.arange(n, device=member.device), member]
        return SetState(*users._replace(hidden=own), member, views if self.follow else views[:, :0])

    def _members(self, n: int, generator: Generator, rows: Tensor | None) -> Int64[Tensor, "n"]:
        """The member of each of ``n`` new users."""
        size = self._stack.size
        if self._fixed is None:
            dealt: Tensor = (permutation(generator, n) + integers(generator, size, (1,))) % size
            return dealt
        rows = torch.arange(n, device=device_of(generator)) if rows is None else rows
        if int(rows.max()) >= self._fixed.shape[0]:
            raise ValueError(
                f"by_row has {self._fixed.shape[0]} values, found a batch of {int(rows.max()) + 1} users or more"
            )
        return self._fixed[rows]

    def _arrange(self, state: SetState) -> Arrangement:
        return Arrangement.of(state.member, self._stack.size)

    def _parameters(self, state: SetState, slate: Tensor) -> Float32[Tensor, "B K W"]:
        users = only(plain(state), *_RESPONDING)
        parameters: Tensor = self._stack.each(self._arrange(state), LearnedUsers.parameters, users, slate)
        return parameters

    @torch.no_grad()
    def respond(self, state: SetState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        factor = None if self._factors is None else self._factors[state.member]
        return self._users.answer(self._parameters(state, slate), slate, generator, factor)

    @torch.no_grad()
    def expected(self, state: SetState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        return self._users.mean(self._parameters(state, slate), slate)

    @torch.no_grad()
    def advance(
        self, state: SetState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> SetState:
        """See :class:`UserModel`."""
        users = only(plain(state), *_FEELING)
        felt = self._stack.each(self._arrange(state), LearnedUsers.felt, users, slate, response)
        views = state.views
        if self.follow:
            views = self._stack.all(_remembered, views.transpose(0, 1), users, slate, response).transpose(0, 1)
        return SetState(*self._users.moved(plain(state), slate, response, felt, generator), state.member, views)

    def has_left(self, state: SetState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(self, state: SetState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`."""
        return self._users.step_seconds(plain(state), slate, response)

    @torch.no_grad()
    def return_gap(self, state: SetState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`."""
        if self._users.network.shape.gaps == 0:
            return torch.full_like(state.clock_s, torch.inf)
        users = only(plain(state), *_RETURNING)
        hazards, edges = self._stack.each(self._arrange(state), LearnedUsers.hazards, users)
        return draw_pause(hazards, edges, generator)

    def come_back(self, state: SetState, gap_s: Float64[Array, "B"], generator: Generator) -> SetState:
        """See :class:`UserModel`. The user stays in the same member."""
        return SetState(*self._users.come_back(plain(state), gap_s, generator), state.member, state.views)

    def observe(self, state: SetState) -> Observed:
        """See :class:`UserModel`. The group of a user is the member."""
        return self._users.observe(plain(state))._replace(group=state.member)

    @torch.no_grad()
    def all_expected(self, state: SetState, slate: Int64[Array, "B K"]) -> Float32[Array, "members B K F"]:
        """What each member expects of every user's answer to a slate, whichever member the user lives in.

        Each member looks at the user through a state of its own, which has seen the same record and the same steps.

        Raises:
            ValueError: members do not follow the users.
        """
        if not self.follow:
            raise ValueError("what all members expect is known with SimulatorSet(..., follow=True) only")
        users = only(plain(state), *_RESPONDING)
        parameters = self._stack.all(_parameters, state.views.transpose(0, 1), users, slate)
        lengths = self._users.tables.lengths[slate].expand(parameters.shape[:-1])
        plan = self._users.fitted.plan
        return plan.mean(plan.slates.alone(parameters), lengths)

    def uncertainty(
        self, state: SetState, slate: Int64[Array, "B K"], weights: Mapping[str, float] | None = None
    ) -> Float32[Array, "B K"]:
        """How far members disagree: the standard deviation of what they expect of each item of a slate.

        Args:
            state: the users; see ``follow``.
            slate: items shown together. A candidate by itself is a slate of one, see :meth:`uncertainty_alone`.
            weights: channel name to weight, of the sum that is expected; the primary channel alone if None.

        Raises:
            ValueError: members do not follow the users, or a channel is not known.
        """
        given = {self.schema.names[self._users.fitted.plan.primary]: 1.0} if weights is None else weights
        worth = torch.zeros(len(self.schema), device=slate.device)
        for name, weight in given.items():
            worth[self.schema.index(name)] = weight
        return (self.all_expected(state, slate) @ worth).std(0)

    def uncertainty_alone(
        self, state: SetState, candidates: Int64[Array, "B C"], weights: Mapping[str, float] | None = None
    ) -> Float32[Array, "B C"]:
        """The uncertainty of each candidate as a slate of its own; see :meth:`uncertainty`."""
        users, count = candidates.shape
        row = torch.arange(users, device=candidates.device).repeat_interleave(count)
        wanted = {name: getattr(state, name)[row] for name in (*_RESPONDING, "views", "left")}
        each = state._replace(**wanted)
        return self.uncertainty(each, candidates.reshape(-1, 1), weights).view(users, count)

    def save(self, folder: Path | str) -> None:
        """Write a folder with one folder a member, all or nothing."""
        with atomic_folder(Path(folder), _MARKER) as temporary:
            names = [f"member-{number}" for number in range(len(self.members))]
            for name, member in zip(names, self.members, strict=True):
                member.save(temporary / name)
            write_set(temporary, names)

    @classmethod
    def load(
        cls, folder: Path | str, device: str = "cpu", *, by_row: Sequence[int] | None = None, follow: bool = False
    ) -> "SimulatorSet":
        """Read a folder written by :meth:`save` or :func:`fit_set`; nothing in it is executed.

        Raises:
            ValueError: the folder is not a set of simulators, or a member cannot be read.
        """
        return cls(load_members(folder), device, by_row=by_row, follow=follow)


def _parameters(users: LearnedUsers, hidden: Tensor, state: LearnedState, slate: Tensor) -> Tensor:
    return users.parameters(state._replace(hidden=hidden), slate)


def _remembered(users: LearnedUsers, hidden: Tensor, state: LearnedState, slate: Tensor, response: Response) -> Tensor:
    return users.remembered(state._replace(hidden=hidden), slate, response)


def is_set(folder: Path | str) -> bool:
    """Whether a folder holds a set of simulators."""
    return (Path(folder) / _MARKER).is_file()


def member_folders(folder: Path | str) -> tuple[Path, ...]:
    """The folders of a set's members.

    Raises:
        ValueError: the folder is not a set of simulators.
    """
    folder = Path(folder)
    if not is_set(folder):
        raise ValueError(f"{folder} is not a set of simulators: it has no {_MARKER}")
    meta = read_json(folder / _MARKER)
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT or meta.get("version") != _VERSION:
        raise ValueError(f"{folder / _MARKER} does not describe a set of simulators of version {_VERSION}")
    return tuple(folder / name for name in meta["members"])


def load_members(folder: Path | str) -> tuple[FittedSimulator, ...]:
    """The members of a saved set; see :func:`member_folders`."""
    return tuple(FittedSimulator.load(path) for path in member_folders(folder))


def write_set(folder: Path, names: Sequence[str]) -> None:
    """Write what makes a set of the folders of its members."""
    write_json(folder / _MARKER, {"format": _FORMAT, "version": _VERSION, "members": list(names)})
