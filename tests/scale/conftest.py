"""One Ray for all tests here: of this machine, with four places, so that 1, 2 and 4 workers can be told apart."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from recgym.scale import connected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "local_ray" not in getattr(item, "fixturenames", ()):
            continue
        item.add_marker(pytest.mark.xdist_group("ray"))
        if find_spec("ray") is None:
            item.add_marker(pytest.mark.skip(reason="ray is not installed: pip install 'recgym[ray]'"))


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    with connected("auto", 4):
        yield
