"""Settings of SlateQ."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from recgym.agents.online.base import OnlineLearner, ReplayConfig
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.slateq.slates import Optimiser
from recgym.envs.task import Task

__all__ = ["Learning", "NullItem", "SlateQConfig"]


class Learning(StrEnum):
    """Which slate of the next step the target of a transition counts with."""

    SARSA = "sarsa"
    """The one that was shown: the values are those of the policy that acted."""
    Q_LEARNING = "q-learning"
    """The best one, as ``SlateQConfig.target`` finds it."""


class NullItem(StrEnum):
    """What picking nothing is worth."""

    LEARNED = "learned"
    """A value of its own, learned from the steps at which nothing was picked: the decomposition with the null item in
    every slate, as the paper derives it."""
    WORTHLESS = "worthless"
    """Zero, and steps at which nothing was picked teach no value, as in RecSim's agent: the chance that a user picks
    nothing then discounts the future."""


@dataclass(frozen=True)
class SlateQConfig:
    """SlateQ (arXiv 1905.12767): values of items given that they are picked, and a model of what is picked.

    ``Q(s, A) = sum over i in A and the null item of P(i | s, A) Q(s, i)``, ``P(i | s, A) = v_i / (v_0 + sum_A v_j)``.
    The loss of a transition in which i was picked (the null item if nothing was), with the weights of the label network
    marked by a bar and A' the next slate of ``learning``:

    ``(r + gamma Q_label(s', A') - Q(s, i))^2 / u^2 - log P(i | s, A)``

    u is a fixed unit that makes values about 1, set from the first random steps. A' is found with the network that
    learns and judged with the label network (double Q-learning) unless ``double`` is off.

    Attributes:
        gamma: discount a step; 0 is the myopic baseline.
        learning: SARSA or Q-learning.
        target: finds the next slate of Q-learning.
        serving: finds the slates that are shown.
        null_item: what picking nothing is worth.
        double: whether the network that learns picks the next slate of Q-learning.
        buffer_size: user-steps that the replay buffer keeps.
        learning_starts: user-steps of random slates before learning begins.
        batch_size: transitions in a gradient step.
        updates: gradient steps after each step of all users; with ``batch_size`` and the number of users side by side,
            how often a transition is learned from.
        label_every: gradient steps after which the label network is made equal to the one that learns.
        learning_rate: step size of Adam at the start, for the values.
        choice_rate: the same for the choice model, which learns from certain targets and may take larger steps.
        final_rate: share of both that is left at the end; they fall linearly with the steps learned.
        max_grad_norm: gradients are scaled down to this norm.
        first_epsilon: share of random slates when learning begins.
        epsilon: share of random slates at the end, and of the policy where it is not greedy.
        exploration: share of all steps over which it falls from the first to the last.
        hidden: widths of the hidden layers of the values.
        embedding: width of item embeddings, queries and keys.
    """

    gamma: float = 0.99
    learning: Learning = Learning.Q_LEARNING
    target: Optimiser = Optimiser.EXACT
    serving: Optimiser = Optimiser.EXACT
    null_item: NullItem = NullItem.LEARNED
    double: bool = True
    buffer_size: int = 100_000
    learning_starts: int = 5_000
    batch_size: int = 512
    updates: int = 4
    label_every: int = 20
    learning_rate: float = 3e-3
    choice_rate: float = 3e-2
    final_rate: float = 0.05
    max_grad_norm: float = 10.0
    first_epsilon: float = 1.0
    epsilon: float = 0.05
    exploration: float = 0.3
    hidden: tuple[int, ...] = (64, 64)
    embedding: int = 32

    name: ClassVar[str] = "slateq"

    def __post_init__(self) -> None:
        for name in ("buffer_size", "learning_starts", "batch_size", "updates", "label_every", "embedding"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        for name in ("gamma", "final_rate", "first_epsilon", "epsilon", "exploration"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], found {getattr(self, name)}")
        for name in ("learning_rate", "choice_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden layers must be at least 1 wide, found {self.hidden}")

    @property
    def replay(self) -> ReplayConfig:
        """See :class:`recgym.agents.online.OnlineConfig`."""
        return ReplayConfig(self.buffer_size, self.learning_starts, self.updates, self.batch_size)

    @property
    def network(self) -> NetworkConfig:
        """See :class:`recgym.agents.online.OnlineConfig`."""
        return NetworkConfig(self.hidden, self.embedding)

    def learner(self, task: Task) -> OnlineLearner:
        """See :class:`recgym.agents.online.OnlineConfig`."""
        from recgym.agents.slateq.learner import SlateQ  # which is built from these settings

        return SlateQ(self, task)

    def epsilon_at(self, share: float) -> float:
        """The share of random slates when so large a share of all steps is learned."""
        done = min(share / self.exploration, 1.0) if self.exploration else 1.0
        return self.first_epsilon + done * (self.epsilon - self.first_epsilon)
