"""REINFORCE with top-K off-policy correction, on a log.

Source: "Top-K Off-Policy Correction for a REINFORCE Recommender System" (arXiv 1812.02353), sections 4.1 to 4.4. The
policy is one softmax over items; a slate takes the K items that are drawn one by one without replacement, and a step
earns what its items earn. The gradient of a logged item a with discounted return R is::

    w(s, a) lambda_K(s, a) R grad log pi(a | s)
    w = min(pi(a | s) / beta(a | s), cap)                        equations 3 and 8
    lambda_K = K (1 - pi(a | s))^(K - 1)                         equations 6 and 7

Differences: returns are divided by their spread, and have a number taken off: for K = 1 their mean, which changes no
expectation; for larger K their first percentile, since lambda_K takes rewards to be positive (a mean taken off would
punish the spreading of probability over several items). Where the log does not say how likely an item was, beta is a
network of its own, so that it cannot bend the policy's state.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from recgym.agents.descent import descend, frozen
from recgym.agents.offline.networks import Parts, StateNetwork
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.offline.returns import discounted_returns
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.distributions import Slates
from recgym.agents.sb3.networks import LogitHead, PointerHead, mlp
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["Reinforce", "ReinforceConfig", "top_k_weight"]


@dataclass(frozen=True)
class ReinforceConfig:
    """Settings of :class:`Reinforce`.

    Attributes:
        gamma: discount factor.
        cap: of importance weights.
        top_k: K of the correction; None for the slate size, 1 for REINFORCE without it.
        logged: believe the propensities of a log of single items; learn them otherwise, as those of slates are joint.
        item_rewards: channel name to weight: an item earns its own feedback. If empty, the reward of the step counts
            for each of its items.
        learning_rate: of Adam.
        batch_size: steps in an update.
        network: the networks.
    """

    name: ClassVar[str] = "reinforce"

    gamma: float = 0.9
    cap: float = 10.0
    top_k: int | None = None
    logged: bool = True
    item_rewards: tuple[tuple[str, float], ...] = ()
    learning_rate: float = 1e-3
    batch_size: int = 256
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], found {self.gamma}")
        if self.cap <= 0 or (self.top_k is not None and self.top_k < 1):
            raise ValueError(f"cap must be positive and top_k at least 1, found cap={self.cap}, top_k={self.top_k}")

    def learner(self, parts: Parts) -> "Reinforce":
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        return Reinforce(self, parts)


def top_k_weight(probability: Float32[Tensor, "*n"], k: int) -> Float32[Tensor, "*n"]:
    """``lambda_K = K (1 - pi)^(K - 1)``: how much the chance to be in a slate of K grows with the item's own."""
    return k * (1 - probability) ** (k - 1)


class _Softmax(nn.Module):
    """One softmax over what is on offer."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        problem, config = parts.problem, parts.config
        self.state = StateNetwork(parts)
        self.body, latent = mlp(self.state.width, config.hidden, nn.ReLU)
        self.slate_size = problem.slate_size
        self.head: nn.Module
        if self.state.extractor is not None:
            self.head = PointerHead(latent, 1, self.state.extractor.items, config.embedding, problem.mask_consumed)
        else:
            self.head = LogitHead(latent, 1, problem.num_candidates)

    def log_probability(self, observation: Any) -> Float32[Tensor, "B M"]:
        """Of each candidate, to be the first of a slate."""
        slates: Slates = self.head(self.body(self.state(observation)), observation)
        return slates.logits[:, 0].log_softmax(-1)

    def forward(self, observation: Any) -> Slates:
        """Slates of K items, drawn one by one."""
        return Slates(self.log_probability(observation)[:, None].expand(-1, self.slate_size, -1))


class Reinforce:
    """See the module's docstring.

    Args:
        config: settings.
        parts: of the networks.

    Raises:
        ValueError: actions are no items, or a channel of the items' rewards is unknown.
    """

    def __init__(self, config: ReinforceConfig, parts: Parts) -> None:
        problem = parts.problem
        if problem.action != "items":
            raise ValueError(f"{problem.name}: reinforce chooses items, found action={problem.action!r}")
        self.config = config
        self.top_k = config.top_k or problem.slate_size
        self._weights = [(problem.schema.index(name), weight) for name, weight in config.item_rewards]
        self.actor, self.behaviour = _Softmax(parts), _Softmax(parts)
        self.module: nn.Module = nn.ModuleDict({"actor": self.actor, "behaviour": self.behaviour})
        self.module.register_buffer("scale", torch.tensor([0.0, 1.0]))
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "actor_optimiser": torch.optim.Adam(self.actor.parameters(), lr=config.learning_rate),
            "behaviour_optimiser": torch.optim.Adam(self.behaviour.parameters(), lr=config.learning_rate),
        }
        self._returns: tuple[TransitionStore, np.ndarray] | None = None

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        for network in (self.actor, self.behaviour):
            network.state.look(store)
        returns = self._returns_of(store)
        scale: Any = self.module.scale
        base = returns.mean() if self.top_k == 1 else np.quantile(returns, 0.01)
        scale.copy_(torch.tensor([base, max(float(returns.std()), 1e-6)]))

    def _returns_of(self, store: TransitionStore) -> np.ndarray:
        """Return of each logged item, float32 ``[n, K]``; worked out once for a store."""
        if self._returns is None or self._returns[0] is not store:
            reward = store.columns["reward"][store.steps].astype(np.float64)
            now = np.repeat(reward[:, None], store.problem.slate_size, 1)
            if self._weights:
                feedback = store.columns["feedback"][store.steps].astype(np.float64)
                now = sum((feedback[:, :, column] * weight for column, weight in self._weights), np.zeros_like(now))
            later = discounted_returns(store, now.sum(1) if self._weights else reward, self.config.gamma)
            earned = now.sum(1) if self._weights else reward
            self._returns = (store, (now + (later - earned)[:, None]).astype(np.float32))
        return self._returns[1]

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        rows = torch.randint(len(store), (self.config.batch_size,), generator=generator).numpy()
        points = store.steps[rows]
        seen = store.observations(points)
        items = store.actions(points).reshape(len(points), -1)
        returns = torch.from_numpy(self._returns_of(store)[rows])
        log_pi = self.actor.log_probability(seen).gather(1, items)
        log_beta = self._log_beta(store, points, seen, items)
        with torch.no_grad():
            scale: Any = self.module.scale
            ratio = (log_pi - log_beta).exp().clamp(max=self.config.cap)
            weight = ratio * top_k_weight(log_pi.exp(), self.top_k) * (returns - scale[0]) / scale[1]
        loss = -(weight * log_pi).mean()
        descend(self.optimisers["actor_optimiser"], loss)
        return {"loss": loss.detach(), "weight": ratio.mean()}

    def _log_beta(self, store: TransitionStore, points: np.ndarray, seen: Any, items: Int64[Tensor, "B K"]) -> Tensor:
        """How likely each item was in the log: as it says, or as the second network, which learns it here, has it."""
        if self.config.logged and items.shape[1] == 1:
            logged = torch.from_numpy(store.columns["log_propensity"][points])[:, None]
            if not bool(logged.isnan().any()):
                return logged
        learned = self.behaviour.log_probability(seen).gather(1, items)
        descend(self.optimisers["behaviour_optimiser"], -learned.mean())
        return learned.detach().clamp(min=math.log(1e-6))

    def policy(self) -> NetworkPolicy:
        """See :class:`recgym.agents.offline.Learner`."""
        return NetworkPolicy(frozen(self.actor))
