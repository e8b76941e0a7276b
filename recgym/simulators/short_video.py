"""Users of a short-video feed, hand-made: what holds them is not what they like, nor what brings them back.

The rates of explicit feedback follow KuaiRand (arXiv 2208.08696); that what holds the eye and what is liked come apart
follows the clickbait of Sim2Rec (arXiv 2305.04832) and RecSim (arXiv 1909.04847).
"""

from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import as_double, as_float, from_numpy, namespace, normal, sum_columns, uniform
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.simulators.short_video_world import ShortVideoConfig, make_catalogue
from recgym.simulators.worlds import Worlds
from recgym.types import Array, Generator, Response

__all__ = ["ShortVideo", "ShortVideoConfig", "ShortVideoState"]

_DAY_S = 86_400.0


class ShortVideoState(NamedTuple):
    """State of a batch of users.

    Attributes:
        taste: how much the user likes each topic (Z of them).
        stated: what the user says of it.
        fatigue: how tired the user is of each topic, 0 or more.
        satisfaction: slow memory of what the user got out of the feed, in [-1, 1] or little beyond.
        temper: patience left in this session; the user leaves when it is used up.
        patience: temper at the start of a session.
        loyalty: readiness to come back.
        pull: how strongly hooks hold the users of this world.
        group: which users share ``pull`` and the world's mean patience.
    """

    taste: Float32[Array, "B Z"]
    stated: Float32[Array, "B Z"]
    fatigue: Float32[Array, "B Z"]
    satisfaction: Float32[Array, "B"]
    temper: Float32[Array, "B"]
    patience: Float32[Array, "B"]
    loyalty: Float32[Array, "B"]
    pull: Float32[Array, "B"]
    group: Int64[Array, "B"]


