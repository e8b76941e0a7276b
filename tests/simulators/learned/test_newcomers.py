import dataclasses
from functools import lru_cache

import numpy as np
import polars as pl
import pytest
import torch

from recgym.data.features import FeatureEncoder, Numeric
from recgym.simulators.learned import BlendedUsers, FittedSimulator, FreshUsers, LearnedUsers
from recgym.simulators.learned.newcomers import Arrivals
from recgym.simulators.learned.snapshots import Snapshots
from recgym.stats import auc
from recgym.testing.user_model import user_model_checks
from tests.simulators.learned.known import fitted

HIDDEN, GROUPS = 6, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def crowd(users: int, seed: int) -> Snapshots:
    """Users of three groups, which have states, ages and a feature of their own; two snapshots each."""
    draw = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 2)
    group = draw.integers(GROUPS, size=users)[user]
    centre = np.random.default_rng(99).normal(0, 0.5, (GROUPS, HIDDEN))
    along = draw.normal(size=user.size)[:, None]
    hidden = np.tanh(centre[group] + 0.3 * along * np.sign(centre[group]) + 0.1 * draw.normal(size=(user.size, HIDDEN)))
    age = (group - 1.0) + 0.5 * along[:, 0]
    profile = np.stack([age, np.zeros(user.size), *(group == g for g in range(GROUPS))], 1)
    none = torch.zeros(user.size, 4)
    return Snapshots(
        user=torch.from_numpy(user), hidden=torch.from_numpy(hidden).float(),
        profile=torch.from_numpy(profile).float(), last_s=torch.from_numpy(-np.exp(6 + along[:, 0])),
        items=none.long(), feedback=none[:, :, None], time_s=none.double(),
    )  # fmt: skip


@lru_cache(maxsize=1)
def encoder() -> FeatureEncoder:
    group = [f"g{g}" for g in range(GROUPS - 1)] * 50
    frame = pl.DataFrame({"age": np.linspace(20.0, 60.0, 100), "group": group})
    found = FeatureEncoder.fit(frame)
    assert isinstance(found.columns[0], Numeric)
    assert found.width == 2 + GROUPS
    return found


def table(arrivals: Arrivals | Snapshots) -> np.ndarray:
    columns = [arrivals.hidden, arrivals.profile, torch.log1p(-arrivals.last_s)[:, None].float()]
    return torch.cat(columns, 1).numpy()


def told_apart(one: np.ndarray, two: np.ndarray) -> float:
    """AUC with which a nearest-neighbour vote tells two samples apart, on halves that it has not seen."""
    both = np.concatenate([one, two])
    both = (both - both.mean(0)) / np.maximum(both.std(0), 1e-6)
    label = np.repeat([0.0, 1.0], [len(one), len(two)])
    train = np.random.default_rng(0).random(len(both)) < 0.5
    distance = torch.cdist(torch.from_numpy(both[~train]), torch.from_numpy(both[train]))
    votes = label[train][distance.topk(15, largest=False).indices.numpy()].mean(1)
    return auc(votes, label[~train] > 0)


def test_blended_users_cannot_be_told_from_users_that_were_kept_out_but_shuffled_ones_can() -> None:
    blended = BlendedUsers.of(crowd(800, seed=1), encoder())
    others = table(crowd(800, seed=2))
    new = table(blended.draw(1600, generator()))
    assert abs(told_apart(others, new) - 0.5) < 0.06
    shuffled = np.stack([generator_.permutation(column) for generator_, column in _columns(new)], 1)
    assert told_apart(others, shuffled) > 0.8
    np.testing.assert_allclose(new.mean(0), others.mean(0), atol=0.1)
    np.testing.assert_allclose(new.std(0), others.std(0), rtol=0.1, atol=0.01)
    varied = others.std(0) > 0
    gap = np.corrcoef(new[:, varied], rowvar=False) - np.corrcoef(others[:, varied], rowvar=False)
    assert np.abs(gap).max() < 0.12


def _columns(values: np.ndarray) -> list[tuple[np.random.Generator, np.ndarray]]:
    return [(np.random.default_rng(i), column) for i, column in enumerate(values.T)]


def test_blended_users_are_copies_of_nobody_and_made_of_different_users() -> None:
    snapshots = crowd(200, seed=1)
    blended = BlendedUsers.of(snapshots, encoder())
    assert bool((snapshots.user[blended.near] != snapshots.user[:, None]).all())
    new = blended.draw(500, generator())
    assert not (new.hidden[:, None] == snapshots.hidden[None]).all(2).any()
    one_hot = new.profile[:, 2:]
    assert bool(((one_hot == 0) | (one_hot == 1)).all())
    assert bool((one_hot.sum(1) == 1).all())
    assert bool((new.last_s <= 0).all())


def test_too_few_users_cannot_be_blended() -> None:
    with pytest.raises(ValueError, match="more than 10 users, found 5"):
        BlendedUsers.of(crowd(5, seed=0), encoder())


def test_fresh_users_have_a_profile_and_no_past() -> None:
    users = LearnedUsers(fitted(), newcomers=FreshUsers(fitted().snapshots))
    state = users.sample_users(4000, generator())
    assert not state.hidden.any()
    assert bool(state.last_s.isnan().all())
    history = users.observe(state).history
    assert history is not None
    assert not history.mask.any()
    torch.testing.assert_close(state.profile.mean(0), torch.tensor([0.5, 0.5, 0.0]), atol=0.05, rtol=0)


@pytest.mark.parametrize("blended", [False, True])
def test_all_newcomers_keep_the_contract(blended: bool) -> None:
    snapshots = fitted().snapshots
    newcomers = BlendedUsers.of(snapshots, fitted().users) if blended else FreshUsers(snapshots)
    users = LearnedUsers(fitted(), newcomers=newcomers)
    assert type(users.on("cpu").newcomers) is type(newcomers)
    for check in user_model_checks(users):
        if "expected" not in check.name:  # answers do not depend on where users come from
            check.run()


def test_blended_users_of_a_real_fit_are_like_users_that_were_kept_out() -> None:
    simulator: FittedSimulator = fitted()
    kept = (simulator.snapshots.user // 2) % 2 == 0
    parts = [
        Snapshots(*(getattr(simulator.snapshots, f.name)[rows] for f in dataclasses.fields(Snapshots)))
        for rows in (kept, ~kept)
    ]
    new = BlendedUsers.of(parts[0], simulator.users).draw(parts[1].hidden.shape[0], generator()).hidden.numpy()
    old = parts[1].hidden.numpy()
    assert abs(told_apart(old, new) - 0.5) < 0.1
    shuffled = np.stack([draw.permutation(column) for draw, column in _columns(new)], 1)
    assert told_apart(old, shuffled) > 0.6
