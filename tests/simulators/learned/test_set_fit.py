from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from recgym.data import InteractionLog
from recgym.simulators.learned import LearnedConfig, SetConfig, SimulatorSet, fit, fit_set
from recgym.simulators.learned.lesson import Variation
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.set_dynamics import bend, told_apart
from recgym.simulators.learned.set_fit import member_config
from recgym.simulators.learned.set_resample import resample_users
from tests.simulators.learned.known import known_log, plain_log

TINY = LearnedConfig(hidden=12, item_width=6, max_epochs=2, history=8, window=20, max_snapshots=100)
TWO = SetConfig(members=2, base=TINY)


@lru_cache(maxsize=1)
def log() -> InteractionLog:
    return known_log(seed=2, users=60, sessions=4).log


def test_a_sample_has_the_rows_of_its_users_as_often_as_they_were_drawn() -> None:
    sample = np.array([5, 0, 5, 7])
    drawn = resample_users(log(), sample)
    assert drawn.n_users == 4
    assert drawn.n_items == log().n_items
    names = ["item", "time_s", "position", "click", "watch"]
    for new, old in enumerate([0, 5, 5, 7]):
        rows = drawn.frame.filter(pl.col("user") == new)
        assert rows.select(names).equals(log().frame.filter(pl.col("user") == old).select(names))
        assert drawn.user_features is not None
        assert log().user_features is not None
        assert drawn.user_features.row(new) == log().user_features.row(old)  # type: ignore[union-attr]
    for name in ("session", "slate"):
        users = drawn.frame.group_by(name).agg(pl.col("user").n_unique())["user"]
        assert users.max() == 1, f"a {name} belongs to one user"
        assert drawn.frame[name].n_unique() == sum(
            log().frame.filter(pl.col("user") == old)[name].n_unique() for old in sample
        )


def test_a_sample_of_a_log_without_slates_stays_without() -> None:
    drawn = resample_users(plain_log(), np.array([1, 1]))
    assert drawn.frame["slate"].null_count() == drawn.n_rows
    with pytest.raises(ValueError, match=r"users 0\.\.59"):
        resample_users(plain_log(), np.array([60]))


def test_a_sample_of_each_user_once_is_the_plain_fit() -> None:
    plain, sampled = fit(log(), TINY, 3), fit(log(), TINY, 3, variation=Variation(np.arange(60)))
    for one, other in zip(plain.network.state_dict().values(), sampled.network.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_settings_are_dealt_evenly_and_not_in_order() -> None:
    config = SetConfig(members=9, widths=(0.25, 0.5, 1.0))
    dealt = [member_config(config, member, seed=0) for member in range(9)]
    for name, values in (("hidden", [16, 32, 64]), ("item_width", [8, 16, 32]), ("dropout", [0.05, 0.1, 0.2])):
        found = [getattr(one, name) for one in dealt]
        assert sorted(found) == sorted(values * 3)
        assert found != sorted(found)
    assert [one.hidden for one in dealt] != [member_config(config, member, seed=1).hidden for member in range(9)]
    assert {one.history for one in dealt} == {20}


def test_members_differ_in_all_that_they_should_and_share_the_rest() -> None:
    users = fit_set(log(), TWO, seed=4)
    one, other = users.members
    assert one.report.rows != other.report.rows, "they saw other users"
    assert (one.config.hidden, one.config.item_width) != (other.config.hidden, other.config.item_width)
    assert [note for note in one.report.notes if "bent by" in note] != list(other.report.notes)
    assert one.user_ids.equals(other.user_ids)
    assert one.facts == other.facts
    assert one.facts.end_time == log().frame["time_s"].max()
    state = users.sample_users(40, torch.Generator().manual_seed(0))
    slate = torch.arange(4).expand(40, 4)
    swapped = state._replace(member=1 - state.member)
    assert (users.expected(state, slate).feedback - users.expected(swapped, slate).feedback).abs().mean() > 0.005


def test_a_fit_goes_on_where_it_was_cut_short(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    passes: list[tuple[int, int]] = []
    whole = fit_set(log(), TWO, 4, folder, lambda member, epoch: passes.append((member, epoch.number)))
    assert passes == [(0, 1), (0, 2), (1, 1), (1, 2)]
    weights = [member.network.out.weight.clone() for member in whole.members]
    (folder / "set.json").unlink()
    for path in (folder / "member-1").iterdir():
        path.unlink()
    (folder / "member-1").rmdir()
    passes.clear()
    again = fit_set(log(), TWO, 4, folder, lambda member, epoch: passes.append((member, epoch.number)))
    assert {member for member, _ in passes} == {1}
    for member, weight in zip(again.members, weights, strict=True):
        assert torch.equal(member.network.out.weight, weight)
    assert len(SimulatorSet.load(folder).members) == 2
    with pytest.raises(ValueError, match="another seed"):
        fit_set(log(), TWO, 5, folder)
    with pytest.raises(ValueError, match="another config"):
        fit_set(log(), replace(TWO, members=3), 4, folder)
    with pytest.raises(ValueError, match="another log"):
        fit_set(plain_log(), TWO, 4, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all I have")
    with pytest.raises(ValueError, match="holds other things"):
        fit_set(log(), TWO, 4, tmp_path / "mine")


def parabola(network: ResponseNetwork) -> np.ndarray:
    """Losses of 400 users, parabolas in the odds of leaving: best at 0 for all together, with standard error 0.05."""
    best = np.random.default_rng(0).normal(0.0, 1.0, 400)
    loss: np.ndarray = 0.5 * (float(network.leave_shift) - (best - best.mean())) ** 2
    return loss


def test_dynamics_bend_as_far_as_the_tail_leaves_open() -> None:
    network = fit(log(), TINY, 3).network

    def at(shift: float) -> np.ndarray:
        network.leave_shift.fill_(shift)
        return parabola(network)

    for shift, apart in ((0.05, False), (-0.08, False), (0.15, True), (-0.4, True)):
        assert told_apart(at(shift), at(0.0)) == apart, shift
    reached = []
    for seed in range(40):
        network.leave_shift.zero_()
        bent = bend(network, parabola, seed)
        reached.append(bent["log odds of leaving"])
        assert float(network.leave_shift) == pytest.approx(reached[-1])
        assert set(bent.values()) == {0.0, reached[-1]}, "what the tail says nothing of at all is left alone"
    # The first of 1, 1/3, 1/9, ... within 2 standard errors is 1/27.
    assert 0.03 < max(reached) <= 1 / 27
    assert -0.03 > min(reached) >= -1 / 27


@pytest.mark.parametrize("setting", [{"members": 0}, {"widths": (0.0,)}, {"dropouts": (1.0,)}])
def test_settings_without_sense_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        SetConfig(**setting)  # type: ignore[arg-type]
