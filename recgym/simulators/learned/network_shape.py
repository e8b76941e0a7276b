"""The sizes of a network, and the scale of what it is fed."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.data.schema import ChannelKind, FeedbackSchema

__all__ = ["FeedbackScale", "NetworkShape"]


@dataclass(frozen=True)
class NetworkShape:
    """The sizes of a network.

    Attributes:
        items: N; the embedding of index N is that of unknown items.
        channels: F.
        parameters: what the heads of all channels need for one item, potentials included.
        potentials: the last of these, which are the same for all items; see
            :mod:`recgym.simulators.learned.counts`.
        profile: width of the user features.
        item_features: width of the item features.
        context: width of what is known of an item at a time; 0 if the log has no times.
        hidden: H.
        item_width: D.
        dropout: dropout in the response layers.
        rivals: whether the items of a slate are seen together; not where exposures are imputed and no slate is known.
        gaps: ranges of the pause between sessions; 0 if none can be learned.
    """

    items: int
    channels: int
    parameters: int
    potentials: int
    profile: int
    item_features: int
    context: int
    hidden: int
    item_width: int
    dropout: float
    rivals: bool
    gaps: int

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return asdict(self)


class FeedbackScale(nn.Module):
    """Feedback as numbers near [0, 1]: counts and durations by log(1 + x), all divided by their largest."""

    divide: Tensor
    logarithmic: Tensor

    def __init__(self, schema: FeedbackSchema, largest: Float32[Tensor, "F"] | None = None) -> None:
        super().__init__()
        kinds = [channel.kind in (ChannelKind.COUNT, ChannelKind.DURATION) for channel in schema.channels]
        self.register_buffer("logarithmic", torch.tensor(kinds))
        largest = torch.ones(len(schema)) if largest is None else largest.abs().clamp(min=1e-6)
        self.register_buffer("divide", torch.where(self.logarithmic, torch.log1p(largest), largest))

    def forward(self, feedback: Float32[Tensor, "*rows F"]) -> Float32[Tensor, "*rows F"]:
        """The scaled feedback."""
        return torch.where(self.logarithmic, torch.log1p(feedback.clamp(min=0.0)), feedback) / self.divide
