"""Users whose satisfaction suffers from clickbait: Sim2Rec's version of RecSim's long-term satisfaction world.

Sources: Sim2Rec (arXiv 2305.04832), section 5.1; RecSim (arXiv 1909.04847), ``environments/long_term_satisfaction.py``.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import (
    box,
    device_of,
    from_numpy,
    full,
    namespace,
    normal,
    normal_each,
    unbox,
    uniform,
    zeros,
)
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.worlds import Worlds
from recgym.types import Array, Generator, Response

__all__ = ["LongTermSatisfaction", "LongTermSatisfactionConfig", "SatisfactionState"]


@dataclass(frozen=True)
class LongTermSatisfactionConfig:
    """Parameters of the world; the defaults are Sim2Rec's.

    Attributes:
        choc: mean engagement with pure clickbait; a scalar, or one value a row of the batch.
        kale: mean engagement with content free of clickbait.
        choc_sd: standard deviation of engagement with pure clickbait.
        kale_sd: the same for content free of clickbait.
        memory: bounds of u where a user's memory discount is m = ln u, u uniform.
        sensitivity: bounds of u where a user's sensitivity is s = ln u, u uniform.
        innovation_sd: noise of the hidden exposure (s_in).
        exposure_spread: the initial exposure is ``offset + U[-1/2, 1/2] * spread``, divided by (1 - m).
        exposure_offset: see above.
        log_normal: engagement is the exponential of the normal draw (RecSim) in place of the draw itself (Sim2Rec).
        signal_sd: standard deviation of the group signal around choc.
        horizon: steps in the task; its end is an end of the session, not a cut.
        clickbait: clickbait level of each item of the catalogue, in [0, 1].
    """

    choc: float | tuple[float, ...] = 14.0
    kale: float = 4.0
    choc_sd: float = 0.01
    kale_sd: float = 0.01
    memory: tuple[float, float] = (1.01, 2.6)
    sensitivity: tuple[float, float] = (1.01, 2.6)
    innovation_sd: float = 0.0
    exposure_spread: float = 0.0
    exposure_offset: float = 0.5
    log_normal: bool = False
    signal_sd: float = 3.0
    horizon: int = 140
    clickbait: tuple[float, ...] = tuple(i / 30 for i in range(30))

    @classmethod
    def recsim(cls, num_documents: int = 1000, seed: int = 0) -> "LongTermSatisfactionConfig":
        """RecSim's own defaults: equal users, choc 5, kale 4, T 60, documents with uniform clickbait levels."""
        levels = np.random.default_rng(seed).random(num_documents)
        return cls(
            choc=5.0, kale=4.0, choc_sd=1.0, kale_sd=1.0, memory=(float(np.exp(0.7)),) * 2,
            sensitivity=(float(np.exp(0.01)),) * 2, innovation_sd=0.05, exposure_spread=1.0, exposure_offset=0.0,
            log_normal=True, horizon=60, clickbait=tuple(levels.tolist()),
        )  # fmt: skip


class SatisfactionState(NamedTuple):
    """State of a batch of users.

    Attributes:
        memory: m, how much of the exposure survives a step.
        sensitivity: s, how strongly satisfaction follows exposure.
        exposure: net positive exposure (NPE).
        choc: the world's mean engagement with clickbait.
        signal: the group signal, fixed a user.
        group: which users share ``choc``.
        step: steps taken.
    """

    memory: Float32[Array, "B"]
    sensitivity: Float32[Array, "B"]
    exposure: Float32[Array, "B"]
    choc: Float32[Array, "B"]
    signal: Float32[Array, "B"]
    group: Int64[Array, "B"]
    step: Int64[Array, "B"]


