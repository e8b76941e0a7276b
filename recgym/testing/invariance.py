"""What a user model must not depend on: hidden state in what it shows, the rest of the batch, the device."""

from typing import Any

import numpy as np
import torch

from recgym.arrays import arange, as_int, from_numpy, take_rows
from recgym.simulators.base import UserModel
from recgym.testing.checks import assert_same, difference
from recgym.testing.population import STEPS, USERS, Population
from recgym.types import Array

__all__ = ["check_devices", "check_hidden", "check_rows"]

ROUNDING = 1e-5
"""How far float32 results may lie apart that are computed in another order."""


def check_hidden(p: Population) -> None:
    """An intervention: other users' hidden state under the same observable state must not change what is observed."""
    order = from_numpy(np.roll(np.arange(USERS), 1), p.device)
    for steps in (0, STEPS):
        state = p.users(steps)
        observed = p.model.observe(state)
        for field in p.model.hidden_fields:
            assert hasattr(state, field), f"{p.name}: hidden field {field!r} is not in the state"
            other = state._replace(**{field: take_rows(getattr(state, field), order)})
            assert_same(observed, p.model.observe(other), f"{p.name}: observe() depends on the hidden field {field!r}")


def check_rows(p: Population) -> None:
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


def _check_part(p: Population, rows: Array) -> None:
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


def check_devices(model: UserModel[Any], seed: int) -> None:
    """Where no noise enters, numpy and torch give the same numbers for the same users."""
    if not model.runs_on_numpy:
        return
    p = Population(model.on("numpy"), "numpy", seed)
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
