"""Shape checks are on while tests run: every jaxtyping annotation of the package is checked by beartype."""

import pytest
import torch

from tests import shape_checks

shape_checks.install()

# Small tensors gain nothing from a second thread, and tests that run side by side lose tenfold.
torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The first calls of each test are checked."""
    shape_checks.new_test()
