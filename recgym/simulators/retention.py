"""Users who come back day after day out of habit and satisfaction: a small world in which the gap is known exactly.

The task is that of RLUR (arXiv 2302.01724) and of KuaiSim's cross-session level (arXiv 2309.12645), with users made by
hand: what is clicked now and what brings users back are not the same.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import (
    as_double,
    as_float,
    bernoulli,
    device_of,
    from_numpy,
    full,
    gather,
    namespace,
    normal,
    sum_columns,
    uniform,
    zeros,
)
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.types import Array, Generator, Response

__all__ = ["Retention", "RetentionConfig", "RetentionState"]

_DAY_S = 86_400.0


@dataclass(frozen=True)
class RetentionConfig:
    """Parameters of the world.

    Attributes:
        num_items: N.
        num_topics: Z; an item has exactly one.
        click: logit of a click, at no taste and no glitter.
        glitter_click: how much an item's glitter adds to that logit.
        glitter_regret: how much it takes from the worth of the item.
        stated_sd: noise of the interests that users state.
        satisfaction_rate: how fast satisfaction follows what is shown.
        boredom: what satisfaction falls to when nothing is clicked, as a positive number.
        leave: probability that a session ends with a step, whatever was shown.
        returns_per_day: rate of coming back, at no satisfaction and no habit.
        satisfaction_pull: how much satisfaction adds to the logarithm of that rate.
        habit_pull: how much habit adds to it.
        habit_gain: share of the way to a full habit that each session goes.
        habit_days: days away after which 1/e of the habit is left.
        mood_days: days away after which 1/e of the satisfaction is left.
        step_s: seconds that a step takes.
        seed: of the catalogue.
    """

    num_items: int = 200
    num_topics: int = 8
    click: float = -1.0
    glitter_click: float = 1.0
    glitter_regret: float = 1.0
    stated_sd: float = 1.0
    satisfaction_rate: float = 0.1
    boredom: float = 0.2
    leave: float = 0.125
    returns_per_day: float = 0.4
    satisfaction_pull: float = 2.5
    habit_pull: float = 1.5
    habit_gain: float = 0.15
    habit_days: float = 7.0
    mood_days: float = 14.0
    step_s: float = 30.0
    seed: int = 0


class RetentionState(NamedTuple):
    """State of a batch of users.

    Attributes:
        taste: how much the user likes each topic (Z of them).
        stated: what the user says of it.
        satisfaction: memory of what the user got out of what was shown, in [-1, 1].
        habit: how used the user is to coming, in [0, 1].
        left: whether the session has ended.
    """

    taste: Float32[Array, "B Z"]
    stated: Float32[Array, "B Z"]
    satisfaction: Float32[Array, "B"]
    habit: Float32[Array, "B"]
    left: Bool[Array, "B"]


class Retention(UserModel[RetentionState]):
    """The user clicks what looks good, is satisfied by what is good, and comes back sooner or later.

    An item has one topic, a quality q and a glitter g.

    ==================  ========================================================================================
    click               Bernoulli(sigmoid(click + taste[topic] + glitter_click g)), each position by itself
    worth of a click    tanh(taste[topic] + q - glitter_regret g); of a position without one: -boredom
    satisfaction        s + satisfaction_rate (mean worth over the slate - s)
    end of a session    with probability ``leave`` at each step: lengths are geometric, whatever is shown
    return              the days away are exponential with rate
                        returns_per_day exp(satisfaction_pull s + habit_pull h): P(gap > x) = exp(-rate x)
    next session        habit (h + habit_gain (1 - h)) exp(-days / habit_days); satisfaction fades with mood_days
    ==================  ========================================================================================

    Users are never lost but by staying away for long: a task says how long is too long. A system sees stated interests
    (taste with noise), the topic and the glitter of each item; taste, satisfaction, habit and quality are hidden. The
    end of a session carries no news of satisfaction, so the gap is the only sign of it.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("taste", "satisfaction", "habit")
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, config: RetentionConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or RetentionConfig()
        if not 0 < config.leave <= 1:
            raise ValueError(f"leave must be a probability above 0, found {config.leave}")
        rng = np.random.default_rng(config.seed)
        topic = rng.integers(config.num_topics, size=config.num_items)
        quality, glitter = rng.standard_normal((2, config.num_items)).astype(np.float32)
        features = np.concatenate([np.eye(config.num_topics)[topic], glitter[:, None]], 1).astype(np.float32)
        self.schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
        self.num_items = config.num_items
        self.profile_size = config.num_topics
        self.item_features = from_numpy(features, device)
        self.topic = from_numpy(topic, device)
        self._appeal = from_numpy(config.click + config.glitter_click * glitter, device)
        self._merit = from_numpy(quality - config.glitter_regret * glitter, device)

    def on(self, device: str) -> "Retention":
        """See :class:`UserModel`."""
        return Retention(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> RetentionState:
        """See :class:`UserModel`. Habits start uniform in [0, 0.5]."""
        shape, device = (n, self.config.num_topics), device_of(generator)
        taste = normal(generator, shape)
        return RetentionState(
            taste=taste,
            stated=taste + self.config.stated_sd * normal(generator, shape),
            satisfaction=zeros((n,), "float32", device),
            habit=uniform(generator, (n,), 0.0, 0.5),
            left=full((n,), False, "bool", device),
        )

    def _click_chance(self, state: RetentionState, slate: Array) -> Array:
        logit = gather(state.taste, self.topic[slate]) + self._appeal[slate]
        return (1 / (1 + namespace(logit).exp(-logit))) * ~repeated_items(slate)

    def respond(self, state: RetentionState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        return Response(bernoulli(generator, self._click_chance(state, slate))[..., None])

    def expected(self, state: RetentionState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        return Response(self._click_chance(state, slate)[..., None])

    def advance(
        self, state: RetentionState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> RetentionState:
        """See :class:`UserModel`."""
        config, click = self.config, response.feedback[..., 0]
        xp = namespace(click)
        merit = xp.tanh(gather(state.taste, self.topic[slate]) + self._merit[slate])
        worth = sum_columns(xp.where(click > 0, merit, -config.boredom)) / slate.shape[1]
        return state._replace(
            satisfaction=state.satisfaction + config.satisfaction_rate * (worth - state.satisfaction),
            left=state.left | (uniform(generator, (slate.shape[0],)) < config.leave),
        )

    def has_left(self, state: RetentionState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(
        self, state: RetentionState, slate: Int64[Array, "B K"], response: Response
    ) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The same for every step."""
        return full((slate.shape[0],), self.config.step_s, "float32", device_of(slate))

    def return_rate(self, state: RetentionState) -> Float32[Array, "B"]:
        """Rate of the exponential distribution of the days away, after a session that ends in this state."""
        config = self.config
        pull = config.satisfaction_pull * state.satisfaction + config.habit_pull * state.habit
        return config.returns_per_day * namespace(pull).exp(pull)

    def return_gap(self, state: RetentionState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`."""
        draw = uniform(generator, (state.left.shape[0],))
        days = -namespace(draw).log1p(-draw) / self.return_rate(state)
        return as_double(days) * _DAY_S

    def come_back(self, state: RetentionState, gap_s: Float64[Array, "B"], generator: Generator) -> RetentionState:
        """See :class:`UserModel`."""
        config, days = self.config, gap_s / _DAY_S
        xp = namespace(days)
        habit = state.habit + config.habit_gain * (1 - state.habit)
        return state._replace(
            satisfaction=state.satisfaction * as_float(xp.exp(-days / config.mood_days)),
            habit=habit * as_float(xp.exp(-days / config.habit_days)),
            left=xp.zeros_like(state.left),
        )

    def mood(self, state: RetentionState) -> dict[str, Float32[Array, "B"]]:
        """See :class:`recgym.simulators.moods.MoodyUsers`."""
        return {"satisfaction": state.satisfaction, "habit": state.habit}

    def observe(self, state: RetentionState) -> Observed:
        """See :class:`UserModel`. The profile is the stated interests."""
        return Observed(state.stated)
