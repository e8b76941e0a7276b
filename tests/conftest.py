"""Shape checks are on while tests run: every jaxtyping annotation of the package is checked by beartype."""

import torch
from jaxtyping import install_import_hook

import tests.shape_checks  # noqa: F401 - the hook below looks the checker up by name

install_import_hook("recgym", "tests.shape_checks.typecheck")

# Small tensors gain nothing from a second thread, and tests that run side by side lose tenfold.
torch.set_num_threads(1)
