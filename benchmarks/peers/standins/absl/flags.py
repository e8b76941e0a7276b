"""Command-line flags are declared at import, and never read while stepping."""

from typing import Any

FLAGS = None


def _declare(*_: Any, **__: Any) -> None:
    return None


DEFINE_bool = DEFINE_string = DEFINE_multi_string = _declare
