"""Users whose interests drift with what they watch, and whose time runs out sooner on poor content.

Sources: RecSim (arXiv 1909.04847), ``environments/interest_evolution.py`` (the utility model that its
``create_environment`` uses); SlateQ (arXiv 1905.12767), section 6.1.
"""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import (
    arange,
    as_float,
    box,
    choose,
    device_of,
    from_numpy,
    full,
    gather,
    marked_column,
    namespace,
    pick,
    scatter,
    sum_columns,
    unbox,
    uniform,
    uniform_each,
    zeros,
)
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import ChoiceModel, MultinomialProportional, repeated_items
from recgym.types import Array, Generator, Response

__all__ = ["InterestEvolution", "InterestEvolutionConfig", "InterestState"]


@dataclass(frozen=True)
class InterestEvolutionConfig:
    """Parameters of the world; the defaults are RecSim's.

    Attributes:
        num_documents: size of the catalogue.
        num_topics: topics; a document has exactly one.
        trashy_share: share of the topics whose mean quality lies between ``quality[0]`` and 0; the others lie between 0
            and ``quality[1]``, evenly spaced.
        quality: mean quality of the worst and the best topic.
        quality_sd: standard deviation of quality within a topic.
        length: minutes that a document lasts.
        budget: minutes that a user brings.
        step_penalty: minutes lost when nothing is clicked.
        drift: largest step of an interest, at an interest of 0.
        replenish: share of the watched minutes that a document of quality 1 gives back.
        choice: how the user picks from the slate.
        seed: of the catalogue.
    """

    num_documents: int = 10_000
    num_topics: int = 20
    trashy_share: float = 0.7
    quality: tuple[float, float] = (-3.0, 3.0)
    quality_sd: float = 0.1
    length: float = 4.0
    budget: float = 200.0
    step_penalty: float = 0.5
    drift: float = 0.3
    replenish: float = 0.9 / 3.4
    choice: ChoiceModel = field(default_factory=MultinomialProportional)
    seed: int = 0


class InterestState(NamedTuple):
    """State of a batch of users.

    Attributes:
        interests: how much the user likes each topic (Z of them), in [-1, 1].
        budget: minutes left.
    """

    interests: Float32[Array, "B Z"]
    budget: Float32[Array, "B"]


