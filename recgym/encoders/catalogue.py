"""What an encoder is built for: how many items there are, how popular, and what else is known of events and items."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64

from recgym.encoders.events import EventInputs, FeedbackScale
from recgym.encoders.sequences import Sequences

__all__ = ["Catalogue", "EventConfig"]

_ROWS = 2**24


@dataclass(frozen=True)
class EventConfig:
    """What enters an encoder beside item ids.

    Attributes:
        feedback: the feedback given to each item.
        gaps: the time since the event before.
    """

    feedback: bool = False
    gaps: bool = False


@dataclass(frozen=True)
class Catalogue:
    """What is known before training.

    Attributes:
        num_items: N.
        counts: how often each item was consumed in training.
        feedback: scales of the feedback channels.
        timed: whether the log has times, not only an order.
        features: one row an item, or None.
    """

    num_items: int
    counts: Int64[np.ndarray, "N"]
    feedback: FeedbackScale
    timed: bool
    features: Float32[np.ndarray, "N X"] | None = None

    @classmethod
    def of(cls, sequences: Sequences, features: Float32[np.ndarray, "N X"] | None = None) -> "Catalogue":
        """Of the sequences that are trained on."""
        counts = np.bincount(sequences.items, minlength=sequences.num_items).astype(np.int64)
        channels = np.zeros((0, 0), np.float32) if sequences.feedback is None else sequences.feedback
        # Block by block, and copied: what is larger than memory is in files that cannot be written to.
        blocks = (channels[first : first + _ROWS].copy() for first in range(0, len(channels), _ROWS))
        scale = FeedbackScale.of_blocks(torch.from_numpy(block) for block in blocks)
        return cls(sequences.num_items, counts, scale, sequences.time_s is not None, features)

    def events(self, config: EventConfig, width: int, apart: bool = False) -> EventInputs:
        """The module that adds to item vectors what else an event brings, or puts it beside them.

        Raises:
            ValueError: times or feedback are asked for, and the log has none.
        """
        if config.gaps and not self.timed:
            raise ValueError(
                "the time between events was to enter the encoder, found a log that knows only their order"
            )
        if config.feedback and not self.feedback.scale:
            raise ValueError("feedback was to enter the encoder, found a log without feedback channels")
        return EventInputs(width, self.feedback if config.feedback else None, config.gaps, apart)
