"""The discriminator, which tells played sessions from real ones and says what gave them away."""

from typing import NamedTuple

import torch
import torch.nn.functional as nnf
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.simulators.learned.adversarial_views import View, padded

__all__ = ["Discriminator", "Evidence"]

_LOOKS = 3


class Evidence(NamedTuple):
    """How much each part of each step speaks for real against played: logarithms of odds, which add up.

    Attributes:
        past: the session so far and what the step begins with.
        answers: the answers on top of that.
        leaving: leaving or staying on top of both.
    """

    past: Float32[Tensor, "s"]
    answers: Float32[Tensor, "s"]
    leaving: Float32[Tensor, "s"]


class Discriminator(nn.Module):
    """A GRU along each session, which looks three times at each step: as it begins, when answered, and at its end.

    Its last layers start at 0: at first it takes everything to be as likely real as played.

    Args:
        scale: what is seen of real steps, to be standardised by.
        width: of its layers.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, scale: View, width: int) -> None:
        super().__init__()
        seen = scale.all()
        sd = seen.std(0)
        self.register_buffer("mean", seen.mean(0))
        self.register_buffer("sd", torch.where(sd > 1e-6, sd, torch.inf))
        self.sizes = scale.sizes
        self.into = nn.Linear(seen.shape[1], width)
        self.gru = nn.GRU(width, width, batch_first=True)
        looks = [sum(self.sizes[: i + 1]) for i in range(_LOOKS)]
        self.look = nn.ModuleList(nn.Linear(width + look, width) for look in looks)
        self.say = nn.ModuleList(_silent(width) for _ in range(_LOOKS))

    def forward(self, seen: View) -> Evidence:
        """The evidence in each step, given the steps before it in its session."""
        inputs = ((seen.all() - self.mean) / self.sd).clamp(-5.0, 5.0)
        out: Tensor = self.gru(padded(nnf.relu(self.into(inputs)), seen.session, seen.depth))[0]
        before = torch.cat([torch.zeros_like(out[:, :1]), out[:, :-1]], 1)[seen.session, seen.depth]
        parts = []
        for number, (look, say) in enumerate(zip(self.look, self.say, strict=True)):
            known = inputs[:, : sum(self.sizes[: number + 1])]
            parts.append(say(nnf.relu(look(torch.cat([before, known], 1))))[:, 0])
        return Evidence(*parts)

    def loss(self, real: View, played: View) -> Float32[Tensor, ""]:
        """Mean cross-entropy of the three looks at each step, of as many real sessions as played ones."""
        true, false = (torch.stack(self(seen), 1).cumsum(1) for seen in (real, played))
        total: Tensor = nnf.softplus(-true).sum() + nnf.softplus(false).sum()
        return total / (true.numel() + false.numel())


def _silent(width: int) -> nn.Linear:
    """A last layer that says 0 until it has learned."""
    out = nn.Linear(width, 1)
    nn.init.zeros_(out.weight)
    nn.init.zeros_(out.bias)
    return out
