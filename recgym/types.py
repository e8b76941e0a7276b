"""The shared arrays and named tuples, and the shapes they have.

Shape glossary, used in every annotation of the package:

======  =====================================================================
symbol  meaning
======  =====================================================================
B       users simulated side by side (a batch; ``num_envs``)
T       length of the history window
K       slate size
N       items in the catalogue; items are ``0..N-1`` and the padding id is N
M       candidates offered to the policy; an action indexes them
F       feedback channels, named by a :class:`recgym.data.FeedbackSchema`
D       width of a state vector or item embedding
P       width of a user's observable profile
V       components of a vector reward
S       snapshots of logged users that a learned simulator starts from
======  =====================================================================

An :data:`Array` is a ``torch.Tensor`` or a ``numpy.ndarray``. Hand-made user models are written once against the
operations that both share: torch carries batches and devices, numpy carries a single user, where torch's fixed price
per operation would dominate.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

if TYPE_CHECKING:
    # No stub expresses "the operators that torch and numpy share"; the shapes below are checked while tests run.
    Array: TypeAlias = Any
    Generator: TypeAlias = Any
else:
    Array = torch.Tensor | np.ndarray
    Generator = torch.Generator | np.random.Generator

__all__ = ["Array", "Decision", "Generator", "History", "Response"]


class History(NamedTuple):
    """What each user consumed, oldest first, right-aligned: the newest event is at index T-1.

    An item enters the history when the user gave it any feedback; a slate that was passed over leaves no event.

    Attributes:
        items: item ids; padding is N.
        feedback: the feedback given to that item, one column a channel; 0 at padding.
        time_s: seconds since the start of the clock; 0 at padding.
        mask: True where an event is, False at padding.
    """

    items: Int64[Array, "B T"]
    feedback: Float32[Array, "B T F"]
    time_s: Float64[Array, "B T"]
    mask: Bool[Array, "B T"]


class Response(NamedTuple):
    """How each user answered a slate.

    Attributes:
        feedback: one row a slate position, one column a channel. A position that holds an item already shown at an
            earlier position of the same slate is empty: all zeros.
    """

    feedback: Float32[Array, "B K F"]


class Decision(NamedTuple):
    """What a policy chose, and how likely that was.

    Attributes:
        action: ``[B]`` candidate index, ``[B, K]`` ordered slate of candidate indices, or ``[B, D]`` preference vector.
        log_propensity: natural logarithm of the probability of the action (the joint ordered probability of a slate,
            the density of a continuous action); NaN for a deterministic continuous action.
    """

    action: Array
    log_propensity: Float32[Array, "B"]