class ShortVideo(UserModel[ShortVideoState]):
    """The user sees every video of the slate in turn, swipes on when it no longer holds, and reacts to some.

    A video has topics (a mix t of two), a length of d seconds, a quality q and a hook h, all independent.

    ==================  ========================================================================================
    appeal              a = (taste - fatigue) . t
    worth               w = a + q - hook_regret h: what the user gets out of the video
    pull                p = a + quality_pull q + clickbait_pull h + mood_pull satisfaction: what holds the user
    time to a swipe     X ~ Exponential(mean m), m = attention_s (d / duration_s)^stretch exp(p), p cut to [-3, 3]
    ``watch_time``      min(X, d) seconds; E = m (1 - exp(-d / m)); the whole video with probability exp(-d / m)
    ``long_view``       watched min(d, 18 s) or more; probability exp(-min(d, 18) / m)
    ``like``, ...       like, comment, forward and follow need a long view: then Bernoulli(sigmoid(rate + slope w))
    ``hate``            Bernoulli(sigmoid(rate + slope w)) for every video
    ==================  ========================================================================================

    So ``P(like) = exp(-min(d, 18) / m) sigmoid(rate + slope w)``: :meth:`expected` is exact in every channel. After the
    slate, with r the watched share of each video and z the 0 or 1 of hate:

    ==================  ========================================================================================
    joy                 j = r tanh(w) - z, its mean over the slate: clickbait is watched and regretted
    temper              temper - max(0.2, 1 - lift j); the session ends when it is used up
    satisfaction        s + mood_rate (j - s)
    fatigue             (1 - fatigue_recovery) f + fatigue (mean over the slate of r t)
    return              never with probability sigmoid(churn - churn_satisfaction s - loyalty); else days away are
                        log-normal: exp(N(ln gap_days - gap_satisfaction s - loyalty, gap_sd))
    next session        temper = patience; fatigue and satisfaction fade with the gap
    ==================  ========================================================================================

    A system sees stated interests (taste with noise), the topic mix, the length of each video and its glare (the hook
    with noise). Taste, moods, loyalty, quality and the parameters of the world are hidden; like quality, what a hook
    does to worth must be learned from reactions.

    With every parameter at its default and random slates of one, 1.6 % of the videos are liked, 0.24 % commented,
    0.1 % forwarded, 0.12 % lead to a follow and 0.05 % are hated.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = (
        "taste", "fatigue", "satisfaction", "temper", "patience", "loyalty", "pull",
    )  # fmt: skip
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, config: ShortVideoConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or ShortVideoConfig()
        if config.num_videos < 1 or config.num_topics < 2:
            raise ValueError(
                f"a catalogue needs at least 1 video and 2 topics, found {config.num_videos} and {config.num_topics}"
            )
        reactions = ("like", "comment", "forward", "follow", "hate")
        self.schema = FeedbackSchema(
            (
                Channel("watch_time", ChannelKind.DURATION, "s"),
                *(Channel(name, ChannelKind.BINARY) for name in ("long_view", *reactions)),
            )
        )
        self.num_items = config.num_videos
        self.profile_size = config.num_topics
        self._worlds = Worlds({"patience": config.patience, "clickbait_pull": config.clickbait_pull}, device)
        catalogue = make_catalogue(config)
        self.topics = from_numpy(catalogue.topics, device)
        self.item_features = from_numpy(catalogue.features, device)
        # One row a video, so that one look-up serves a slate: length, m at no pull, and what it adds to pull and worth.
        self._facts = from_numpy(catalogue.facts, device)
        self._rates = from_numpy(np.asarray(config.rates, dtype=np.float32), device)
        self._slopes = from_numpy(np.asarray(config.slopes, dtype=np.float32), device)

    def on(self, device: str) -> "ShortVideo":
        """See :class:`UserModel`."""
        return ShortVideo(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> ShortVideoState:
        """See :class:`UserModel`. With parameters that differ by row, row b always gets the b-th value."""
        config = self.config
        group = self._worlds.groups(n, generator, rows)
        taste = normal(generator, (n, config.num_topics))
        xp = namespace(taste)
        patience = self._worlds.value("patience", group) * xp.exp(config.patience_sd * normal(generator, (n,)))
        return ShortVideoState(
            taste=taste,
            stated=taste + config.stated_sd * normal(generator, (n, config.num_topics)),
            fatigue=xp.zeros_like(taste),
            satisfaction=xp.zeros_like(patience),
            temper=patience,
            patience=patience,
            loyalty=config.loyalty_sd * normal(generator, (n,)),
            pull=self._worlds.value("clickbait_pull", group),
            group=group,
        )

    def _views(self, state: ShortVideoState, slate: Array) -> "_Views":
        config = self.config
        facts, topics = self._facts[slate], self.topics[slate]
        xp = namespace(facts)
        appeal = ((state.taste - state.fatigue)[:, None] * topics).sum(-1)
        duration, scale, quality, hook = facts[..., 0], facts[..., 1], facts[..., 2], facts[..., 3]
        mood = config.mood_pull * state.satisfaction
        pull = appeal + config.quality_pull * quality + state.pull[:, None] * hook + mood[:, None]
        mean = scale * xp.exp(xp.clip(pull, -3.0, 3.0))
        return _Views(duration, topics, mean, appeal + quality - config.hook_regret * hook)

    def _chances(self, worth: Array) -> Array:
        """Chance of each reaction, given a long view where it needs one, ``[B, K, 5]``."""
        logits = self._rates + self._slopes * worth[..., None]
        return 1 / (1 + namespace(logits).exp(-logits))

    def respond(self, state: ShortVideoState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        views = self._views(state, slate)
        xp = namespace(views.mean)
        draws = uniform(generator, (*slate.shape, 6))
        watched = xp.minimum(-views.mean * xp.log1p(-draws[..., 0]), views.duration)
        long = watched >= xp.clip(views.duration, 0.0, LONG_VIEW_S)
        reactions = as_float(draws[..., 1:] < self._chances(views.worth))
        return _feedback(watched, as_float(long), reactions, slate)

    def expected(self, state: ShortVideoState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        views = self._views(state, slate)
        xp = namespace(views.mean)
        watched = -views.mean * xp.expm1(-views.duration / views.mean)
        long = xp.exp(-xp.clip(views.duration, 0.0, LONG_VIEW_S) / views.mean)
        return _feedback(watched, long, self._chances(views.worth), slate)

    def advance(
        self, state: ShortVideoState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> ShortVideoState:
        """See :class:`UserModel`."""
        config = self.config
        views, feedback = self._views(state, slate), response.feedback
        xp = namespace(feedback)
        share = feedback[..., 0] / views.duration
        joys = share * xp.tanh(views.worth) - feedback[..., -1]
        joy = sum_columns(joys) / slate.shape[1]
        seen = sum_columns(share[..., None] * views.topics) / slate.shape[1]
        return state._replace(
            fatigue=(1 - config.fatigue_recovery) * state.fatigue + config.fatigue * seen,
            satisfaction=state.satisfaction + config.mood_rate * (joy - state.satisfaction),
            temper=state.temper - xp.clip(1 - config.lift * joy, 0.2, None),
        )

    def has_left(self, state: ShortVideoState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.temper <= 0

    def step_seconds(
        self, state: ShortVideoState, slate: Int64[Array, "B K"], response: Response
    ) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The time watched, and a second to swipe for each video."""
        return sum_columns(response.feedback[..., 0]) + float(slate.shape[1])

    def churn_probability(self, state: ShortVideoState) -> Float32[Array, "B"]:
        """The probability that a session which ends in this state is the user's last."""
        config = self.config
        logit = config.churn - config.churn_satisfaction * state.satisfaction - state.loyalty
        return 1 / (1 + namespace(logit).exp(-logit))

    def log_gap_days(self, state: ShortVideoState) -> Float32[Array, "B"]:
        """Mean of the natural logarithm of the days away, of users who come back."""
        config = self.config
        return float(np.log(config.gap_days)) - config.gap_satisfaction * state.satisfaction - state.loyalty

    def return_gap(self, state: ShortVideoState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`."""
        users = state.temper.shape[0]
        stays = uniform(generator, (users,)) >= self.churn_probability(state)
        noise = self.config.gap_sd * normal(generator, (users,))
        xp = namespace(noise)
        # A float32 has too few digits for the seconds of weeks.
        gap = xp.exp(as_double(self.log_gap_days(state) + noise)) * _DAY_S
        return xp.where(stays, gap, float("inf"))

    def come_back(self, state: ShortVideoState, gap_s: Float64[Array, "B"], generator: Generator) -> ShortVideoState:
        """See :class:`UserModel`."""
        config = self.config
        xp = namespace(gap_s)
        rested = as_float(xp.exp(-gap_s / (config.fatigue_hours * 3600.0)))
        faded = as_float(xp.exp(-gap_s / (config.mood_days * _DAY_S)))
        return state._replace(
            fatigue=state.fatigue * rested[:, None],
            satisfaction=state.satisfaction * faded,
            temper=state.patience + 0.0,
        )

    def mood(self, state: ShortVideoState) -> dict[str, Float32[Array, "B"]]:
        """See :class:`recgym.simulators.moods.MoodyUsers`."""
        return {"satisfaction": state.satisfaction, "temper": state.temper}

    def observe(self, state: ShortVideoState) -> Observed:
        """See :class:`UserModel`. The profile is the stated interests."""
        return Observed(state.stated, None, state.group if self._worlds.differ else None)


LONG_VIEW_S = 18.0
"""A view is long that lasts so many seconds, or the whole video if that is shorter; as in KuaiRand."""


class _Views(NamedTuple):
    """What users make of the videos of a slate: length, topic mix, mean time to a swipe and worth."""

    duration: Float32[Array, "B K"]
    topics: Float32[Array, "B K Z"]
    mean: Float32[Array, "B K"]
    worth: Float32[Array, "B K"]


def _feedback(watched: Array, long: Array, reactions: Array, slate: Array) -> Response:
    """Feedback of every channel; all but the last reaction need a long view, and repeated videos get nothing."""
    xp = namespace(watched)
    long = long[..., None]
    feedback = xp.concatenate([watched[..., None], long, reactions[..., :-1] * long, reactions[..., -1:]], -1)
    return Response(feedback if slate.shape[1] == 1 else feedback * ~repeated_items(slate)[..., None])
