"""When ended episodes start anew: Gymnasium's own ``AutoresetMode`` where it exists, equal values on 1.0."""

from enum import Enum
from typing import TYPE_CHECKING

import gymnasium

__all__ = ["AutoresetMode"]

if TYPE_CHECKING or hasattr(gymnasium.vector, "AutoresetMode"):
    from gymnasium.vector import AutoresetMode
else:

    class AutoresetMode(Enum):
        """The three modes, spelled as gymnasium 1.1 and later spell them."""

        NEXT_STEP = "NextStep"
        SAME_STEP = "SameStep"
        DISABLED = "Disabled"
