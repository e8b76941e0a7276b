"""Running many jobs side by side: each in a process of its own, each kept when it is done."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from recgym.files import read_json, write_json

__all__ = ["kept", "run_all"]

Work = TypeVar("Work")
Made = TypeVar("Made")


def kept(path: Path, make: Callable[[], Made]) -> Made:
    """What stands in a JSON file; where there is none, what is made for it.

    Args:
        path: the file.
        make: gives what JSON can hold; called if there is no file.
    """
    if path.exists():
        known: Made = read_json(path)
        return known
    made = make()
    write_json(path, made)
    return made


def run_all(work: Callable[[Work], Any], jobs: Sequence[Work], workers: int) -> list[Any]:
    """Results of all jobs, in order; jobs are begun in order.

    Args:
        work: what to do with a job; keeps its own result on disk, so that a later call goes on where this one ended.
        jobs: the jobs.
        workers: processes; 1 for none beside this one.
    """
    if workers <= 1:
        return [work(job) for job in jobs]
    # Before the workers start: a second thread of torch only gets into the way of the other worker.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = {pool.submit(work, job): index for index, job in enumerate(jobs)}
        results: list[Any] = [None] * len(jobs)
        for count, future in enumerate(as_completed(futures), 1):
            results[futures[future]] = future.result()
            print(f"{count} of {len(jobs)}: {jobs[futures[future]]}", file=sys.stderr, flush=True)
    return results
