"""Samplers write one debug line each when they are made; a debug line is not shown by default."""

from typing import Any


def debug(*_: Any) -> None:
    """Show nothing."""
