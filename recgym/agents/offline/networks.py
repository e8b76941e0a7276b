"""The networks of agents that learn from logs: the state of a user, a distribution of actions, values."""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.offline.problem import observation_space
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.distributions import ActionDistribution
from recgym.agents.sb3.encoders import EncoderExtractor
from recgym.agents.sb3.networks import GaussianHead, HistoryExtractor, ItemExtractor, LogitHead, PointerHead, mlp
from recgym.data.transitions import Problem, TransitionStore
from recgym.encoders import SequenceEncoder

__all__ = ["ActorNetwork", "Parts", "StateNetwork", "ValueNetwork"]

_LOOKED_AT = 10_000  # points from which the scale of observations is taken


class Parts:
    """What all networks of one agent are built from.

    Args:
        problem: sizes, and what an action is.
        item_features: one row an item.
        config: widths.
        encoder: through which histories enter; their items' mean does if None.
    """

    def __init__(
        self,
        problem: Problem,
        item_features: Float32[np.ndarray, "N D"],
        config: NetworkConfig,
        encoder: SequenceEncoder | None = None,
    ) -> None:
        if encoder is not None and problem.flat:
            raise ValueError(f"{problem.name}: an encoder needs histories, found flat observations")
        self.problem, self.config, self.encoder = problem, config, encoder
        self.item_features = np.asarray(item_features, np.float32)


class StateNetwork(nn.Module):
    """From observations to state vectors: scaled numbers, and histories through an extractor.

    Args:
        parts: of the agent.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        problem, config = parts.problem, parts.config
        self.flat = bool(problem.flat)
        scaled = problem.flat or problem.profile
        self.register_buffer("centre", torch.zeros(scaled))
        self.register_buffer("spread", torch.ones(scaled))
        self.extractor: ItemExtractor | None = None
        self.width = problem.flat
        if not problem.flat:
            space = observation_space(problem)
            assert isinstance(space, spaces.Dict)
            if parts.encoder is None:
                self.extractor = HistoryExtractor(space, parts.item_features, config.embedding)
            else:
                self.extractor = EncoderExtractor(
                    space, parts.item_features, parts.encoder, not config.freeze_encoder, config.embedding
                )
            self.width = self.extractor.features_dim

    def look(self, store: TransitionStore) -> None:
        """Take the scale of flat observations, or of profiles, from a store."""
        every = max(1, len(store) // _LOOKED_AT)
        points = store.steps[::every]
        self.scale_to(torch.from_numpy(np.asarray(store.columns["flat" if self.flat else "profile"][points])))

    def scale_to(self, seen: Float32[Tensor, "n P"]) -> None:
        """Take the scale of flat observations, or of profiles, from some of them."""
        if seen.shape[1]:
            spread = seen.std(0, correction=0)
            self.centre.copy_(seen.mean(0))
            self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0))

    def forward(self, observation: Any) -> Float32[Tensor, "B S"]:
        """The state vectors."""
        if self.extractor is None:
            numbers = observation["flat"] if isinstance(observation, dict) else observation
            flat: Tensor = (numbers.float() - self.centre) / self.spread
            return flat
        if "profile" in observation:
            profile = (observation["profile"].float() - self.centre) / self.spread
            observation = {**observation, "profile": profile}
        state: Tensor = self.extractor(observation)
        return state


class ActorNetwork(nn.Module):
    """A distribution of actions for each user: pointers at candidates, logits, or a squashed normal.

    Args:
        parts: of the agent.
    """

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        problem, config = parts.problem, parts.config
        self.state = StateNetwork(parts)
        self.body, latent = mlp(self.state.width, config.hidden, nn.ReLU)
        self.head: nn.Module
        if problem.action == "preference":
            self.head = GaussianHead(latent, problem.features)
        elif self.state.extractor is not None:
            self.head = PointerHead(
                latent, problem.slate_size, self.state.extractor.items, config.embedding, problem.mask_consumed
            )
        else:
            self.head = LogitHead(latent, problem.slate_size, problem.num_candidates)

    def forward(self, observation: Any) -> ActionDistribution:
        """The distribution of each user's action."""
        distribution: ActionDistribution = self.head(self.body(self.state(observation)), observation)
        return distribution


class ValueNetwork(nn.Module):
    """Values of states, one column each: of as many returns as one likes, with a body in common.

    What is on offer is part of a state: where candidates vary, their mean stands beside what is known of the user.

    Args:
        parts: of the agent.
        outputs: columns.
    """

    def __init__(self, parts: Parts, outputs: int = 1) -> None:
        super().__init__()
        self.state = StateNetwork(parts)
        self.offered = parts.problem.candidates_vary and not parts.problem.flat
        wide = self.state.width + (parts.config.embedding if self.offered else 0)
        self.body, latent = mlp(wide, parts.config.hidden, nn.ReLU)
        self.value = nn.Linear(latent, outputs)

    def forward(self, observation: Any) -> Float32[Tensor, "B V"]:
        """The values."""
        state = self.state(observation)
        extractor = self.state.extractor
        if self.offered and extractor is not None:
            state = torch.cat([state, extractor.embed(extractor.items.mean(observation["candidates"].long()))], 1)
        value: Tensor = self.value(self.body(state))
        return value
