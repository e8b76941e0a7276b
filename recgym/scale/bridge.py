"""Ray, imported when it is first asked for; needs the extra ``recgym[ray]``."""

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

__all__ = ["hushed", "ray", "ray_data", "ray_train", "ray_tune"]


def ray() -> ModuleType:
    """Ray's core.

    Raises:
        ModuleNotFoundError: it is not installed; the sentence names the extra.
    """
    return _imported("ray")


def ray_data() -> ModuleType:
    """Ray Data; raises as :func:`ray`."""
    data = _imported("ray.data")
    # Ray Data imports this in its threads when it first reads a file, and two of them at once find it half made. It
    # needs aiohttp, which the extra brings for this alone: what cannot be imported is tried again by every thread.
    with hushed(), suppress(ImportError):
        importlib.import_module("fsspec.implementations.http")
    return data


def ray_train() -> ModuleType:
    """Ray Train, with its part for PyTorch; raises as :func:`ray`."""
    _imported("ray.train.torch")
    return _imported("ray.train")


def ray_tune() -> ModuleType:
    """Ray Tune; raises as :func:`ray`."""
    return _imported("ray.tune")


@contextmanager
def hushed() -> Iterator[None]:
    """A context without Ray's warnings about its own code, which those who use it can do nothing about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _imported(name: str) -> ModuleType:
    # Nothing is sent home about how Ray is used, unless the user asked for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Trials of a sweep hide no device from their workers; without it Ray says that this will be so one day.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        with hushed():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        message = f"recgym.scale needs {name}; pip install 'recgym[ray]' installs it"
        raise ModuleNotFoundError(message, name="ray") from error
