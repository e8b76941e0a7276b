"""Settings of proximal policy optimisation with a memory."""

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["RecurrentPPOConfig"]


@dataclass(frozen=True)
class RecurrentPPOConfig:
    """Proximal policy optimisation (arXiv 1707.06347) of a recurrent policy, on whole batches of users.

    The loss of a minibatch of steps, with the probability ratio rho, the advantage A (generalised advantage
    estimation, arXiv 1506.02438) and the return target R in units of its world's spread:

    ``-mean(min(rho A, clip(rho, 1 - clip, 1 + clip) A)) + value_weight mean((V - R)^2) - entropy mean(H)``

    Attributes:
        gamma: discount a step.
        gae_lambda: lambda of generalised advantage estimation.
        clip: largest change of the probability ratio that pays.
        epochs: passes over each rollout.
        batch_steps: user-steps in a minibatch, about; minibatches hold whole sequences.
        rollout_steps: steps of each user in a rollout.
        learning_rate: step size of Adam at the start.
        final_rate: share of it that is left at the end; it falls linearly with the steps learned.
        entropy: weight of the entropy.
        value_weight: weight of the value loss.
        max_grad_norm: gradients are scaled down to this norm.
        memory: width of the LSTM over a user's own steps; 0 for a policy without memory.
        hidden: widths of the hidden layers of policy and value.
        ordered: whether actions are levels of one quantity, the first feature of the items, and the policy a bell
            curve over them; else each action has a logit of its own.
        per_world: whether advantages and returns are scaled in each world by itself, so that no world counts more than
            another because its rewards are larger.
    """

    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    epochs: int = 4
    batch_steps: int = 10_500
    rollout_steps: int = 140
    learning_rate: float = 1e-3
    final_rate: float = 0.01
    entropy: float = 0.005
    value_weight: float = 0.5
    max_grad_norm: float = 1.0
    memory: int = 64
    hidden: tuple[int, ...] = (64, 64)
    ordered: bool = False
    per_world: bool = True

    name: ClassVar[str] = "recurrent-ppo"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_steps", "rollout_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        for name in ("gamma", "gae_lambda", "final_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], found {getattr(self, name)}")
        for name in ("learning_rate", "clip", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")
        if self.memory < 0 or any(width < 1 for width in self.hidden):
            raise ValueError(f"widths must be at least 1 (memory 0 for none), found {self.memory} and {self.hidden}")
