"""Fitted Q evaluation: what a learned policy is worth on a log, by d3rlpy."""

from dataclasses import dataclass

import d3rlpy
import numpy as np
import structlog
from d3rlpy.models.encoders import VectorEncoderFactory
from jaxtyping import Float32

from recgym.agents.d3rlpy.learner import D3RLPyLearner
from recgym.agents.offline import OfflineAgent
from recgym.data.transitions import TransitionStore
from recgym.seeding import make_generator, seeded

__all__ = ["FQEValue", "fitted_q_evaluation"]


@dataclass(frozen=True)
class FQEValue:
    """What a policy is worth.

    Attributes:
        values: of the first state of each episode.
        losses: mean loss of each tenth of the updates.
    """

    values: Float32[np.ndarray, "E"]
    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over episodes."""
        return float(self.values.mean())


def fitted_q_evaluation(
    agent: OfflineAgent,
    store: TransitionStore,
    updates: int,
    *,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    gamma: float = 0.99,
    target_update_interval: int = 100,
    seed: int = 0,
) -> FQEValue:
    """Learn the values of an agent's likeliest actions from a log, https://arxiv.org/abs/1903.08738.

    Discrete agents are judged by their best action of the whole catalogue: d3rlpy knows no candidates, so where they
    vary the value is one that no user can be given.

    Args:
        agent: of one of :data:`recgym.agents.d3rlpy.D3RLPY_CONFIGS`, but no decision transformer.
        store: the log.
        updates: of the value network.
        batch_size: steps in an update.
        learning_rate: of Adam.
        gamma: discount.
        target_update_interval: updates between copies into the target network.
        seed: root seed.

    Raises:
        ValueError: the agent is none of d3rlpy's, or reads sequences.
    """
    learner = agent.learner
    if not isinstance(learner, D3RLPyLearner) or learner.config.sequences:
        raise ValueError(
            f"fitted Q evaluation needs an agent of d3rlpy that reads single steps, found {agent.config.name}"
        )
    prepared = learner.prepared(store)
    hidden = VectorEncoderFactory(hidden_units=list(agent.config.network.hidden))
    settings = d3rlpy.ope.FQEConfig(
        learning_rate=learning_rate, batch_size=batch_size, gamma=gamma, encoder_factory=hidden,
        target_update_interval=target_update_interval,
    )  # fmt: skip
    kind = d3rlpy.ope.DiscreteFQE if learner.config.discrete else d3rlpy.ope.FQE
    generator = make_generator(seed, "fitted q evaluation")
    losses = np.zeros(updates)
    with seeded(seed, "fitted q evaluation"), structlog.testing.capture_logs():
        judge = kind(algo=learner.algorithm, config=settings, device="cpu:0")
        judge.create_impl((prepared.width,), learner.actions)
        for number in range(updates):
            losses[number] = judge.update(prepared.transitions(batch_size, generator))["loss"]
        starts = prepared.starts()
        values = judge.predict_value(starts, judge.predict(starts))
    parts = tuple(float(part.mean()) for part in np.array_split(losses, min(10, updates)))
    return FQEValue(values.reshape(-1).astype(np.float32), parts)
