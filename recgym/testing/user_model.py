"""The contract of :class:`recgym.simulators.UserModel`."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from recgym.arrays import arange, as_int, from_numpy, full, integers, take_rows, to_numpy
from recgym.data.schema import ChannelKind
from recgym.seeding import make_generator
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.organic import OrganicUsers
from recgym.testing.checks import Check, assert_same, difference, expect_array, leaves, untouched
from recgym.testing.means import mean_gap
from recgym.testing.visits import check_visit
from recgym.types import Array, Generator, Response

__all__ = ["check_user_model", "user_model_checks"]

USERS, STEPS = 32, 5
COPIES, ROUNDS = 64, 200
"""Each user's expected answer is held against COPIES * ROUNDS draws."""
ROUNDING = 1e-5
"""How far float32 results may lie apart that are computed in another order."""


def check_user_model(model: UserModel[Any], seed: int = 0) -> None:
    """Check everything that :class:`recgym.simulators.UserModel` promises, on numpy too if the model runs there.

    Args:
        model: the model.
        seed: of all draws.

    Raises:
        AssertionError: a promise is broken; the sentence says which.
    """
    for check in user_model_checks(model, seed):
        check.run()


def user_model_checks(model: UserModel[Any], seed: int = 0) -> tuple[Check, ...]:
    """The parts of :func:`check_user_model`, to be run one by one."""
    checks: list[tuple[str, Callable[[_Population], None]]] = [
        ("users: sizes and types", _check_types),
        ("users: pure and reproducible", _check_purity),
        ("users: feedback is legal", _check_feedback),
        ("users: expected() is the mean", _check_expected),
        ("users: come_back() starts a session", _check_return),
        ("users: visits between steps", _check_visits),
        ("users: observe() sees nothing hidden", _check_hidden),
        ("users: rows are independent", _check_rows),
    ]

    def on_devices(check: Callable[[_Population], None]) -> None:
        for device in ("cpu", "numpy") if model.runs_on_numpy else ("cpu",):
            check(_Population(model.on(device), device, seed))

    named = [Check(name, partial(on_devices, check)) for name, check in checks]
    return (*named, Check("users: numpy and torch agree", partial(_check_devices, model, seed)))


@dataclass(frozen=True)
class _Population:
    """A model on one device, and the users and slates that the checks give it."""

    model: UserModel[Any]
    device: str
    seed: int

    @property
    def name(self) -> str:
        return f"{type(self.model).__name__} on {self.device}"

    def generator(self, purpose: str) -> Generator:
        return make_generator(self.seed, purpose, device=self.device)

    def slates(self, purpose: str = "slates", size: int | None = None) -> Array:
        """Random slates ``[USERS, K]``; items may repeat."""
        size = min(3, self.model.num_items) if size is None else size
        return integers(self.generator(purpose), self.model.num_items, (USERS, size))

    def users(self, steps: int = 0) -> Any:
        """Users some steps into their session."""
        generator = self.generator("users")
        state = self.model.sample_users(USERS, generator)
        for step in range(steps):
            slate = self.slates(f"slates of step {step}")
            state = self.model.advance(state, slate, self.model.respond(state, slate, generator), generator)
        return state


