"""Who does the work of a verb: this process, others of this machine, or a Ray cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recgym.scale import cluster
from recgym.workers import Workers

__all__ = ["shared"]


@contextmanager
def shared(ray: str | None, workers: int | None) -> Iterator[Workers]:
    """Workers with one thread of PyTorch each, this process included: the results do not depend on who does the work.

    Args:
        ray: ``--ray``; see :func:`recgym.scale.cluster`.
        workers: ``--workers``.
    """
    torch.set_num_threads(1)
    with cluster(ray, workers) as found:
        yield found
