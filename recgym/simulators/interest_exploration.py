"""Users of a few types whose interests must be found out: a system that never explores shows what most users click.

Source: RecSim (arXiv 1909.04847), ``environments/interest_exploration.py``.
"""

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import arange, as_float, choose, device_of, from_numpy, full, gather, namespace, normal, zeros
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import ChoiceModel, MultinomialLogit, repeated_items
from recgym.types import Array, Generator, Response

__all__ = ["ExplorationState", "InterestExploration", "InterestExplorationConfig"]

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class InterestExplorationConfig:
    """Parameters of the world; the defaults are RecSim's.

    Attributes:
        user_types: probability of each type of user.
        affinity: for each type of user, the mean of the logarithm of the affinity for each topic.
        affinity_sd: standard deviations of these logarithms.
        topics: probability of each topic of a document.
        quality: for each topic, the mean of the logarithm of a document's quality.
        quality_sd: standard deviations of these logarithms.
        num_documents: size of the catalogue.
        choice: how the user picks from the slate.
        seed: of the catalogue.
    """

    user_types: tuple[float, ...] = (0.3, 0.7)
    affinity: Matrix = ((0.1, 0.7), (0.7, 0.1))
    affinity_sd: Matrix = ((0.1, 0.1), (0.1, 0.1))
    topics: tuple[float, ...] = (0.2, 0.8)
    quality: tuple[float, ...] = (0.8, 0.2)
    quality_sd: tuple[float, ...] = (0.1, 0.1)
    num_documents: int = 1000
    choice: ChoiceModel = field(default_factory=lambda: MultinomialLogit(5.0))
    seed: int = 0

    @classmethod
    def niche(cls) -> "InterestExplorationConfig":
        """A world in which exploring pays: a minority likes its topic so much that quality does not make up for it."""
        return cls(affinity=((0.1, 1.2), (0.7, 0.1)))

    def __post_init__(self) -> None:
        for name, shares in (("user_types", self.user_types), ("topics", self.topics)):
            if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
                raise ValueError(f"{name} must be probabilities that sum to 1, found {shares}")
        shape = (len(self.user_types), len(self.topics))
        for name, matrix in (("affinity", self.affinity), ("affinity_sd", self.affinity_sd)):
            if {len(row) for row in matrix} != {shape[1]} or len(matrix) != shape[0]:
                raise ValueError(f"{name} must have {shape[0]} rows (types) of {shape[1]} topics, found {matrix}")
        if not len(self.quality) == len(self.quality_sd) == shape[1]:
            raise ValueError(f"quality and quality_sd must have one value for each of {shape[1]} topics")


class ExplorationState(NamedTuple):
    """State of a batch of users; it never changes.

    Attributes:
        affinity: how much the user likes each topic (Z of them).
        kind: type of the user.
    """

    affinity: Float32[Array, "B Z"]
    kind: Int64[Array, "B"]


class InterestExploration(UserModel[ExplorationState]):
    """The user picks at most one document of the slate, by affinity for its topic and by its quality.

    ================  ==========================================================================================
    user              type ~ ``user_types``; affinity for topic z ~ LogNormal(affinity[type, z], affinity_sd)
    document          topic ~ ``topics``; quality ~ LogNormal(quality[topic], quality_sd)
    choice            probability of document d ~ exp(affinity[topic of d] + quality of d), of none ~ exp(5)
    state             never changes, and users never leave
    ================  ==========================================================================================

    Documents of topic 0 have the higher quality and are the favourite of 70 % of the users, so a system that shows what
    is clicked most never learns what the others would like. With RecSim's defaults it loses nothing by that: their
    affinity for topic 1 (2.0) and its quality (1.2) add up to less than those of topic 0 (1.1 and 2.2). It loses with
    :meth:`InterestExplorationConfig.niche`, where the few care more.

    A system sees each document's topic and quality, and clicks; of users it knows nothing. Differences from RecSim:

    1. Candidates come from a catalogue of finite size, drawn once from the same distribution, not from an endless
       stream.
    2. A document's topic is a one-hot row of the item features, beside its quality.
    3. An item repeated within a slate is empty at its later positions; RecSim's agents never repeat one.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("affinity", "kind")
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, config: InterestExplorationConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or InterestExplorationConfig()
        rng = np.random.default_rng(config.seed)
        topic = rng.choice(len(config.topics), size=config.num_documents, p=config.topics)
        quality = rng.lognormal(np.asarray(config.quality)[topic], np.asarray(config.quality_sd)[topic])
        features = np.concatenate([np.eye(len(config.topics))[topic], quality[:, None]], 1).astype(np.float32)
        self.schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
        self.num_items = config.num_documents
        self.profile_size = 0
        self.topic = from_numpy(topic, device)
        self.quality = from_numpy(quality.astype(np.float32), device)
        self.item_features = from_numpy(features, device)
        self._kinds = from_numpy(np.asarray([config.user_types], dtype=np.float32), device)
        self._mean = from_numpy(np.asarray(config.affinity, dtype=np.float32), device)
        self._sd = from_numpy(np.asarray(config.affinity_sd, dtype=np.float32), device)

    def on(self, device: str) -> "InterestExploration":
        """See :class:`UserModel`."""
        return InterestExploration(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> ExplorationState:
        """See :class:`UserModel`."""
        kind = choose(generator, self._kinds + zeros((n, 1), "float32", device_of(generator)))
        log_affinity = self._mean[kind] + self._sd[kind] * normal(generator, (n, len(self.config.topics)))
        return ExplorationState(namespace(log_affinity).exp(log_affinity), kind)

    def _weights(self, state: ExplorationState, slate: Array) -> Array:
        """Weight of each position, and of none, ``[B, K+1]``."""
        scores = gather(state.affinity, self.topic[slate]) + self.quality[slate]
        return self.config.choice.weights(scores, repeated_items(slate))

    def respond(self, state: ExplorationState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        picked = choose(generator, self._weights(state, slate))
        click = as_float(arange(slate.shape[1], device_of(slate)) == picked[:, None])
        return Response(click[..., None])

    def expected(self, state: ExplorationState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        weights = self._weights(state, slate)
        return Response((weights[:, :-1] / weights.sum(axis=-1)[:, None])[..., None])

    def advance(
        self, state: ExplorationState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> ExplorationState:
        """See :class:`UserModel`. Nothing changes."""
        return state

    def has_left(self, state: ExplorationState) -> Bool[Array, "B"]:
        """See :class:`UserModel`. Users never leave."""
        return full((state.kind.shape[0],), False, "bool", device_of(state.kind))

    def step_seconds(
        self, state: ExplorationState, slate: Int64[Array, "B K"], response: Response
    ) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The model knows no clock: each step counts as one second."""
        return full((slate.shape[0],), 1.0, "float32", device_of(slate))

    def return_gap(self, state: ExplorationState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`. No session ever ends, so none follows."""
        return full((state.kind.shape[0],), float("inf"), "float64", device_of(generator))

    def come_back(self, state: ExplorationState, gap_s: Float64[Array, "B"], generator: Generator) -> ExplorationState:
        """See :class:`UserModel`. Nothing changes."""
        return state

    def observe(self, state: ExplorationState) -> Observed:
        """See :class:`UserModel`. Nothing is known of users: the profile is empty."""
        return Observed(state.affinity[:, :0])