def _check_types(p: _Population) -> None:
    model, generator, state = p.model, p.generator("types"), p.users(STEPS)
    width = int(model.item_features.shape[1]) if model.item_features.ndim == 2 else -1
    expect_array(model.item_features, (model.num_items, width), "float32", f"{p.name}: item_features")
    assert isinstance(state, tuple) and hasattr(state, "_fields"), f"{p.name}: the state is not a named tuple"  # noqa: PT018
    for field in model.hidden_fields:
        assert field in state._fields, (
            f"{p.name}: hidden field {field!r} is not in the state ({', '.join(state._fields)})"
        )
    kind = np.ndarray if p.device == "numpy" else torch.Tensor
    for path, leaf in leaves(state):
        assert isinstance(leaf, kind), f"{p.name}: state.{path} is a {type(leaf).__name__}, expected {kind.__name__}"
        assert leaf.shape[:1] == (USERS,), (
            f"{p.name}: state.{path} has shape {tuple(leaf.shape)}, users were expected first"
        )
    slate = p.slates()
    response = model.respond(state, slate, generator)
    shape = (*slate.shape, len(model.schema))
    expect_array(response.feedback, shape, "float32", f"{p.name}: the feedback of respond()")
    expect_array(model.expected(state, slate).feedback, shape, "float32", f"{p.name}: the feedback of expected()")
    expect_array(model.has_left(state), (USERS,), "bool", f"{p.name}: has_left()")
    seconds, gap = model.step_seconds(state, slate, response), model.return_gap(state, generator)
    expect_array(seconds, (USERS,), "float32", f"{p.name}: step_seconds()")
    expect_array(gap, (USERS,), "float64", f"{p.name}: return_gap()")
    lengths, pauses = to_numpy(seconds), to_numpy(gap)
    assert (np.isfinite(lengths) & (lengths >= 0)).all(), f"{p.name}: step_seconds() gives {lengths.min()}"
    assert (pauses >= 0).all(), f"{p.name}: return_gap() gives {pauses.min()}, expected seconds of 0 or more"
    _check_observed(p, model.observe(state))
    if not model.runs_on_numpy:
        _check_refuses_numpy(p)


def _check_observed(p: _Population, observed: Observed) -> None:
    model = p.model
    expect_array(observed.profile, (USERS, model.profile_size), "float32", f"{p.name}: the profile of observe()")
    if observed.group is not None:
        expect_array(observed.group, (USERS,), "int64", f"{p.name}: the group of observe()")
    history = observed.history
    if history is None:
        return
    length = int(history.items.shape[1])
    expect_array(history.items, (USERS, length), "int64", f"{p.name}: the items of the history")
    expect_array(
        history.feedback, (USERS, length, len(model.schema)), "float32", f"{p.name}: the feedback of the history"
    )
    expect_array(history.time_s, (USERS, length), "float64", f"{p.name}: the times of the history")
    expect_array(history.mask, (USERS, length), "bool", f"{p.name}: the mask of the history")
    items, mask, times = to_numpy(history.items), to_numpy(history.mask), to_numpy(history.time_s)
    legal = np.where(mask, (items >= 0) & (items < model.num_items), items == model.num_items)
    assert legal.all(), f"{p.name}: the history holds an item outside 0..{model.num_items - 1} or wrong padding"
    assert (np.diff(mask.astype(int), axis=1) >= 0).all(), f"{p.name}: the history is not right-aligned"
    assert (times[mask] <= 0).all(), f"{p.name}: the history holds an event after the start of the episode, at 0 s"
    assert not to_numpy(history.feedback)[~mask].any(), f"{p.name}: the padding of the history holds feedback"


def _check_refuses_numpy(p: _Population) -> None:
    try:
        p.model.on("numpy")
    except ValueError:
        return
    raise AssertionError(f"{p.name}: on('numpy') was expected to raise a ValueError, because runs_on_numpy is False")


def _check_purity(p: _Population) -> None:
    """Every method leaves its inputs and global randomness alone, and depends on nothing but its arguments."""
    model, slate = p.model, p.slates()

    def users() -> Any:
        with untouched(f"{p.name}: sample_users()"):
            return model.sample_users(USERS, p.generator("purity"))

    assert_same(users(), users(), f"{p.name}: sample_users() differs between two generators of the same seed")
    state = p.users(STEPS)
    response = model.respond(state, slate, p.generator("answers"))
    day = full((USERS,), 86_400.0, "float64", p.device)
    calls: dict[str, Callable[[], Any]] = {
        "respond()": lambda: model.respond(state, slate, p.generator("purity")),
        "advance()": lambda: model.advance(state, slate, response, p.generator("purity")),
        "return_gap()": lambda: model.return_gap(state, p.generator("purity")),
        "come_back()": lambda: model.come_back(state, day, p.generator("purity")),
        "expected()": lambda: model.expected(state, slate),
        "observe()": lambda: model.observe(state),
        "has_left()": lambda: model.has_left(state),
        "step_seconds()": lambda: model.step_seconds(state, slate, response),
    }
    for name, call in calls.items():
        with untouched(f"{p.name}: {name}", state, slate, response):
            first = copy.deepcopy(call())
            second = call()
        assert_same(first, second, f"{p.name}: {name} differs between two calls with equal arguments and seeds")


