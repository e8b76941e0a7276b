"""Where the real logs are, for tests that need them."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("RECGYM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def shared_data(name: str) -> Path:
    """The path of a real log, or skip the calling test with the reason."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the real log {name} is not at {path} (set RECGYM_DATA to its folder)")
    return path
