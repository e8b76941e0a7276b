"""A folder written by :meth:`recgym.data.InteractionLog.save`."""

from recgym.data.readers.base import Source
from recgym.data.schema import InteractionLog

__all__ = ["read"]


def read(source: Source) -> InteractionLog:
    """Read a saved log.

    Raises:
        ValueError: the folder is not a saved log.
    """
    return InteractionLog.load(source.path)
