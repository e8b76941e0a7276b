"""What makes the world of :class:`recgym.simulators.ShortVideo`: its parameters and its videos."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

__all__ = ["Catalogue", "ShortVideoConfig", "make_catalogue"]

LENGTHS = (0.25, 15.0)
"""The shortest and the longest video, relative to the median."""


@dataclass(frozen=True)
class ShortVideoConfig:
    """Parameters of the world.

    The conflict is off with ``ShortVideoConfig.without_conflict()``: then what holds users is what they like.

    Attributes:
        patience: unsatisfying videos that a user bears in a session, on average over users; one value, or one a row of
            the batch.
        clickbait_pull: how much a video's hook adds to its pull; one value, or one a row of the batch.
        hook_regret: how much a video's hook takes from its worth.
        quality_pull: how much a video's quality adds to its pull; it adds 1 to its worth.
        mood_pull: how much satisfaction adds to the pull of every video.
        attention_s: mean seconds until a user swipes on, for a video of median length and no pull.
        stretch: how the time until a swipe grows with the length of the video: ``(d / duration_s) ** stretch``.
        num_videos: N.
        num_topics: Z.
        duration_s: median length of a video.
        duration_sd: standard deviation of the logarithm of the length.
        glare_sd: noise of the visible sign of a hook.
        stated_sd: noise of the interests that users state.
        patience_sd: spread of patience between users, of its logarithm.
        lift: videos of patience that a perfect video gives back.
        fatigue: how much a topic loses by a whole video on it.
        fatigue_recovery: share of the fatigue that goes with each slate.
        fatigue_hours: hours away after which 1/e of the fatigue is left.
        mood_rate: how fast satisfaction follows what is shown.
        mood_days: days away after which 1/e of the satisfaction is left.
        rates: intercepts of the logits of like, comment, forward (share), follow and hate.
        slopes: how these logits rise with the worth of a video.
        gap_days: median gap between sessions of a user with neutral satisfaction and loyalty.
        gap_satisfaction: how much satisfaction shortens the logarithm of the gap.
        gap_sd: spread of the logarithm of the gap.
        churn: logit of never coming back, at neutral satisfaction and loyalty.
        churn_satisfaction: how much satisfaction lowers that logit.
        loyalty_sd: spread of loyalty between users.
        seed: of the catalogue.
    """

    patience: float | tuple[float, ...] = 15.0
    clickbait_pull: float | tuple[float, ...] = 1.1
    hook_regret: float = 1.1
    quality_pull: float = 0.2
    mood_pull: float = 0.6
    attention_s: float = 9.0
    stretch: float = 0.6
    num_videos: int = 1000
    num_topics: int = 10
    duration_s: float = 20.0
    duration_sd: float = 0.8
    glare_sd: float = 0.4
    stated_sd: float = 1.0
    patience_sd: float = 0.3
    lift: float = 1.6
    fatigue: float = 0.15
    fatigue_recovery: float = 0.05
    fatigue_hours: float = 8.0
    mood_rate: float = 0.06
    mood_days: float = 14.0
    rates: tuple[float, float, float, float, float] = (-3.82, -5.44, -6.67, -6.67, -8.8)
    slopes: tuple[float, float, float, float, float] = (1.1, 0.8, 1.0, 1.1, -1.2)
    gap_days: float = 1.0
    gap_satisfaction: float = 2.5
    gap_sd: float = 0.8
    churn: float = -3.0
    churn_satisfaction: float = 4.0
    loyalty_sd: float = 0.5
    seed: int = 0

    @classmethod
    def without_conflict(cls) -> "ShortVideoConfig":
        """A world in which what holds users is what they like: no hooks, and videos of one length."""
        return cls(clickbait_pull=0.0, hook_regret=0.0, quality_pull=1.0, duration_sd=0.0)


class Catalogue(NamedTuple):
    """The videos: topic mixes; what a system sees; length, time to a swipe at no pull, quality and hook."""

    topics: Float32[np.ndarray, "N Z"]
    features: Float32[np.ndarray, "N D"]
    facts: Float32[np.ndarray, "N 4"]


def make_catalogue(config: ShortVideoConfig) -> Catalogue:
    """Draw the videos."""
    rng = np.random.default_rng(config.seed)
    n = config.num_videos
    topics = np.zeros((n, config.num_topics), dtype=np.float32)
    # Each video has a first topic, of weight 0.5 or more, and another.
    first = rng.integers(config.num_topics, size=n)
    second = (first + rng.integers(1, config.num_topics, size=n)) % config.num_topics
    weight = rng.uniform(0.5, 1.0, size=n)
    topics[np.arange(n), first] = weight
    topics[np.arange(n), second] = 1 - weight
    length = np.clip(config.duration_sd * rng.standard_normal(n), *np.log(LENGTHS))
    quality, hook = rng.standard_normal((2, n)) * 0.7
    glare = hook + config.glare_sd * rng.standard_normal(n)
    scale = config.attention_s * np.exp(config.stretch * length)
    facts = np.stack([config.duration_s * np.exp(length), scale, quality, hook], 1)
    features = np.concatenate([topics, length[:, None], glare[:, None]], 1)
    return Catalogue(topics, features.astype(np.float32), facts.astype(np.float32))