class LongTermSatisfaction(UserModel[SatisfactionState]):
    """The user consumes the first item of the slate, of clickbait level c, and answers with engagement.

    ====================  ====================================================================================
    satisfaction          SAT = sigmoid(s NPE), of the exposure before the step
    engagement            r ~ N((c choc + (1 - c) kale) SAT, c choc_sd + (1 - c) kale_sd); RecSim: exp of this draw
    exposure              NPE' = m NPE - 2 (c - 1/2) + N(0, innovation_sd)
    first exposure        0.5 / (1 - m) (Sim2Rec); U[-1/2, 1/2] / (1 - m) (RecSim)
    ====================  ====================================================================================

    A system sees the group signal, the items shown and the engagement; m, s, NPE and choc are hidden. Positions of the
    slate after the first are empty. RecSim resamples the documents of every slate without end; here they come from a
    catalogue of finite size, drawn once from the same distribution.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("memory", "sensitivity", "exposure", "choc")
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, config: LongTermSatisfactionConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or LongTermSatisfactionConfig()
        levels = np.asarray(config.clickbait, dtype=np.float32)
        if levels.size == 0 or levels.min() < 0 or levels.max() > 1:
            raise ValueError("clickbait levels must lie in [0, 1] and there must be at least one")
        self.schema = FeedbackSchema((Channel("engagement", ChannelKind.DURATION, low=-float("inf")),))
        self.num_items = levels.size
        self.profile_size = 1
        self.clickbait = from_numpy(levels, device)
        self.item_features = self.clickbait[:, None]
        self._worlds = Worlds({"choc": config.choc}, device)
        self._grouped = self._worlds.differ
        # Numpy takes arrays without axes twice as fast as numbers.
        self._one = full((), 1, "int64", device)
        self._horizon = full((), config.horizon, "int64", device)

    def on(self, device: str) -> "LongTermSatisfaction":
        """See :class:`UserModel`."""
        return LongTermSatisfaction(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> SatisfactionState:
        """See :class:`UserModel`. With one ``choc`` a row, row b always gets the b-th value."""
        config, device = self.config, device_of(generator)
        xp = namespace(self.clickbait)
        group = self._worlds.groups(n, generator, rows)
        memory = xp.log(uniform(generator, (n,), *config.memory))
        sensitivity = xp.log(uniform(generator, (n,), *config.sensitivity))
        start = config.exposure_offset + uniform(generator, (n,), -0.5, 0.5) * config.exposure_spread
        choc = self._worlds.value("choc", group)
        return SatisfactionState(
            memory=memory,
            sensitivity=sensitivity,
            exposure=start / (1 - memory),
            choc=choc,
            signal=choc + config.signal_sd * normal(generator, (n,)),
            group=group,
            step=zeros((n,), "int64", device),
        )

    def _engagement(self, state: SatisfactionState, slate: Array) -> tuple[Array | float, Array | float]:
        """Mean and standard deviation of the (log) engagement with the first item of the slate."""
        config = self.config
        level, choc = unbox(self.clickbait[slate[:, 0]]), unbox(state.choc)
        mean = (config.kale + level * (choc - config.kale)) * _satisfaction(state)
        return mean, config.kale_sd + level * (config.choc_sd - config.kale_sd)

    def _first_position(self, engagement: Array | float, slate: Array) -> Response:
        column = box(engagement)[:, None, None]
        if slate.shape[1] == 1:
            return Response(column)
        feedback = zeros((*slate.shape, 1), "float32", device_of(slate))
        feedback[:, :1] = column
        return Response(feedback)

    def respond(self, state: SatisfactionState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        mean, sd = self._engagement(state, slate)
        draw = mean + sd * normal_each(generator, slate.shape[0])
        return self._first_position(namespace(draw).exp(draw) if self.config.log_normal else draw, slate)

    def expected(self, state: SatisfactionState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        mean, sd = self._engagement(state, slate)
        return self._first_position(namespace(mean).exp(mean + sd * sd / 2) if self.config.log_normal else mean, slate)

    def advance(
        self, state: SatisfactionState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> SatisfactionState:
        """See :class:`UserModel`."""
        memory, sensitivity, exposure, choc, signal, group, step = state
        level = unbox(self.clickbait[slate[:, 0]])
        later = unbox(memory) * unbox(exposure) + (1 - 2 * level)
        if self.config.innovation_sd:
            later = later + self.config.innovation_sd * normal_each(generator, slate.shape[0])
        return SatisfactionState(memory, sensitivity, box(later), choc, signal, group, step + self._one)

    def has_left(self, state: SatisfactionState) -> Bool[Array, "B"]:
        """See :class:`UserModel`. Users stay to the horizon."""
        return state.step >= self._horizon

    def step_seconds(
        self, state: SatisfactionState, slate: Int64[Array, "B K"], response: Response
    ) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The model knows no clock: each step counts as one second."""
        return full((slate.shape[0],), 1.0, "float32", device_of(slate))

    def return_gap(self, state: SatisfactionState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`. Users of this world do not come back."""
        return full((state.step.shape[0],), float("inf"), "float64", device_of(generator))

    def come_back(
        self, state: SatisfactionState, gap_s: Float64[Array, "B"], generator: Generator
    ) -> SatisfactionState:
        """See :class:`UserModel`. No gap is ever finite; the exposure would carry over."""
        return state._replace(step=state.step * 0)

    def mood(self, state: SatisfactionState) -> dict[str, Float32[Array, "B"]]:
        """See :class:`recgym.simulators.moods.MoodyUsers`."""
        return {"satisfaction": box(_satisfaction(state))}

    def observe(self, state: SatisfactionState) -> Observed:
        """See :class:`UserModel`. The profile is the group signal."""
        return Observed(state.signal[:, None], None, state.group if self._grouped else None)


def _satisfaction(state: SatisfactionState) -> Array | float:
    """SAT, as a number for a single user on numpy."""
    pull = unbox(state.sensitivity) * unbox(state.exposure)
    return 1 / (1 + namespace(pull).exp(-pull))