def _check_return(p: _Population) -> None:
    """Users who come back have not left, and their states are of the same form."""
    state = p.users(STEPS)
    back = p.model.come_back(state, full((USERS,), 86_400.0, "float64", p.device), p.generator("return"))
    before, after = leaves(state), leaves(back)
    for (path, old), (_, new) in zip(before, after, strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype), (
            f"{p.name}: come_back() turns state.{path} from {old.dtype} {tuple(old.shape)} "
            f"into {new.dtype} {tuple(new.shape)}"
        )
    assert not to_numpy(p.model.has_left(back)).any(), f"{p.name}: users have left again as soon as they come back"
    p.model.respond(back, p.slates("slates after the return"), p.generator("answers after the return"))


def _check_visits(p: _Population) -> None:
    """What users consume unasked, if they do: legal events in order, within the time of the visit, and pure."""
    if not isinstance(p.model, OrganicUsers):
        return
    for steps in (0, STEPS):
        state = p.users(steps)
        with untouched(f"{p.name}: visit()", state):
            visit = p.model.visit(state)
        check_visit(visit, USERS, p.model.longest_visit, p.model.num_items, len(p.model.schema), f"{p.name}: visit()")


def _check_feedback(p: _Population) -> None:
    """Feedback within its channels' bounds; nothing where an item repeats."""
    for steps in (0, STEPS):
        state, slate = p.users(steps), p.slates()
        _check_channels(p, p.model.respond(state, slate, p.generator("feedback")), draws=True)
        _check_channels(p, p.model.expected(state, slate), draws=False)
        once = p.slates("one item", 1)
        same = from_numpy(np.repeat(to_numpy(once), 3, axis=1), p.device)
        for name, response in (
            ("respond()", p.model.respond(state, same, p.generator("repeats"))),
            ("expected()", p.model.expected(state, same)),
        ):
            later = to_numpy(response.feedback)[:, 1:]
            assert not later.any(), (
                f"{p.name}: {name} answers an item at a later position of a slate that shows it already"
            )


def _check_channels(p: _Population, response: Response, *, draws: bool) -> None:
    values = to_numpy(response.feedback)
    for index, channel in enumerate(p.model.schema.channels):
        column = values[..., index]
        # A position without an answer holds 0, whatever the bounds; an expectation lies between that and an answer.
        low, high = (channel.low, channel.high) if draws else (min(channel.low, 0.0), max(channel.high, 0.0))
        legal = np.isfinite(column) & (((column >= low) & (column <= high)) | (column == 0))
        if draws and channel.kind in (ChannelKind.BINARY, ChannelKind.COUNT):
            legal &= column == np.floor(column)
        found = column[~legal][:1]
        assert legal.all(), f"{p.name}: channel {channel.name!r} gives {found}, which is no legal {channel.kind.value}"


def _check_expected(p: _Population) -> None:
    """The expectation of each user's answer, and of all users' together, against many draws."""
    for steps in (0, STEPS):
        state, slate = p.users(steps), p.slates()
        rows = from_numpy(np.tile(np.arange(USERS), COPIES), p.device)
        many, slates, generator = take_rows(state, rows), slate[rows], p.generator("draws")
        draws = np.stack([to_numpy(p.model.respond(many, slates, generator).feedback) for _ in range(ROUNDS)])
        draws = draws.reshape(ROUNDS * COPIES, USERS, *draws.shape[2:]).astype(np.float64)
        expected = to_numpy(p.model.expected(state, slate).feedback).astype(np.float64)
        for index, channel in enumerate(p.model.schema.channels):
            binary = channel.kind is ChannelKind.BINARY
            gap = mean_gap(draws[..., index], expected[..., index], binary=binary)
            assert gap is None, f"{p.name}: expected() is not the mean of respond() in channel {channel.name!r}: {gap}"


