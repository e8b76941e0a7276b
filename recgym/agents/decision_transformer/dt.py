"""The Decision Transformer (arXiv 2106.01345), and reward conditioning as in DT4Rec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.decision_transformer.learning import OptimiserConfig, Returns, Trainer
from recgym.agents.decision_transformer.network import Core, CoreConfig
from recgym.agents.decision_transformer.policy import DecisionTransformerPolicy
from recgym.agents.decision_transformer.returns import FeedbackAndReturns, OneSum, TaskReturn
from recgym.agents.decision_transformer.rewards import columns_of
from recgym.agents.decision_transformer.tokens import ActionInputs, Buckets, Linear
from recgym.agents.offline.networks import Parts, StateNetwork
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.distributions import ActionDistribution
from recgym.agents.sb3.networks import GaussianHead, LogitHead, PointerHead
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["DT", "DTConfig", "DTNetwork"]


@dataclass(frozen=True)
class DTConfig:
    """Settings of :class:`DT`.

    Differences from the paper: (1) positions are learned for the steps of a window, not of an episode, whose lengths
    have no bound here; (2) states are what the other agents make of an observation, and actions are chosen among what
    is on offer by what it is, so any candidates will do; (3) tokens are normalised once, before the first block; (4)
    returns are in units of what the log brings from the same session of an episode on.

    Attributes:
        core: the Transformer.
        returns: which rewards are summed up.
        embedding: how returns-to-go become tokens: :class:`Linear` as in the paper, or :class:`Buckets`, the reward
            prompt of DT4Rec.
        quantile: of the log's returns, which is asked for by default.
        optimiser: of the weights.
        network: of the states, and the width of queries and keys.
    """

    name: ClassVar[str] = "dt"

    core: CoreConfig = field(default_factory=CoreConfig)
    returns: TaskReturn | FeedbackAndReturns | OneSum = field(default_factory=TaskReturn)
    embedding: Linear | Buckets = field(default_factory=Linear)
    quantile: float = 0.9
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.quantile <= 1:
            raise ValueError(f"quantile must lie in [0, 1], found {self.quantile}")

    def learner(self, parts: Parts) -> "DT":
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        return DT(self, parts)


class DTNetwork(nn.Module):
    """The network; see :class:`recgym.agents.decision_transformer.SequenceNetwork`.

    Args:
        config: settings.
        parts: of the networks.
    """

    def __init__(self, config: DTConfig, parts: Parts) -> None:
        super().__init__()
        problem, d = parts.problem, config.core.width
        self.core = Core(config.core)
        self.returns = Returns(config.returns, len(columns_of(problem)))
        self.from_returns = config.embedding.build(config.returns.parts, d)
        self.state = StateNetwork(parts)
        table = None if self.state.extractor is None else self.state.extractor.items
        self.action = ActionInputs(problem, table)
        self.from_state, self.from_action = nn.Linear(self.state.width, d), nn.Linear(self.action.width, d)
        self.head: nn.Module
        if problem.action == "preference":
            self.head = GaussianHead(d, problem.features)
        elif table is not None:
            self.head = PointerHead(d, problem.slate_size, table, parts.config.embedding, problem.mask_consumed)
        else:
            self.head = LogitHead(d, problem.slate_size, problem.num_candidates)

    def embed_returns(self, returns: Float32[Tensor, "n V"], observation: Any) -> Float32[Tensor, "n d"]:
        """See the class."""
        out: Tensor = self.from_returns(self.returns(returns, observation))
        return out

    def embed_state(self, observation: Any) -> Float32[Tensor, "n d"]:
        """See the class."""
        out: Tensor = self.from_state(self.state(observation))
        return out

    def embed_action(self, observation: Any, action: Tensor) -> Float32[Tensor, "n d"]:
        """See the class."""
        out: Tensor = self.from_action(self.action(observation, action))
        return out

    def decide(self, hidden: Float32[Tensor, "n d"], observation: Any) -> ActionDistribution:
        """See the class."""
        distribution: ActionDistribution = self.head(hidden, observation)
        return distribution


class DT:
    """Behaviour cloning that is told what came of it: ``loss = -mean log pi(a_t | R_t, s_t, the steps before)``.

    All steps of a window are learned from; ``R_t`` is the undiscounted return from step t on.

    Args:
        config: settings.
        parts: of the networks.
    """

    def __init__(self, config: DTConfig, parts: Parts) -> None:
        self.config = config
        self.network = DTNetwork(config, parts)
        self.module: nn.Module = self.network
        self.trainer = Trainer(self.network, self.network.returns, parts.problem, config.optimiser)
        self.optimisers: dict[str, torch.optim.Optimizer] = {"optimiser": self.trainer.optimiser}

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        self.network.state.look(store)
        self.network.returns.look(store, self.config.quantile)

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        _, steps = self.trainer.draw(store, generator)
        distribution = self.network.decide(steps.hidden(self.network), steps.observation)
        loss = -distribution.log_prob(steps.action).mean()
        self.trainer.step(loss, number)
        return {"loss": loss.detach()}

    def policy(self) -> DecisionTransformerPolicy:
        """See :class:`recgym.agents.offline.Learner`."""
        return self.trainer.policy()
