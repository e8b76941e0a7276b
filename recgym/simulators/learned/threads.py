"""How many threads of torch small operations run on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, also as a decorator.

    The operations of a fit are small: more threads hardly speed them up, slow them down tenfold where another process
    wants the cores, and would let results depend on their number.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
