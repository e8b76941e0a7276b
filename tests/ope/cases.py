"""Logged data whose law is known, for tests of estimators."""

from dataclasses import dataclass

import numpy as np

from recgym.ope import ContinuousRounds, LoggedRounds, LoggedSlates, independent_slot_weights
from tests.truth.make_obp_reference import cascade, continuous, slates, synthetic


def synthetic_rounds() -> LoggedRounds:
    """The rounds of which obp's values are known, with all that any estimator needs."""
    data = synthetic()
    return LoggedRounds(
        data["action"].astype(np.int64), data["reward"], data["propensity"], data["target"], data["q"], data["logging"],
        data["embedding"].astype(np.int64), data["ratio"], data["stratum"].astype(np.int64), data["average"],
    )  # fmt: skip


def synthetic_slates() -> LoggedSlates:
    """The slates of which obp's values are known."""
    data = slates()
    linear = independent_slot_weights(data["marginal"], data["marginal_target"])
    return LoggedSlates(**data, linear=linear)


def synthetic_cascade() -> LoggedSlates:
    """The fewer slates of which obp's cascade value is known."""
    data, more = slates(), cascade()
    few = len(more["action"])
    return LoggedSlates(
        data["reward"][:few], prefix=data["prefix"][:few], prefix_target=data["prefix_target"][:few],
        q_taken=np.take_along_axis(more["q"], more["action"][:, :, None], 2)[:, :, 0],
        q_target=(more["q"] * more["law"]).sum(2),
    )  # fmt: skip


def synthetic_continuous() -> ContinuousRounds:
    """The rounds with real actions of which obp's values are known."""
    return ContinuousRounds(**continuous())


@dataclass(frozen=True)
class World:
    """Contexts by number, each with its own law of actions and rewards.

    Attributes:
        logging: probability of each action in each context.
        target: the same of the target policy.
        q: probability of reward 1 of each action in each context.
    """

    logging: np.ndarray
    target: np.ndarray
    q: np.ndarray

    @property
    def value(self) -> float:
        """Of the target policy; contexts are equally likely."""
        return float((self.target * self.q).sum(1).mean())

    def draw(self, n: int, generator: np.random.Generator, model: np.ndarray | None = None) -> LoggedRounds:
        """A log; the model of rewards is the truth if None."""
        context = generator.integers(0, len(self.q), n)
        action = draw(self.logging[context], generator)
        reward = (generator.random(n) < self.q[context, action]).astype(np.float64)
        q = self.q if model is None else model
        return LoggedRounds(
            action, reward, self.logging[context, action], self.target[context], q[context], self.logging[context]
        )


def world(contexts: int = 5, actions: int = 4, seed: int = 0, spread: float = 1.0) -> World:
    """A world of random laws; a larger spread makes the policies differ more."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(2, contexts, actions)) * spread
    laws = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return World(laws[0], laws[1], generator.uniform(0.1, 0.9, (contexts, actions)))


def draw(law: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One action a row."""
    cumulative = np.cumsum(law, -1)
    drawn: np.ndarray = (cumulative[..., :-1] <= generator.random((*law.shape[:-1], 1)) * cumulative[..., -1:]).sum(-1)
    return drawn
