"""How sure a mean over users is."""

import numpy as np
from jaxtyping import Float

from recgym.seeding import make_generator
from recgym.stats import Interval, bootstrap_mean

__all__ = ["over_users"]


def over_users(values: Float[np.ndarray, "users"]) -> Interval:
    """The mean, with the 95 % interval of a bootstrap over users that is the same at every call."""
    draw = make_generator(0, "paired", device="numpy")
    assert isinstance(draw, np.random.Generator)
    return bootstrap_mean(values, np.arange(len(values)), draw)
