"""ComiRec: several interests of a user, by self-attention or by capsules (arXiv 2005.09347)."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn

from recgym.encoders.base import Backbone, Capabilities, SequenceEncoder
from recgym.encoders.batch import Batch, Where
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import newest
from recgym.encoders.items import IdItems
from recgym.encoders.losses import FullSoftmaxConfig, SampledSoftmaxConfig
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scan import linear_scan
from recgym.encoders.scorers import Dot

__all__ = ["Capsules", "CapsulesConfig", "ComiRecConfig", "Interests", "InterestsConfig", "ItemVectors"]


class ItemVectors(Backbone[tuple[()]]):
    """The vectors of the events as they are: what is made of several of them is left to the head."""

    capabilities = Capabilities(causal=True, incremental=True)

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        return vectors

    def init_memory(self, users: int, window: int, device: torch.device) -> tuple[()]:
        """See :class:`recgym.encoders.Backbone`: nothing is kept."""
        return ()

    def step(
        self, memory: tuple[()], vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[tuple[()], Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        return (), vectors


class Interests(nn.Module):
    """K weighted means of what was consumed: ``V = A H``, ``A = softmax(W_2 tanh(W_1 (H + P)^T))`` over the events.

    The means of all prefixes come from one scan. With ``z_t`` the logarithm of the sum of the exponents up to t,
    ``V_t = exp(z_{t-1} - z_t) V_{t-1} + exp(logit_t - z_t) h_t``: both factors are at most 1, whatever the logits.

    Args:
        width: D.
        interests: K.
        window: T, positions.
        inner: width of the hidden layer / D.
    """

    def __init__(self, width: int, interests: int, window: int, inner: int = 4) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.randn(window, width) / math.sqrt(width))
        self.weigh = nn.Sequential(nn.Linear(width, inner * width), nn.Tanh(), nn.Linear(inner * width, interests))

    def queries(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B T R D"]:
        """See :class:`recgym.encoders.Head`."""
        logits = self.weigh(states + _at_positions(self.positions, states.shape[1]))
        total = logits.logcumsumexp(1)
        before = torch.cat([torch.full_like(total[:, :1], -torch.inf), total[:, :-1]], 1)
        kept, share = torch.exp(before - total)[..., None], torch.exp(logits - total)[..., None]
        added = share * states[:, :, None]
        return linear_scan(kept.expand_as(added), added)

    def final(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B R D"]:
        """See :class:`recgym.encoders.Head`."""
        return newest(self.queries(states, batch), batch)


class Capsules(nn.Module):
    """K capsules, to which what was consumed is routed again and again.

    An event at position j says ``u_jk = W_jk h_j`` to capsule k. From logits ``b_jk = 0``, several times over:
    ``c_j = softmax_k(b_j)``, ``v_k = squash(sum_j c_jk u_jk)``, ``b_jk += u_jk . v_k``, with
    ``squash(z) = |z|^2 / (1 + |z|^2) z / |z|``. Gradients flow through the last round alone. Each prefix is routed by
    itself, all of them in one product a round, of T x T weights.

    Args:
        width: D.
        interests: K.
        window: T, positions; each has maps of its own.
        rounds: how often.
    """

    def __init__(self, width: int, interests: int, window: int, rounds: int = 3) -> None:
        super().__init__()
        self.interests, self.rounds = interests, rounds
        self.maps = nn.Parameter(torch.randn(window, width, interests * width) / math.sqrt(width))

    def queries(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B T R D"]:
        """See :class:`recgym.encoders.Head`."""
        events = states.shape[1]
        seen = torch.ones((events, events), dtype=torch.bool, device=states.device).tril()
        return self.route(states, seen[None])

    def final(self, states: Float32[Tensor, "B T D"], batch: Batch) -> Float32[Tensor, "B R D"]:
        """See :class:`recgym.encoders.Head`."""
        return self.route(states, batch.mask[:, None])[:, 0]

    def route(self, states: Float32[Tensor, "B T D"], seen: Bool[Tensor, "S Q T"]) -> Float32[Tensor, "B Q R D"]:
        """The capsules of several sets of events of each user.

        Args:
            states: of the events.
            seen: which events belong to each set; S is B, or 1 if the sets are the same for all users.
        """
        maps = _at_positions(self.maps, states.shape[1])
        said = torch.bmm(states.transpose(0, 1), maps)
        said = said.reshape(*said.shape[:2], self.interests, -1).permute(1, 2, 0, 3)
        belongs = seen[:, None].to(said.dtype)
        coupling = (belongs / self.interests).expand(len(said), self.interests, -1, -1)
        with torch.no_grad():
            logits = torch.zeros_like(coupling)
            for _ in range(self.rounds - 1):
                logits = logits + _squash(coupling @ said) @ said.transpose(2, 3)
                coupling = logits.softmax(1) * belongs
        return _squash(coupling @ said).transpose(1, 2)


def _squash(capsules: Tensor) -> Tensor:
    square = capsules.square().sum(-1, keepdim=True)
    return capsules * square / (1 + square) / (square + 1e-9).sqrt()


def _at_positions(parts: Tensor, events: int) -> Tensor:
    """What belongs to the first positions; columns past the window are padding, and get what the last one gets."""
    return parts[torch.arange(events, device=parts.device).clamp(max=len(parts) - 1)]


@dataclass(frozen=True)
class InterestsConfig:
    """ComiRec-SA.

    Attributes:
        inner: width of the attention's hidden layer / D.
    """

    inner: int = 4

    def head(self, width: int, interests: int, window: int) -> Interests:
        """A fresh head."""
        return Interests(width, interests, window, self.inner)


@dataclass(frozen=True)
class CapsulesConfig:
    """ComiRec-DR.

    Attributes:
        rounds: of routing.
    """

    rounds: int = 3

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, found {self.rounds}")

    def head(self, width: int, interests: int, window: int) -> Capsules:
        """A fresh head."""
        return Capsules(width, interests, window, self.rounds)


@dataclass(frozen=True)
class ComiRecConfig:
    """K interests of a user, made of the vectors of what was consumed; the one that likes the target best is trained.

    Serving is :class:`recgym.encoders.ItemRetriever`: each interest's best items, and a trade of likeness for variety.

    Differences from the paper: (1) every event is a target, foretold from the interests before it, where the paper
    splits users and draws one target a history at a time; (2) cross-entropy over all items in place of a softmax over
    10 drawn items a row, which is there as ``loss``; (3) maps of capsules begin at a spread of ``1 / sqrt(D)``, not 1,
    so that capsules are not saturated from the start.

    Attributes:
        interests: how they are made: by attention (SA) or by routing (DR).
        count: K.
        width: D.
        window: T; positions count from the oldest event in it.
        dropout: of the input.
        loss: what is trained.
        events: what enters beside item ids.
        fit: settings of training.
    """

    interests: InterestsConfig | CapsulesConfig = field(default_factory=InterestsConfig)
    count: int = 4
    width: int = 64
    window: int = 50
    dropout: float = 0.0
    loss: FullSoftmaxConfig | SampledSoftmaxConfig = field(default_factory=FullSoftmaxConfig)
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=FitConfig)

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        items = IdItems(catalogue.num_items, self.width)
        encoder = SequenceEncoder(
            items, catalogue.events(self.events, self.width), ItemVectors(), self.window, dropout=self.dropout
        )
        return NextItemModel(encoder, self.interests.head(self.width, self.count, self.window), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        return (Stage(Objective(((1.0, NextItem(self.loss.build(catalogue))),)), self.fit),)
