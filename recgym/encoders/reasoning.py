"""A Transformer that goes on from its states in latent steps, and what teaches it (ReaRec, arXiv 2503.22675)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.encoders.base import Backbone
from recgym.encoders.batch import Where
from recgym.encoders.losses import FullSoftmax, info_nce
from recgym.encoders.objectives import Step
from recgym.encoders.transformer import Cache, PlainBlock, Transformer

__all__ = ["Apart", "EarlierSteps", "Past", "Paths", "Reasoning", "Steady"]

_BUFFER = 4_000_000
"""Scores held at once where those of several states are compared."""


class Past(NamedTuple):
    """What reasoning looks back on.

    Attributes:
        levels: keys and values of the events, for each block.
        where: the events stand.
    """

    levels: tuple[tuple[Float32[Tensor, "B J T d"], Float32[Tensor, "B J T e"]], ...]
    where: Where


class Paths(NamedTuple):
    """How the states were come to.

    Attributes:
        states: at each event, the Transformer's own and those of the steps after it; S is one more than the steps.
        past: what the steps looked back on.
    """

    states: Float32[Tensor, "B T S D"]
    past: Past


class Reasoning(Backbone[tuple[Cache, ...]]):
    """From the state h_0 after an event, ``K`` steps: token k is ``LN(h_{k-1}) + r_k``, and h_k what becomes of it.

    A token passes through the blocks as an event would. It sees what its event sees and the tokens before it of the
    same event, so every event reasons by itself and all do so at once, at the price of one pass a step. Tokens stand
    where their event stands; r_k, a learned vector, tells them apart.

    Args:
        transformer: of plain blocks, causal.
        width: D.
        steps: K.
        mean: the state is the mean of h_0..h_K; otherwise it is h_K.
        dropout: of the tokens.
    """

    def __init__(self, transformer: Transformer, width: int, steps: int, mean: bool, dropout: float) -> None:
        super().__init__()
        self.transformer, self.mean = transformer, mean
        self.capabilities = transformer.capabilities
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(dropout)
        self.tokens = nn.Parameter(0.02 * torch.randn(steps, width))

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        return self.forward_with_aux(vectors, where)[0]

    def forward_with_aux(
        self, vectors: Float32[Tensor, "B T D"], where: Where
    ) -> tuple[Float32[Tensor, "B T D"], Paths]:
        """The states and the paths to them."""
        first, past = self._read(vectors, where)
        paths = self.reason(first, where, past)
        return self._answer(paths), Paths(paths, past)

    def _read(self, vectors: Tensor, where: Where) -> tuple[Tensor, Past]:
        inner, levels = self.transformer, []
        states = inner.drop(inner.position.embed(vectors, where))
        seen = None if inner.mask.trivial(vectors.shape[1]) else inner.mask(where, where)
        for block in self._blocks():
            states, keys, values = block.attend(states, where, seen)
            levels.append((keys, values))
        return inner.norm(states), Past(tuple(levels), where)

    def reason(
        self,
        first: Float32[Tensor, "B Q D"],
        at: Where,
        past: Past,
        noise: Float32[Tensor, "B Q K D"] | None = None,
    ) -> Float32[Tensor, "B Q S D"]:
        """The states h_0..h_K.

        Args:
            first: h_0.
            at: where it stands.
            past: of the histories.
            noise: is added to the tokens.
        """
        inner, levels, of, path = self.transformer, list(past.levels), past.where, [first]
        seen, own = inner.mask(at, of), torch.eye(first.shape[1], dtype=torch.bool, device=first.device)
        for k, token in enumerate(self.tokens):
            states = self.drop(self.norm(path[-1]) + token)
            if noise is not None:
                states = states + noise[:, :, k]
            of, seen = _beside(of, at), torch.cat([seen, own.expand(len(first), -1, -1)], -1)
            for level, block in enumerate(self._blocks()):
                keys, values = block.keys_values(states, at)
                levels[level] = torch.cat([levels[level][0], keys], 2), torch.cat([levels[level][1], values], 2)
                states = block.ask(states, *levels[level], at, of, seen)
            path.append(inner.norm(states))
        return torch.stack(path, 2)

    def init_memory(self, users: int, window: int, device: torch.device) -> tuple[Cache, ...]:
        """See :class:`recgym.encoders.Backbone`; tokens are not kept."""
        return self.transformer.init_memory(users, window, device)

    def step(
        self, memory: tuple[Cache, ...], vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[tuple[Cache, ...], Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        memory, first = self.transformer.step(memory, vectors, where)
        past = Past(tuple((cache.keys, cache.values) for cache in memory), memory[0].where())
        return memory, self._answer(self.reason(first[:, None], where, past))[:, 0]

    def remember(
        self, vectors: Float32[Tensor, "B T W"], where: Where, window: int
    ) -> tuple[tuple[Cache, ...], Float32[Tensor, "B T D"]]:
        """See :class:`recgym.encoders.Backbone`; in one pass."""
        first, past = self._read(vectors, where)
        memory = tuple(Cache.of(keys, values, where, window) for keys, values in past.levels)
        return memory, self._answer(self.reason(first, where, past))

    def _answer(self, path: Float32[Tensor, "B Q S D"]) -> Float32[Tensor, "B Q D"]:
        return path.mean(2) if self.mean else path[:, :, -1]

    def _blocks(self) -> list[PlainBlock]:
        return [block for block in self.transformer.blocks if isinstance(block, PlainBlock)]


def _beside(first: Where, second: Where) -> Where:
    pairs = zip(first, second, strict=True)
    return Where(*(None if a is None or b is None else torch.cat([a, b], 1) for a, b in pairs))  # type: ignore[arg-type]


def _paths(step: Step) -> Paths:
    assert isinstance(step.aux, Paths)
    return step.aux


@dataclass(frozen=True)
class Apart:
    """How far a path's states are apart: the mean over pairs k != l of ``KL(p_k || p_l)``, p_k the softmax of scores.

    As in the released code, p_l is held fixed. For some events of the batch, as many as scores fit a buffer.

    Attributes:
        events: at most.
    """

    events: int = 64

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        states = _paths(step).states[step.example.inputs.mask]
        count = max(min(self.events, _BUFFER // (states.shape[1] * len(step.vectors))), 1)
        drawn = torch.randperm(len(states), generator=step.generator, device=states.device)[:count]
        log = (states[drawn] @ step.vectors.T).log_softmax(-1)
        chances = log.exp()
        apart = (chances * log).sum(-1, keepdim=True) - chances @ log.detach().transpose(1, 2)
        steps = states.shape[1]
        return apart.sum((1, 2)).mean() / max(steps * (steps - 1), 1)


@dataclass(frozen=True)
class EarlierSteps:
    """Cross-entropy of the states h_0..h_{K-1} of a path, at the temperature ``sharpening ** (K - k)``.

    Attributes:
        sharpening: alpha; early states need only point the way.
    """

    sharpening: float = 5.0

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        known = step.example.targets != step.model.num_items
        states = _paths(step).states[known][:, :-1]
        power = torch.arange(states.shape[1], 0, -1, device=states.device)
        cooler = (states * (self.sharpening**-power)[:, None]).flatten(0, 1)
        targets = step.example.targets[known].repeat_interleave(states.shape[1])
        return FullSoftmax()(step.model.scorer, cooler, step.vectors, targets, step.generator)


@dataclass(frozen=True)
class Steady:
    """InfoNCE of the states h_1..h_K with and without noise in the tokens; the other histories are the negatives.

    At one random event of each history.

    Attributes:
        noise: standard deviation.
        temperature: of cosines.
    """

    noise: float = 0.01
    temperature: float = 0.07

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        (states, past), lengths, backbone = _paths(step), step.example.inputs.lengths, step.model.encoder.backbone
        assert isinstance(backbone, Reasoning)
        rows = torch.arange(len(lengths), device=lengths.device)
        event = (torch.rand(len(rows), generator=step.generator, device=lengths.device) * lengths).long()
        path = states[rows, event][:, None]
        at = Where(*(None if part is None else part.gather(1, event[:, None]) for part in past.where))  # type: ignore[arg-type]
        noise = torch.randn(path[:, :, 1:].shape, generator=step.generator, device=lengths.device)
        noised = backbone.reason(path[:, :, 0], at, past, self.noise * noise)
        pairs = zip(path[:, 0, 1:].unbind(1), noised[:, 0, 1:].unbind(1), strict=True)
        losses = [info_nce(first, second, self.temperature, normalised=True) for first, second in pairs]
        return torch.stack(losses).mean()
