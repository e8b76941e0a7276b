"""The network of decision transformers: three tokens a step, a causal Transformer over the last T steps, a head."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from recgym.agents.decision_transformer.mixing import DroppedSoftmax
from recgym.agents.sb3.distributions import ActionDistribution
from recgym.data.transitions import TransitionStore
from recgym.encoders import Where
from recgym.encoders.transformer import FeedForward, PlainBlock, PositionPart

__all__ = ["Core", "CoreConfig", "SequenceNetwork", "Steps", "steps_of"]


@dataclass(frozen=True)
class CoreConfig:
    """Sizes of the Transformer.

    Attributes:
        window: T, steps of an episode that it looks back on, the present one included.
        width: d, of all tokens.
        layers: blocks.
        heads: of each block.
        dropout: of the input, attention and feed-forward nets.
    """

    window: int = 20
    width: int = 128
    layers: int = 2
    heads: int = 8
    dropout: float = 0.1


class Core(nn.Module):
    """From the tokens (return-to-go, state, action) of T steps to a vector for each state token.

    The vector of a step sees its own return-to-go and state and all three tokens of the steps before, never its own
    action. Steps are left-aligned, so what stands behind the last one is seen by none of them, and needs no mask. Only
    state tokens are asked for an answer, so the last block works for a third of the tokens.

    Args:
        config: sizes.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__()
        d, rate = config.width, config.dropout
        self.window, self.width = config.window, d
        self.position = nn.Parameter(0.02 * torch.randn(config.window, d))
        self.norm_in, self.norm_out = nn.LayerNorm(d), nn.LayerNorm(d)
        self.drop = nn.Dropout(rate)
        self.blocks = nn.ModuleList(
            PlainBlock(
                d, config.heads, DroppedSoftmax(), PositionPart(),
                FeedForward(d, 4 * d, rate, nn.ReLU(), drop_inner=False), rate,
            )
            for _ in range(config.layers)
        )  # fmt: skip

    def forward(
        self, tokens: Float32[Tensor, "B L 3 d"], newest: Int64[Tensor, "B"] | None = None
    ) -> Float32[Tensor, "B Q d"]:
        """The vectors of all L steps, or of one a row.

        Args:
            tokens: at most T steps.
            newest: the step that is asked for; None for all.
        """
        users, steps = tokens.shape[:2]
        states = (tokens + self.position[:steps, None]).reshape(users, 3 * steps, self.width)
        states = self.drop(self.norm_in(states))
        place = torch.arange(3 * steps, device=tokens.device).expand(users, -1)
        of = Where(place, torch.ones_like(place, dtype=torch.bool))
        *first, last = self.blocks
        for block in first:
            states = block(states, of, None)
        assert isinstance(last, PlainBlock)
        if newest is None:
            asking, asked = states[:, 1::3], place[:, 1::3]
        else:
            asked = 3 * newest[:, None] + 1
            asking = states.gather(1, asked[:, :, None].expand(-1, -1, self.width))
        seen = place[:, None] <= asked[:, :, None]
        at = Where(asked, torch.ones_like(asked, dtype=torch.bool))
        out: Tensor = self.norm_out(last.ask(asking, *last.keys_values(states, of), at, of, seen))
        return out


@runtime_checkable
class SequenceNetwork(Protocol):
    """What a decision transformer consists of, so that windows and policies are written once."""

    core: Core

    def embed_returns(self, returns: Float32[Tensor, "n V"], observation: Any) -> Float32[Tensor, "n d"]:
        """Tokens of returns-to-go, in the units of the log."""
        ...

    def embed_state(self, observation: Any) -> Float32[Tensor, "n d"]:
        """Tokens of observations."""
        ...

    def embed_action(self, observation: Any, action: Tensor) -> Float32[Tensor, "n d"]:
        """Tokens of actions; the observation says what was on offer."""
        ...

    def decide(self, hidden: Float32[Tensor, "n d"], observation: Any) -> ActionDistribution:
        """The distribution of actions, from the vectors of :class:`Core`."""
        ...


class Steps(NamedTuple):
    """Steps of some windows of a log: the first axis of all but the mask runs over the steps that there are.

    Attributes:
        observation: before each step.
        action: of each step.
        returns: to go.
        mask: where in its window a step stands; windows are left-aligned.
    """

    observation: Any
    action: Tensor
    returns: Float32[Tensor, "n V"]
    mask: Bool[Tensor, "B L"]

    def tokens(self, network: SequenceNetwork) -> Float32[Tensor, "B L 3 d"]:
        """The tokens, 0 where there is no step."""
        packed = torch.stack(
            [
                network.embed_returns(self.returns, self.observation),
                network.embed_state(self.observation),
                network.embed_action(self.observation, self.action),
            ],
            1,
        )
        rows, steps = self.mask.shape
        place = self.mask.flatten().nonzero()[:, 0]
        padded = packed.new_zeros((rows * steps, 3, packed.shape[-1])).index_copy(0, place, packed)
        return padded.reshape(rows, steps, 3, -1)

    def hidden(self, network: SequenceNetwork) -> Float32[Tensor, "n d"]:
        """The vectors from which the action of each step is foretold."""
        vectors: Tensor = network.core(self.tokens(network))[self.mask]
        return vectors


def steps_of(
    store: TransitionStore, rows: Int64[np.ndarray, "B"], length: int, to_go: Float32[np.ndarray, "points V"]
) -> Steps:
    """The windows that end with some steps of a log.

    Args:
        store: the log.
        rows: positions in ``store.steps``.
        length: T.
        to_go: of every point.
    """
    points, there = store.windows(rows, length)
    points = points[there]  # row by row, oldest first
    mask = torch.arange(length) < torch.from_numpy(there.sum(1))[:, None]
    return Steps(store.observations(points), store.actions(points), torch.from_numpy(to_go[points]), mask)
