"""The contract of :class:`recgym.simulators.UserModel`."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from recgym.arrays import from_numpy, full, take_rows, to_numpy
from recgym.data.schema import ChannelKind
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.organic import OrganicUsers
from recgym.testing.checks import Check, assert_same, expect_array, leaves, untouched
from recgym.testing.invariance import check_devices, check_hidden, check_rows
from recgym.testing.means import mean_gap
from recgym.testing.population import STEPS, USERS, Population
from recgym.testing.visits import check_visit
from recgym.types import Response

__all__ = ["check_user_model", "user_model_checks"]

COPIES, ROUNDS = 64, 200
"""Each user's expected answer is held against COPIES * ROUNDS draws."""


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
    checks: list[tuple[str, Callable[[Population], None]]] = [
        ("users: sizes and types", _check_types),
        ("users: pure and reproducible", _check_purity),
        ("users: feedback is legal", _check_feedback),
        ("users: expected() is the mean", _check_expected),
        ("users: come_back() starts a session", _check_return),
        ("users: visits between steps", _check_visits),
        ("users: observe() sees nothing hidden", check_hidden),
        ("users: rows are independent", check_rows),
    ]

    def on_devices(check: Callable[[Population], None]) -> None:
        for device in ("cpu", "numpy") if model.runs_on_numpy else ("cpu",):
            check(Population(model.on(device), device, seed))

    named = [Check(name, partial(on_devices, check)) for name, check in checks]
    return (*named, Check("users: numpy and torch agree", partial(check_devices, model, seed)))


def _check_types(p: Population) -> None:
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


def _check_observed(p: Population, observed: Observed) -> None:
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


def _check_refuses_numpy(p: Population) -> None:
    try:
        p.model.on("numpy")
    except ValueError:
        return
    raise AssertionError(f"{p.name}: on('numpy') was expected to raise a ValueError, because runs_on_numpy is False")


def _check_purity(p: Population) -> None:
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


def _check_return(p: Population) -> None:
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


def _check_visits(p: Population) -> None:
    """What users consume unasked, if they do: legal events in order, within the time of the visit, and pure."""
    if not isinstance(p.model, OrganicUsers):
        return
    for steps in (0, STEPS):
        state = p.users(steps)
        with untouched(f"{p.name}: visit()", state):
            visit = p.model.visit(state)
        check_visit(visit, USERS, p.model.longest_visit, p.model.num_items, len(p.model.schema), f"{p.name}: visit()")


def _check_feedback(p: Population) -> None:
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


def _check_channels(p: Population, response: Response, *, draws: bool) -> None:
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


def _check_expected(p: Population) -> None:
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