def _check_hidden(p: _Population) -> None:
    """An intervention: other users' hidden state under the same observable state must not change what is observed."""
    order = from_numpy(np.roll(np.arange(USERS), 1), p.device)
    for steps in (0, STEPS):
        state = p.users(steps)
        observed = p.model.observe(state)
        for field in p.model.hidden_fields:
            assert hasattr(state, field), f"{p.name}: hidden field {field!r} is not in the state"
            other = state._replace(**{field: take_rows(getattr(state, field), order)})
            assert_same(observed, p.model.observe(other), f"{p.name}: observe() depends on the hidden field {field!r}")


def _check_rows(p: _Population) -> None:
    """A user's row does not depend on who else is in the batch, and rows that are named get what belongs to them."""
    for some in ([5, 2, 7], [4]):
        _check_part(p, from_numpy(np.array(some), p.device))
    first = p.model.sample_users(USERS, p.generator("rows"))
    named = p.model.sample_users(USERS, p.generator("rows"), arange(USERS, p.device))
    assert_same(first, named, f"{p.name}: sample_users() differs between rows=None and rows=0..{USERS - 1}")
    rows = from_numpy(np.array([5, 2, 7]), p.device)
    group, again = p.model.observe(first).group, p.model.observe(p.users(STEPS)).group
    few = p.model.observe(p.model.sample_users(3, p.generator("rows"), rows)).group
    if group is not None and difference(group, again) is None:
        assert_same(group[rows], few, f"{p.name}: sample_users(rows=...) gives rows another group than their own")


def _check_part(p: _Population, rows: Array) -> None:
    """Some users, or one, by themselves: the same as in the batch, but for rounding, which differs by size."""
    state, slate = p.users(STEPS), p.slates()
    some, shown = take_rows(state, rows), slate[rows]
    for name, whole, part in (
        ("expected()", p.model.expected(state, slate), p.model.expected(some, shown)),
        ("observe()", p.model.observe(state), p.model.observe(some)),
        ("has_left()", p.model.has_left(state), p.model.has_left(some)),
    ):
        sentence = f"{p.name}: {name} of a user depends on the rest of the batch"
        assert_same(_pick(whole, rows), part, sentence, relative=ROUNDING)


def _pick(tree: Any, rows: Array) -> Any:
    """Rows of every array in a tree whose leaves may also be None."""
    if isinstance(tree, tuple):
        return type(tree)(*(_pick(leaf, rows) for leaf in tree))
    return None if tree is None else tree[rows]


def _check_devices(model: UserModel[Any], seed: int) -> None:
    """Where no noise enters, numpy and torch give the same numbers for the same users."""
    if not model.runs_on_numpy:
        return
    p = _Population(model.on("numpy"), "numpy", seed)
    torch_model = model.on("cpu")
    for steps in (0, STEPS):
        state, slate = p.users(steps), p.slates()
        response = p.model.respond(state, slate, p.generator("answers"))
        twin, shown, answer = _to_torch(state), as_int(_to_torch(slate)), _to_torch(response)
        for name, ours, theirs in (
            ("expected()", p.model.expected(state, slate), torch_model.expected(twin, shown)),
            ("observe()", p.model.observe(state), torch_model.observe(twin)),
            ("has_left()", p.model.has_left(state), torch_model.has_left(twin)),
            (
                "step_seconds()",
                p.model.step_seconds(state, slate, response),
                torch_model.step_seconds(twin, shown, answer),
            ),
        ):
            assert_same(
                ours, theirs, f"{type(model).__name__}: {name} differs between numpy and torch", relative=ROUNDING
            )
    assert_same(
        p.model.item_features, torch_model.item_features, f"{type(model).__name__}: item_features differ by device"
    )


def _to_torch(tree: Any) -> Any:
    if isinstance(tree, tuple):
        return type(tree)(*(_to_torch(leaf) for leaf in tree))
    return torch.from_numpy(np.array(tree))
