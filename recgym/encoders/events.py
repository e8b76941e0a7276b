"""What an event brings to an encoder's input beside its item: the feedback given, and the time since the last event."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float32, Float64
from torch import Tensor, nn

from recgym.encoders.batch import Where

__all__ = ["EventInputs", "FeedbackScale", "gap_s"]


class FeedbackScale(NamedTuple):
    """How feedback is brought to a common scale: ``log(1 + max(x, 0)) / scale`` a channel.

    Attributes:
        scale: one number a channel, above 0.
    """

    scale: tuple[float, ...]

    @classmethod
    def of(cls, feedback: Float32[Tensor, "E F"]) -> "FeedbackScale":
        """Scales by which each channel's root mean square over a log becomes 1."""
        return cls.of_blocks((feedback,))

    @classmethod
    def of_blocks(cls, blocks: Iterable[Float32[Tensor, "_ F"]]) -> "FeedbackScale":
        """The same of a log whose events come in blocks."""
        rows, mean = 0, torch.zeros(0)
        for block in blocks:
            if len(block):
                here = block.clamp(min=0).log1p().square().mean(0)
                rows += len(block)
                mean = here if rows == len(block) else mean + (here - mean) * (len(block) / rows)
        return cls(tuple(float(value) if value > 1e-6 else 1.0 for value in mean.sqrt()))


class EventInputs(nn.Module):
    """Adds to an item's vector what else is known of the event; begins by adding nothing.

    Args:
        width: D.
        feedback: scales of the feedback channels; None to leave feedback out.
        gaps: whether the time since the last event enters, as ``log(1 + seconds)`` and whether there was one.
        apart: what is known of the event stands beside the item's vector, 2 D numbers in all, for backbones that take
            item and feedback as two tokens.
    """

    scale: Tensor

    def __init__(
        self, width: int, feedback: FeedbackScale | None = None, gaps: bool = False, apart: bool = False
    ) -> None:
        super().__init__()
        self.apart = apart
        channels = 0 if feedback is None else len(feedback.scale)
        self.channels, self.gaps = channels, gaps
        self.register_buffer("scale", torch.tensor(feedback.scale if feedback else ()))
        self.project = nn.Linear(channels + 2 * gaps, width) if channels or gaps else None
        if self.project is not None:
            nn.init.zeros_(self.project.weight)
            nn.init.zeros_(self.project.bias)

    @property
    def needs_time(self) -> bool:
        """Whether histories must say when events were."""
        return self.gaps

    def forward(
        self,
        vectors: Float32[Tensor, "B T D"],
        feedback: Float32[Tensor, "B T F"] | None,
        gap: Float32[Tensor, "B T"] | None,
    ) -> Float32[Tensor, "B T W"]:
        """The input of the backbone, of width D, or 2 D if feedback stands apart.

        Args:
            vectors: of the items.
            feedback: of the events; must be there if the module was made with feedback.
            gap: see :func:`gap_s`; likewise with gaps.

        Raises:
            ValueError: something that is needed is absent, or feedback is not finite.
        """
        if self.project is None:
            return torch.cat([vectors, torch.zeros_like(vectors)], -1) if self.apart else vectors
        parts = []
        if self.channels:
            if feedback is None or feedback.shape[-1] != self.channels:
                found = "none" if feedback is None else f"{feedback.shape[-1]} channels"
                raise ValueError(f"the encoder takes feedback of {self.channels} channels, found {found}")
            if not bool(torch.isfinite(feedback).all()):
                raise ValueError("feedback in a history must be finite, found NaN or infinity")
            parts.append(self.scaled(feedback))
        if self.gaps:
            if gap is None:
                raise ValueError("the encoder takes the times of events, found a history without times")
            parts += [0.1 * gap.clamp(min=0).log1p()[..., None], (gap >= 0).float()[..., None]]
        added: Tensor = self.project(torch.cat(parts, -1))
        return torch.cat([vectors, added], -1) if self.apart else vectors + added

    def scaled(self, feedback: Float32[Tensor, "*rows F"]) -> Float32[Tensor, "*rows F"]:
        """Feedback on a common scale, see :class:`FeedbackScale`."""
        return feedback.clamp(min=0).log1p() / self.scale


def gap_s(where: Where) -> Float32[Tensor, "B T"] | None:
    """Seconds from each event's predecessor to it, -1 for the first; None where times are not known."""
    if where.time_s is None:
        return None
    gaps: Float64[Tensor, "B T"] = torch.full_like(where.time_s, -1.0)
    gaps[:, 1:] = (where.time_s[:, 1:] - where.time_s[:, :-1]).clamp(min=0)
    return gaps.float()
