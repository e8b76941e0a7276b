"""RecSim's formulas, user by user in plain Python, written from its published code to check ours against.

Sources: ``recsim/choice_model.py``, ``environments/interest_evolution.py`` (classes ``UtilityModelUserSampler``,
``UtilityModelVideoSampler`` and ``IEvUserModel``) and ``environments/long_term_satisfaction.py`` of RecSim 0.2.4.
"""

import math
from dataclasses import dataclass, field


def proportional(scores: list[float], no_click_mass: float = 1.0, min_normalizer: float = -1.0) -> list[float]:
    """``MultinomialProportionalChoiceModel``: probability of each position, and of none."""
    shifted = [score - min_normalizer for score in [*scores, no_click_mass]]
    return [score / sum(shifted) for score in shifted]


def logit(scores: list[float], no_click_mass: float = 1.0) -> list[float]:
    """``MultinomialLogitChoiceModel``."""
    weights = [math.exp(score) for score in [*scores, no_click_mass]]
    return [weight / sum(weights) for weight in weights]


def cascade(scores: list[float], attention: float, scaling: float) -> list[float]:
    """``CascadeChoiceModel._positional_normalization``, for scores that are not negative."""
    none, chances = 1.0, []
    for score in scores:
        examined = attention * scaling * score
        chances.append(none * examined)
        none *= 1 - examined
    return [*chances, none]


@dataclass
class Video:
    """A document: one topic, quality, length in minutes."""

    topic: int
    quality: float
    length: float = 4.0


@dataclass
class User:
    """``IEvUserState`` and ``IEvUserModel`` with the parameters of the utility model."""

    interests: list[float]
    budget: float = 200.0
    alpha: float = field(default=0.9 * (1.0 / 3.4))
    step_penalty: float = 0.5

    def choice(self, slate: list[Video]) -> list[float]:
        """Probability of each position, and of none."""
        return proportional([self.interests[video.topic] for video in slate])

    def watch(self, video: Video) -> float:
        """Minutes watched of a clicked video."""
        return min(self.budget, video.length)

    def moves(self, video: Video) -> tuple[float, float, float]:
        """Probability that the interest in the topic rises, and what it becomes if it does and if it does not."""
        interest = self.interests[video.topic]
        update = (-0.3 * abs(interest) + 0.3) * (1.0 - interest)
        return (interest + 1) / 2, clip(interest + update), clip(interest - update)

    def budget_after(self, clicked: Video | None) -> float:
        """Minutes left after a step."""
        if clicked is None:
            return self.budget - self.step_penalty
        return self.budget - self.watch(clicked) + self.alpha * self.watch(clicked) * clicked.quality


def clip(value: float) -> float:
    """To [-1, 1]."""
    return max(-1.0, min(1.0, value))


@dataclass
class Reader:
    """``LTSUserModel`` with RecSim's defaults, and no noise."""

    exposure: float
    memory: float = 0.7
    sensitivity: float = 0.01
    choc: float = 5.0
    kale: float = 4.0

    def log_engagement(self, clickbait: float) -> float:
        """Mean of the logarithm of the engagement; its standard deviation is 1 at any level."""
        satisfaction = 1 / (1 + math.exp(-self.sensitivity * self.exposure))
        return (clickbait * self.choc + (1 - clickbait) * self.kale) * satisfaction

    def consume(self, clickbait: float) -> None:
        """Move the exposure, without its noise."""
        self.exposure = self.memory * self.exposure - 2.0 * (clickbait - 0.5)
