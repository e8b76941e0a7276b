"""A cluster gives the bits that one process gives, whoever dies on the way."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.abtest import Method, Thompson, allocate_adaptively, pools_of, replicate
from recgym.agents.base import RandomPolicy
from recgym.envs import make_task
from recgym.evaluation import OneStepOracle, action_spec, record, rollout
from recgym.scale import RayWorkers, cluster, connected
from recgym.workers import Processes, Workers

# Of four places a task takes 4, 2 or 1: so many workers are at work at a time.
SHARED = {"one": RayWorkers(cpus=4), "two": RayWorkers(cpus=2), "four": RayWorkers(cpus=1)}


@pytest.fixture(params=list(SHARED))
def workers(request: pytest.FixtureRequest, local_ray: None) -> Workers:
    return SHARED[request.param]


def _same(one: Any, other: Any) -> None:
    for name in one.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_rollouts_are_the_same_bits(workers: Workers) -> None:
    task = make_task("recgym/InterestEvolution-v0", {})
    for policy in (RandomPolicy(action_spec(task)), OneStepOracle):
        alone, spread = (
            rollout(policy, task, users=2500, seeds=(3, 4), max_steps=8, record=True, workers=some)
            for some in (1, workers)
        )
        _same(alone.episodes, spread.episodes)
        for seed in range(2):
            assert alone.to_log(seed).frame.equals(spread.to_log(seed).frame)


def test_records_are_the_same_bits(workers: Workers, tmp_path: Path) -> None:
    task = make_task("recgym/InterestEvolution-v0", {})
    policy = RandomPolicy(action_spec(task))
    alone = record(policy, task, 20_000, seed=5, max_steps=7)
    spread = record(policy, task, 20_000, tmp_path / "log", seed=5, max_steps=7, workers=workers)
    assert alone.columns.keys() == spread.columns.keys()
    for name, column in alone.columns.items():
        assert np.array_equal(column, spread.columns[name], equal_nan=True), name


def test_replications_are_the_same_bits(workers: Workers) -> None:
    draw = np.random.default_rng(0)
    pools = pools_of(draw.normal(0, 1, 500), draw.normal(0.1, 1, 500))
    methods = (Method.FIXED, Method.MSPRT)
    alone, spread = (replicate(pools, range(50, 401, 50), 100, methods=methods, workers=w) for w in (1, workers))
    assert alone.summary() == spread.summary()
    assert np.array_equal(alone.counts, spread.counts)
    first, second = (allocate_adaptively(pools, "value", Thompson(), 300, 70, workers=w) for w in (1, workers))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def _spent(folder: Path, piece: int) -> int:
    """Kills its process at the first attempt at piece 2, and leaves a mark at every attempt."""
    attempts = len(list(folder.glob(f"{piece}-*")))
    (folder / f"{piece}-{attempts}").touch()
    if piece == 2 and not attempts:
        os.kill(os.getpid(), signal.SIGKILL)
    return piece


def test_a_task_that_kills_its_worker_is_done_again(local_ray: None, tmp_path: Path) -> None:
    assert list(SHARED["two"].map(_spent, tmp_path, range(6))) == list(range(6))
    assert len(list(tmp_path.glob("2-*"))) == 2


def _named(folder: Path, piece: int) -> int:
    (folder / f"{piece}-{os.getpid()}").touch()
    time.sleep(0.1)
    return piece


def test_a_worker_that_is_killed_from_outside_loses_nothing(local_ray: None, tmp_path: Path) -> None:
    made = RayWorkers(cpus=2).map(_named, tmp_path, range(30))
    first = next(made)
    victims = {int(mark.name.partition("-")[2]) for mark in tmp_path.iterdir()} - {os.getpid()}
    os.kill(victims.pop(), signal.SIGKILL)
    assert [first, *made] == list(range(30))


def test_a_task_that_never_ends_well_is_given_up(local_ray: None) -> None:
    with pytest.raises(RuntimeError, match="lost its worker 2 times"):
        list(RayWorkers(retries=1).map(lambda _, piece: os.kill(os.getpid(), signal.SIGKILL), None, range(1)))


def test_what_goes_wrong_in_a_task_is_said_here(local_ray: None) -> None:
    task = make_task("recgym/LongTermSatisfaction-v0", {})

    def broken(simulation: Any) -> Any:
        raise ValueError("this policy is broken")

    with pytest.raises(ValueError, match=r"^this policy is broken$"):
        rollout(broken, task, users=10, workers=RayWorkers())


class _Counted:
    """Leaves a mark wherever it is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[Path], "_Counted"], tuple[Path]]:
        return _unpacked, (self.folder,)


def _unpacked(folder: Path) -> _Counted:
    (folder / f"{os.getpid()}-{time.time_ns()}").touch()
    return _Counted(folder)


def _process(setup: _Counted, piece: int) -> int:
    return os.getpid()


def test_what_tasks_share_is_unpacked_once_a_worker(local_ray: None, tmp_path: Path) -> None:
    processes = set(SHARED["four"].map(_process, _Counted(tmp_path), range(20)))
    assert len(list(tmp_path.iterdir())) == len(processes)


def test_workers_write_to_what_they_unpack_and_have_the_callers_threads(local_ray: None) -> None:
    def written(array: np.ndarray, piece: int) -> int:
        array[:] = piece
        return torch.get_num_threads()

    assert set(RayWorkers().map(written, np.zeros(10**6), range(4))) == {torch.get_num_threads()}


def test_there_may_be_no_end_of_pieces(local_ray: None) -> None:
    made = RayWorkers().map(_twice, 2, count())
    assert list(islice(made, 40)) == [2 * piece for piece in range(40)]
    made.close()


def _twice(factor: int, piece: int) -> int:
    return factor * piece


def test_a_cluster_that_is_there_is_used(local_ray: None) -> None:
    with cluster("auto") as workers:
        assert workers == RayWorkers()
    with connected("auto"):
        assert list(RayWorkers().map(_twice, 3, [1])) == [3]


def test_without_an_address_there_is_no_ray() -> None:
    with cluster(None) as workers:
        assert workers == Processes(1)
    with cluster(None, 2) as workers:
        assert workers == Processes(2)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"recgym\[ray\]"), cluster("auto"):
        pass


def test_workers_of_a_cluster_elsewhere_are_its_own(local_ray: None) -> None:
    with pytest.raises(ValueError, match="only with auto"), cluster("10.0.0.1:6379", 3):
        pass


def _pieces() -> Iterator[int]:
    yield from ()


def test_no_pieces_no_results(local_ray: None) -> None:
    assert list(RayWorkers().map(_twice, 1, _pieces())) == []
