"""Blocks of work on a Ray cluster, this machine's or another's, with the bits that one process gives."""

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import cloudpickle
import torch

from recgym.scale import bridge
from recgym.workers import Processes, Workers, in_turn

__all__ = ["LOCAL", "RayWorkers", "cluster", "connected"]

Setup = TypeVar("Setup")
Piece = TypeVar("Piece")
Made = TypeVar("Made")

LOCAL = "auto"
"""The address that stands for a Ray of this machine, started for the occasion."""

_AHEAD = 2
"""Tasks under way or waiting to be fetched, for each worker: bounds memory."""
_TASK_S, _MOST = 0.25, 64
"""How long a task should take, and how many pieces it may hold: each task costs Ray some milliseconds of processors."""


@contextmanager
def cluster(address: str | None, workers: int | None = None) -> Iterator[Workers]:
    """Workers for :func:`recgym.evaluation.rollout` and all else that takes them.

    Args:
        address: ``"auto"`` starts a Ray of this machine and stops it afterwards; ``HOST:PORT`` joins a cluster; None is
            no Ray: processes of this machine. A Ray that this process is already connected to is used and left running.
        workers: how many; without Ray 1 by default, with it one a processor. A cluster that is joined has its own.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        ValueError: nothing answers at the address, or ``workers`` is not positive or comes with an address.
    """
    if address is None:
        yield Processes(1 if workers is None else workers)
        return
    with connected(address, workers):
        yield RayWorkers()


@contextmanager
def connected(address: str, processors: int | None = None) -> Iterator[None]:
    """A connection to Ray; see :func:`cluster`.

    Args:
        address: ``"auto"`` or ``HOST:PORT``.
        processors: of a Ray that is started here; all there are by default.
    """
    ray = bridge.ray()
    if processors is not None and (processors < 1 or address != LOCAL):
        raise ValueError(f"found {processors} workers for Ray at {address}, expected 1 or more, and only with {LOCAL}")
    if ray.is_initialized():
        yield
        return
    where: dict[str, Any] = {"address": address}
    if address == LOCAL:
        where = {"address": "local", "num_cpus": processors, "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ValueError(f"no Ray cluster could be joined at {address}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class RayWorkers:
    """Tasks on the Ray cluster that this process is connected to.

    A task does several pieces, one after the other, if they are short. It keeps nothing, so one whose worker is killed
    is begun anew elsewhere and its results are taken once. What all tasks share lies in the object store and is
    unpacked once by each worker process, which runs as many threads of PyTorch as the caller.

    Attributes:
        cpus: processors that a task reserves; a cluster of C runs C / cpus tasks at a time.
        gpus: GPUs that a task reserves, for a device such as cuda; a part of one will do.
        retries: how often a task is begun anew.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    retries: int = 3

    def map(
        self, work: Callable[[Setup, Piece], Made], setup: Setup, pieces: Iterable[Piece]
    ) -> Generator[Made, None, None]:
        """See :class:`recgym.workers.Workers`.

        Raises:
            RuntimeError: a task lost its worker more often than it may be begun anew.
        """
        ray = bridge.ray()
        # In a list: Ray would unpack a bare reference for every task.
        # As bytes: the arrays of what Ray unpacks cannot be written to.
        shared = [ray.put((cloudpickle.dumps((work, setup)), torch.get_num_threads()))]
        task = ray.remote(_some).options(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=self.retries)

        def fetch(ticket: Any) -> tuple[list[Made], float]:
            try:
                made: tuple[list[Made], float] = ray.get(ticket)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.WorkerCrashedError as error:
                raise RuntimeError(f"a task lost its worker {self.retries + 1} times; memory may be short") from error
            return made

        places = max(int(ray.cluster_resources().get("CPU", 1) / self.cpus), 1)
        # What was begun and is not wanted any more runs to its end: to cancel tasks may abort the caller (Ray 2.60).
        groups = _Groups(pieces)
        for made, seconds in in_turn(groups, lambda group: task.remote(shared, group), fetch, _AHEAD * places):
            groups.took(len(made), seconds)
            yield from made


class _Groups(Generic[Piece]):
    """Pieces in groups, each as large as those before it tell."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._pieces, self._size = iter(pieces), 1

    def __iter__(self) -> Iterator[list[Piece]]:
        while group := list(islice(self._pieces, self._size)):
            yield group

    def took(self, count: int, seconds: float) -> None:
        """How long so many pieces took."""
        self._size = min(max(round(_TASK_S * count / max(seconds, 1e-9)), 1), _MOST)


_UNPACKED: dict[str, tuple[Any, Any]] = {}


def _some(shared: list[Any], pieces: list[Any]) -> tuple[list[Any], float]:
    """Some pieces, in a worker process that may have done others of the same setup, and the seconds that they took."""
    name = shared[0].hex()
    if name not in _UNPACKED:
        given, threads = bridge.ray().get(shared[0])
        torch.set_num_threads(threads)
        _UNPACKED.clear()
        _UNPACKED[name] = cloudpickle.loads(given)
    work, setup = _UNPACKED[name]
    start = time.perf_counter()
    return [work(setup, piece) for piece in pieces], time.perf_counter() - start