class InterestEvolution(UserModel[InterestState]):
    """The user picks at most one document of the slate, watches it, and may come to like its topic more or less.

    ================  ==========================================================================================
    choice            weight of a document with topic t from ``choice`` and the affinity u_t
    watch time        min(budget, length)
    interest          d = drift (1 - abs(u_t)) (1 - u_t); u_t + d with probability (u_t + 1) / 2, else u_t - d;
                      cut to [-1, 1]
    budget            budget - watch + replenish * watch * quality; budget - step_penalty if nothing is picked
    end               budget <= 0
    ================  ==========================================================================================

    A system sees the interests (RecSim makes them observable, and SlateQ's agents use them) and each document's topic
    and length, not its quality. Differences from RecSim:

    1. Candidates come from a catalogue of finite size, drawn once from the same distribution, not from an endless
       stream; so an item can come back, and agents can learn about items.
    2. A document's topic is an index, not a one-hot row: the same numbers, fewer operations.
    3. An item repeated within a slate is empty at its later positions; RecSim's slates are sets of indices that its
       agents never repeat.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("budget",)
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, config: InterestEvolutionConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or InterestEvolutionConfig()
        if config.num_documents < 1 or config.num_topics < 2:
            raise ValueError(
                "a catalogue needs at least 1 document and 2 topics, "
                f"found {config.num_documents} and {config.num_topics}"
            )
        rng = np.random.default_rng(config.seed)
        trashy = int(config.num_topics * config.trashy_share)
        means = np.concatenate(
            [np.linspace(config.quality[0], 0, trashy), np.linspace(0, config.quality[1], config.num_topics - trashy)]
        )
        topic = rng.integers(config.num_topics, size=config.num_documents)
        quality = rng.normal(means[topic], config.quality_sd).astype(np.float32)
        features = np.eye(config.num_topics, dtype=np.float32)[topic]
        self.schema = FeedbackSchema(
            (Channel("click", ChannelKind.BINARY), Channel("watch_time", ChannelKind.DURATION, unit="min"))
        )
        self.num_items = config.num_documents
        self.profile_size = config.num_topics
        self.topic = from_numpy(topic, device)
        self.quality = from_numpy(quality, device)
        self.item_features = from_numpy(features, device)

    def on(self, device: str) -> "InterestEvolution":
        """See :class:`UserModel`."""
        return InterestEvolution(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> InterestState:
        """See :class:`UserModel`."""
        return InterestState(
            interests=uniform(generator, (n, self.config.num_topics), -1.0, 1.0),
            budget=full((n,), self.config.budget, "float32", device_of(generator)),
        )

    def _choice_weights(self, state: InterestState, slate: Array) -> Array:
        """Weight of each position, and of none, ``[B, K+1]``."""
        affinity = gather(state.interests, self.topic[slate])
        return self.config.choice.weights(affinity, repeated_items(slate))

    def _feedback(self, state: InterestState, click: Array) -> Response:
        budget = unbox(state.budget)
        watch = box(namespace(budget).clip(budget, 0.0, self.config.length))
        feedback = zeros((*click.shape, 2), "float32", device_of(click))
        feedback[:, :, 0] = click
        feedback[:, :, 1] = click * watch[:, None]
        return Response(feedback)

    def respond(self, state: InterestState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        picked = choose(generator, self._choice_weights(state, slate))
        return self._feedback(state, as_float(arange(slate.shape[1], device_of(generator)) == picked[:, None]))

    def expected(self, state: InterestState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        weights = self._choice_weights(state, slate)
        return self._feedback(state, weights[:, :-1] / weights.sum(axis=-1)[:, None])

    def advance(
        self, state: InterestState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> InterestState:
        """See :class:`UserModel`."""
        config = self.config
        # At most one position is clicked; the first stands in for none, and then counts for nothing.
        position = marked_column(response.feedback[:, :, 0])
        total = sum_columns(response.feedback)
        clicked, watch = unbox(total[:, 0]) > 0, unbox(total[:, 1])
        item = unbox(pick(slate, unbox(position)))
        topic, quality = unbox(self.topic[item]), unbox(self.quality[item])

        interest = unbox(pick(state.interests, topic))
        xp = namespace(interest)
        step = config.drift * (1 - abs(interest)) * (1 - interest)
        up = uniform_each(generator, slate.shape[0]) * 2 < interest + 1
        moved = xp.clip(xp.where(up, interest + step, interest - step), -1.0, 1.0)
        spent = xp.where(clicked, watch * (1 - config.replenish * quality), config.step_penalty)
        return InterestState(
            interests=scatter(state.interests, topic, xp.where(clicked, moved, interest)), budget=state.budget - spent
        )

    def has_left(self, state: InterestState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.budget <= 0

    def step_seconds(self, state: InterestState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The minutes watched, or the step penalty, in seconds."""
        watch = unbox(sum_columns(response.feedback[:, :, 1]))
        return box(namespace(watch).where(watch > 0, watch, self.config.step_penalty) * 60.0)

    def return_gap(self, state: InterestState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`. Users of this world do not come back."""
        return full((state.budget.shape[0],), float("inf"), "float64", device_of(generator))

    def come_back(self, state: InterestState, gap_s: Float64[Array, "B"], generator: Generator) -> InterestState:
        """See :class:`UserModel`. No gap is ever finite; the interests would carry over, the budget be full again."""
        return state._replace(
            budget=full(tuple(state.budget.shape), self.config.budget, "float32", device_of(generator))
        )

    def mood(self, state: InterestState) -> dict[str, Float32[Array, "B"]]:
        """See :class:`recgym.simulators.moods.MoodyUsers`."""
        return {"budget": state.budget}

    def observe(self, state: InterestState) -> Observed:
        """See :class:`UserModel`. The profile is the interest vector."""
        return Observed(profile=state.interests)
