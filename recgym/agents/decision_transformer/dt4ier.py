"""DT4IER: a decision transformer for immediate feedback and return frequency at once (arXiv 2404.03637)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from recgym.agents.decision_transformer.balance import BalanceNetwork, balance_loss, contrastive_loss
from recgym.agents.decision_transformer.decoder import Decoded, ItemVectors, ListEncoder, SlateDecoder
from recgym.agents.decision_transformer.learning import OptimiserConfig, Returns, Trainer
from recgym.agents.decision_transformer.network import Core, CoreConfig
from recgym.agents.decision_transformer.policy import DecisionTransformerPolicy
from recgym.agents.decision_transformer.returns import FeedbackAndReturns
from recgym.agents.decision_transformer.rewards import columns_of
from recgym.agents.decision_transformer.tokens import Buckets, Linear, shown_items
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.networks import context_of
from recgym.data.schema import ChannelKind
from recgym.data.transitions import Problem, TransitionStore
from recgym.types import Generator

__all__ = ["DT4IER", "DT4IERConfig", "DT4IERNetwork"]


@dataclass(frozen=True)
class DT4IERConfig:
    """Settings of :class:`DT4IER`.

    Differences from the paper: (1) the user's features, and how far the episode is, are part of the state, beside the
    clicked items: policies of users with stated interests cannot be imitated without; (2) items have a learned vector
    and a map of their features, and candidates are scored by the product with it, so any candidates will do; (3) its
    released code begins decoding at the true action, sees the steps to come, counts padding as hits and never adds the
    contrastive term; here it is as the paper says; (4) returns are in units of what the log brings from the same
    session of an episode on.

    Attributes:
        core: the Transformer.
        returns: immediate feedback and return frequency.
        embedding: ``Buckets`` as in the paper, or ``Linear`` for the ablation without.
        balance: whether returns are weighed for each user; without, both weigh 1/2.
        contrastive: weight of the contrastive term; 0 for the ablation without.
        low: a session is a negative if both its returns lie below this quantile of the log.
        clicks: newest clicked items that are the state.
        quantile: of the log's returns, which is asked for by default.
        optimiser: of the weights.
        network: only its fields for users are of use: items have vectors as wide as ``core``.
    """

    name: ClassVar[str] = "dt4ier"

    core: CoreConfig = field(default_factory=CoreConfig)
    returns: FeedbackAndReturns = field(default_factory=FeedbackAndReturns)
    embedding: Buckets | Linear = field(default_factory=Buckets)
    balance: bool = True
    contrastive: float = 0.1
    low: float = 0.3
    clicks: int = 30
    quantile: float = 0.9
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def __post_init__(self) -> None:
        if not (0 <= self.quantile <= 1 and 0 <= self.low <= 1):
            raise ValueError(f"quantile and low must lie in [0, 1], found {self.quantile} and {self.low}")
        if self.contrastive < 0 or self.clicks < 1:
            raise ValueError(
                f"contrastive must not be negative and clicks must be 1 or more, found {self.contrastive} and "
                f"{self.clicks}"
            )

    def learner(self, parts: Parts) -> "DT4IER":
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        return DT4IER(self, parts)


class DT4IERNetwork(nn.Module):
    """The network; see :class:`recgym.agents.decision_transformer.SequenceNetwork`.

    Args:
        config: settings.
        parts: of the networks.

    Raises:
        ValueError: there is no history, actions are not items, or an encoder was asked for.
    """

    low: Tensor

    def __init__(self, config: DT4IERConfig, parts: Parts) -> None:
        super().__init__()
        problem, d = parts.problem, config.core.width
        if problem.flat or problem.action == "preference" or parts.encoder is not None:
            raise ValueError(
                f"{problem.name}: DT4IER encodes clicked items itself and chooses items; it needs histories, actions "
                "that are items, and no other encoder"
            )
        self.clicks, self.clicked = config.clicks, _clicked_channel(problem)
        self.core = Core(config.core)
        self.returns = Returns(config.returns, len(columns_of(problem)))
        self.register_buffer("low", torch.zeros(config.returns.parts))
        self.from_returns = config.embedding.build(config.returns.parts, d)
        self.balance = BalanceNetwork(problem.profile, config.returns.parts) if config.balance else None
        self.items = ItemVectors(parts.item_features, d)
        self.state, self.action = ListEncoder(self.items, d), ListEncoder(self.items, d)
        known = problem.profile + (3 if problem.progress else 0)
        self.from_user = nn.Linear(known, d) if known else None
        self.decoder = SlateDecoder(self.items, d, problem.slate_size, problem.mask_consumed)

    def weights(self, observation: Any) -> Float32[Tensor, "n V"]:
        """How much each part of a return counts for each user."""
        if self.balance is None:
            return torch.full((len(observation["history_items"]), self.returns.kind.parts), 0.5)
        return self.balance(_profile(observation))  # type: ignore[no-any-return]

    def embed_returns(self, returns: Float32[Tensor, "n V"], observation: Any) -> Float32[Tensor, "n d"]:
        """See the class."""
        out: Tensor = self.from_returns(self.weights(observation) * self.returns(returns, observation))
        return out

    def embed_state(self, observation: Any) -> Float32[Tensor, "n d"]:
        """See the class."""
        items = observation["history_items"].long()[:, -self.clicks :]
        there = items < self.items.num_items
        if self.clicked is not None:
            there = there & (observation["history_feedback"][:, -self.clicks :, self.clicked] > 0)
        state: Tensor = self.state(items, there)
        if self.from_user is not None:
            state = state + self.from_user(torch.cat(context_of(observation), 1))
        return state

    def embed_action(self, observation: Any, action: Tensor) -> Float32[Tensor, "n d"]:
        """See the class."""
        items = shown_items(observation, action)
        out: Tensor = self.action(items, items < self.items.num_items)
        return out

    def decide(self, hidden: Float32[Tensor, "n d"], observation: Any) -> Decoded:
        """See the class."""
        distribution: Decoded = self.decoder(hidden, observation)
        return distribution


def _clicked_channel(problem: Problem) -> int | None:
    """The first channel that is yes or no; None where all that was consumed counts."""
    kinds = [channel.kind for channel in problem.schema.channels]
    return kinds.index(ChannelKind.BINARY) if ChannelKind.BINARY in kinds else None


def _profile(observation: Any) -> Float32[Tensor, "n P"]:
    if "profile" in observation:
        return observation["profile"].float()  # type: ignore[no-any-return]
    return torch.zeros((len(observation["history_items"]), 0))


class DT4IER:
    """``L = -mean log pi(a_t | R_t, s_t, the steps before) + c L_contrastive``, and ``L_balance`` for the weights.

    ``R_t`` has two parts, each weighed by what the balance network makes of the user. ``L_contrastive = -mean D(E,
    E_neg)`` keeps predicted actions away from those of sessions in which both rewards were low. The gradient of
    ``L_balance`` reaches the balance network alone, that of the other terms reaches all.

    Args:
        config: settings.
        parts: of the networks.
    """

    def __init__(self, config: DT4IERConfig, parts: Parts) -> None:
        self.config = config
        self.network = DT4IERNetwork(config, parts)
        self.module: nn.Module = self.network
        self.trainer = Trainer(self.network, self.network.returns, parts.problem, config.optimiser)
        self.optimisers: dict[str, torch.optim.Optimizer] = {"optimiser": self.trainer.optimiser}

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        returns = self.network.returns
        returns.look(store, self.config.quantile)
        low = np.quantile(returns.of(store).episodes, self.config.low, axis=0)
        self.network.low.copy_(torch.from_numpy(low))

    def _negatives(self, store: TransitionStore, rows: Int64[np.ndarray, "B"]) -> Bool[Tensor, "B"]:
        """Which windows are of episodes that brought little of both."""
        episodes = self.network.returns.of(store).episodes[store.episode_of_step[rows]]
        return (torch.from_numpy(episodes) <= self.network.low).all(1)

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        rows, steps = self.trainer.draw(store, generator)
        hidden = steps.hidden(self.network)
        distribution = self.network.decide(hidden, steps.observation)
        choice = -distribution.log_prob(steps.action).mean()
        total, told = choice, {"loss": choice}
        if self.config.contrastive:
            window = torch.arange(len(rows))[:, None].expand_as(steps.mask)[steps.mask]
            low = self._negatives(store, rows)
            told["contrastive"] = contrastive_loss(distribution.state, window, low, len(rows))
            total = total + self.config.contrastive * told["contrastive"]
        if self.network.balance is not None:
            weights = self.network.weights(steps.observation)
            told["balance"] = balance_loss(weights, self.network.returns(steps.returns, steps.observation))
            total = total + told["balance"]
        self.trainer.step(total, number)
        return {name: value.detach() for name, value in told.items()}

    def policy(self) -> DecisionTransformerPolicy:
        """See :class:`recgym.agents.offline.Learner`."""
        return self.trainer.policy()
