"""Sim2Rec: a policy that recognises, while it serves, which user and which world it has before it.

Source: Sim2Rec (arXiv 2305.04832).

A set of simulators spans what a log leaves open. The policy learns in all of them and sees, beside each user's own
steps, what SADAE (:mod:`recgym.encoders.sadae`) makes of all users who share the user's world:

=====================  =========================================================================================
environment latent     ``v_t = E q(v | X_t)``, X_t what the users of the group show in step t, with the last action
context                ``z_t = LSTM(z_{t-1}; x_t, v_t)`` over the user's own steps, x_t with the last action
policy, value          ``pi(a | x_t, v_t, z_t)`` and ``V(x_t, v_t, z_t)``, learned by proximal policy optimisation
=====================  =========================================================================================

Differences from the paper:

1. SADAE learns from its own objective alone: gradients of the policy's loss stop at v.
2. Its objective weighs the likelihood of a set by 100 (``WorldConfig.encoder``), the evidence bound of a whole set.
3. v enters as the posterior's mean, not as a draw.
4. Advantages and value targets are scaled world by world, value targets step by step of the episode too.
5. Layers of the policy are ReLU, 64 and 64 wide by default, in place of 128-128-128-32; the learning rate is larger and
   minibatches smaller; actions that are levels of one quantity may share a bell curve
   (``RecurrentPPOConfig.ordered``).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from recgym.agents.recurrent.config import RecurrentPPOConfig
from recgym.agents.recurrent.world import WorldConfig

__all__ = ["Sim2RecConfig"]


@dataclass(frozen=True)
class Sim2RecConfig:
    """Settings of Sim2Rec; :class:`recgym.agents.RecurrentPPO` learns with them.

    ``Sim2RecConfig.published()`` has the paper's settings for long-term satisfaction.

    Attributes:
        policy: of the learner and its networks.
        world: of what is learned about worlds.
    """

    policy: RecurrentPPOConfig = field(default_factory=lambda: RecurrentPPOConfig(gae_lambda=0.98))
    world: WorldConfig = field(default_factory=WorldConfig)

    name: ClassVar[str] = "sim2rec"

    @classmethod
    def published(cls) -> "Sim2RecConfig":
        """The paper's settings: slower by far than the defaults."""
        policy = RecurrentPPOConfig(
            gamma=0.99, gae_lambda=0.95, clip=0.2, epochs=3, batch_steps=30_000, entropy=0.02, learning_rate=5e-5,
            final_rate=0.01, memory=64, hidden=(128, 128, 128, 32),
        )  # fmt: skip
        return cls(policy)
