"""Stable-Baselines3 draws from the process's global generators; here they are borrowed and given back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["BorrowedGenerators", "GeneratorState"]


class GeneratorState(NamedTuple):
    """The state of the global generators of Python, numpy (MT19937), torch and, where it is used, CUDA."""

    python: Any
    numpy: Any
    torch: torch.Tensor
    cuda: torch.Tensor | None


class BorrowedGenerators:
    """A state of the global generators of its own, swapped in for the time of a ``with`` block.

    So what an agent learns does not depend on what else draws in the process, and nothing else depends on the agent.

    Args:
        device: the torch device that the agent learns on.
    """

    def __init__(self, device: str) -> None:
        self._cuda = torch.device(device).type == "cuda"
        self._own: GeneratorState | None = None
        self._active = False

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Swap the own state in, and the former one back at the end."""
        former = self._read()
        if self._own is not None:
            self._write(self._own)
        self._active = True
        try:
            yield
        finally:
            self._active = False
            self._own = self._read()
            self._write(former)

    def state(self) -> GeneratorState:
        """The own state: the global one inside a block, the one it was left with outside."""
        return self._read() if self._active or self._own is None else self._own

    def set_state(self, numpy: Any, torch_state: torch.Tensor, cuda: torch.Tensor | None) -> None:
        """Go on from a saved state at the next block."""
        self._own = GeneratorState(random.getstate(), numpy, torch_state, cuda)

    def _read(self) -> GeneratorState:
        cuda = torch.cuda.get_rng_state() if self._cuda else None
        return GeneratorState(random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state(), cuda)  # noqa: NPY002

    def _write(self, state: GeneratorState) -> None:
        random.setstate(state.python)
        np.random.set_state(state.numpy)  # noqa: NPY002
        torch.set_rng_state(state.torch)
        if self._cuda and state.cuda is not None:
            torch.cuda.set_rng_state(state.cuda)
