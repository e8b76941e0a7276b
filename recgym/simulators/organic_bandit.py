"""Users who browse products by themselves and meet recommendations in between.

Source: RecoGym (arXiv 1808.00720), its environment ``reco-gym-v1``: organic sessions alternate with bandit events.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import (
    arange,
    as_double,
    as_float,
    as_int,
    bernoulli,
    choose,
    copy,
    device_of,
    from_numpy,
    full,
    namespace,
    normal,
    sum_columns,
    uniform,
    zeros,
)
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.simulators.organic import Visit
from recgym.types import Array, Generator, History, Response

__all__ = ["OrganicBandit", "OrganicBanditConfig", "OrganicState", "click_rate"]


@dataclass(frozen=True)
class OrganicBanditConfig:
    """Parameters of the world; the defaults are RecoGym's.

    Attributes:
        num_products: N.
        factors: size of the latent vectors.
        interest_sd: standard deviation of a new user's interests.
        drift_sd: standard deviation of their random walk from one organic view to the next.
        popularity_sd: standard deviation of the products' popularity.
        flips: pairs of similar products that swap their places when they are recommended, so that what is viewed tells
            less of what is clicked.
        organic_to_bandit: probability that a visit ends with a view, and recommendations follow.
        bandit_to_organic: probability that a visit follows a recommendation that was not clicked.
        leave_organic: probability that the user leaves after a view.
        leave_bandit: probability that the user leaves after a recommendation that was not clicked.
        longest_visit: views after which a visit is over.
        event_s: seconds that a view or a recommendation takes.
        seed: of the products.
    """

    num_products: int = 10
    factors: int = 5
    interest_sd: float = 1.0
    drift_sd: float = 0.1
    popularity_sd: float = 3.0
    flips: int = 0
    organic_to_bandit: float = 0.25
    bandit_to_organic: float = 0.05
    leave_organic: float = 0.01
    leave_bandit: float = 0.01
    longest_visit: int = 24
    event_s: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_products < 2 or self.longest_visit < 1:
            raise ValueError(
                "at least 2 products and a visit of at least 1 view are needed, "
                f"found {self.num_products} and {self.longest_visit}"
            )
        if not 0 <= self.flips <= self.num_products // 2:
            raise ValueError(f"flips must be in 0..{self.num_products // 2} (pairs of products), found {self.flips}")
        for name, out in (
            ("organic_to_bandit + leave_organic", self.organic_to_bandit + self.leave_organic),
            ("bandit_to_organic + leave_bandit", self.bandit_to_organic + self.leave_bandit),
        ):
            if not 0 < out < 1:
                raise ValueError(f"{name} must lie between 0 and 1, found {out}")


class OrganicState(NamedTuple):
    """State of a batch of users.

    Attributes:
        interests: latent vector of each user.
        left: whether the user is gone.
        record: products viewed in the first visit, right-aligned; N is padding.
        views: products viewed in the visit after the last step, left-aligned; N is padding.
    """

    interests: Float32[Array, "B L"]
    left: Bool[Array, "B"]
    record: Int64[Array, "B E"]
    views: Int64[Array, "B E"]


def click_rate(score: Array) -> Array:
    """RecoGym's map from a product's score to the probability of a click, from 0.5 % to 2.9 %."""
    return _sigmoid(5 * _sigmoid(2 * _sigmoid(0.3 * score) - 2) - 6)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + namespace(x).exp(-x))


class OrganicBandit(UserModel[OrganicState]):
    """The user views products unasked (organic) and clicks recommendations or not (bandit), in turns.

    With interests w, products have vectors G and popularities u; recommended, vectors B and popularities v, which are
    the same but for the flipped pairs.

    ==================  ========================================================================================
    organic view        product ~ softmax(G w + u)
    after a view        another view (probability 0.74), recommendations (0.25) or the end (0.01)
    recommendation      click ~ Bernoulli(click_rate(B w + v)), each position by itself
    after one           a visit for certain after a click; else another recommendation (0.94), a visit (0.05) or
                        the end (0.01)
    interests           w + N(0, drift_sd) before each view that the chain itself has led to; a visit that a click
                        forces begins without
    ==================  ========================================================================================

    A step is one recommendation; :meth:`advance` draws the visit that may follow it, and :meth:`visit` tells of it. The
    first visit is on record when the episode begins. In the feedback a click is (1, 0) and a view is (0, 1). A system
    sees products as numbers only: the item features tell them apart (one-hot rows up to 32 products, else random
    directions) and say nothing else. Differences from RecoGym:

    1. Users who leave in their first visit, before any recommendation, are not simulated.
    2. A visit is over after 24 views (one in 1,400 would go on).
    3. Slates of several products are allowed; RecoGym has one.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("interests",)
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, config: OrganicBanditConfig | None = None, device: str = "cpu") -> None:
        self.config = config = config or OrganicBanditConfig()
        n = config.num_products
        rng = np.random.default_rng(config.seed)
        vectors = rng.standard_normal((n, config.factors)).astype(np.float32)
        popularity = (config.popularity_sd * rng.standard_normal(n)).astype(np.float32)
        order = _flipped(vectors, config.flips)
        width = min(n, 32)
        features = np.eye(n) if n == width else rng.standard_normal((n, width)) / np.sqrt(width)
        self.schema = FeedbackSchema((Channel("click", ChannelKind.BINARY), Channel("view", ChannelKind.BINARY)))
        self.num_items = n
        self.profile_size = 0
        self.longest_visit = config.longest_visit
        self.item_features = from_numpy(features.astype(np.float32), device)
        self._organic = from_numpy(vectors.T.copy(), device), from_numpy(popularity, device)
        self._bandit = from_numpy(vectors[order], device), from_numpy(popularity[order], device)

    def on(self, device: str) -> "OrganicBandit":
        """See :class:`UserModel`."""
        return OrganicBandit(self.config, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> OrganicState:
        """See :class:`UserModel`. Users have had their first visit."""
        device, longest = device_of(generator), self.longest_visit
        interests = self.config.interest_sd * normal(generator, (n, self.config.factors))
        views, interests = self._browse(interests, zeros((n, 1), "float32", device), generator)
        count = (views < self.num_items).sum(-1)
        # From left-aligned to right-aligned: column j of the record is view j - (E - count).
        source = arange(longest, device) - (longest - count)[:, None]
        padded = namespace(views).where(source < 0, longest - 1, source)
        everyone = arange(n, device)[:, None]
        record = namespace(views).where(source < 0, self.num_items, views[everyone, padded])
        nothing = full((n, longest), self.num_items, "int64", device)
        return OrganicState(interests, full((n,), False, "bool", device), record, nothing)

    def _browse(
        self, interests: Array, first: Float32[Array, "n 1"], generator: Generator
    ) -> tuple[Int64[Array, "n E"], Array]:
        """A visit of each of n users: the products viewed, and the interests at its end.

        Args:
            interests: those at its beginning.
            first: how much of a step of the random walk comes before the first view, 0 or 1.
            generator: the source of randomness.
        """
        config, (n, factors), longest = self.config, interests.shape, self.longest_visit
        xp, device = namespace(interests), device_of(generator)
        draw = uniform(generator, (n,))
        on = math.log(1 - config.organic_to_bandit - config.leave_organic)
        count = as_int(xp.clip(xp.floor(xp.log1p(-draw) / on) + 1, 1, longest))
        most = int(count.max())
        steps = config.drift_sd * normal(generator, (n, most, factors))
        steps[:, 0] *= first
        path = interests[:, None] + xp.cumsum(steps, 1)
        mask = arange(most, device) < count[:, None]
        vectors, popularity = self._organic
        logits = path[mask] @ vectors + popularity
        weights = xp.exp(logits - xp.amax(logits, -1)[:, None])
        views = full((n, longest), self.num_items, "int64", device)
        views[:, :most][mask] = choose(generator, weights)
        return views, path[arange(n, device), count - 1]

    def _chance(self, state: OrganicState, slate: Array) -> Array:
        vectors, popularity = self._bandit
        score = (vectors[slate] * state.interests[:, None]).sum(-1) + popularity[slate]
        return click_rate(score) * ~repeated_items(slate)

    def _answer(self, click: Array) -> Response:
        feedback = zeros((*click.shape, 2), "float32", device_of(click))
        feedback[..., 0] = click
        return Response(feedback)

    def respond(self, state: OrganicState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        return self._answer(bernoulli(generator, self._chance(state, slate)))

    def expected(self, state: OrganicState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        return self._answer(self._chance(state, slate))

    def advance(
        self, state: OrganicState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> OrganicState:
        """See :class:`UserModel`."""
        config, users = self.config, slate.shape[0]
        draw = uniform(generator, (users,))
        clicked = sum_columns(response.feedback[..., 0]) > 0
        drawn = draw < config.bandit_to_organic
        left = (draw >= 1 - config.leave_bandit) & ~clicked
        views = full((users, self.longest_visit), self.num_items, "int64", device_of(slate))
        rows = namespace(draw).where(drawn | clicked)[0]
        if rows.shape[0] == 0:
            return state._replace(left=state.left | left, views=views)
        seen, moved = self._browse(state.interests[rows], as_float(drawn[rows])[:, None], generator)
        end = config.leave_organic / (config.organic_to_bandit + config.leave_organic)
        interests = copy(state.interests)
        interests[rows], views[rows] = moved, seen
        left[rows] = uniform(generator, (rows.shape[0],)) < end
        return state._replace(interests=interests, left=state.left | left, views=views)

    def visit(self, state: OrganicState) -> Visit:
        """See :class:`recgym.simulators.organic.OrganicUsers`. Views follow each other every ``event_s`` seconds."""
        mask = state.views < self.num_items
        number = as_double(arange(self.longest_visit, device_of(mask)) + 1) * self.config.event_s
        return Visit(state.views, _seen(mask), number * mask, mask, as_double(mask.sum(-1)) * self.config.event_s)

    def has_left(self, state: OrganicState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(self, state: OrganicState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The recommendation alone; a visit that follows adds its own time."""
        return full((slate.shape[0],), self.config.event_s, "float32", device_of(slate))

    def return_gap(self, state: OrganicState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`. Users who are gone do not come back."""
        return full((state.left.shape[0],), float("inf"), "float64", device_of(generator))

    def come_back(self, state: OrganicState, gap_s: Float64[Array, "B"], generator: Generator) -> OrganicState:
        """See :class:`UserModel`. No gap is ever finite; the interests would carry over."""
        return state._replace(left=namespace(state.left).zeros_like(state.left))

    def observe(self, state: OrganicState) -> Observed:
        """See :class:`UserModel`. The history is the first visit, whose last view was ``event_s`` seconds ago."""
        mask = state.record < self.num_items
        ago = as_double(self.longest_visit - arange(self.longest_visit, device_of(mask))) * self.config.event_s
        return Observed(state.interests[:, :0], History(state.record, _seen(mask), -ago * mask, mask))


def _seen(mask: Bool[Array, "B E"]) -> Float32[Array, "B E 2"]:
    """The feedback of organic views: no click, one view."""
    feedback = zeros((*mask.shape, 2), "float32", device_of(mask))
    feedback[..., 1] = as_float(mask)
    return feedback


def _flipped(vectors: Float32[np.ndarray, "N L"], flips: int) -> Int64[np.ndarray, "N"]:
    """An order of the products in which so many pairs, the most similar ones first, have swapped places."""
    n = vectors.shape[0]
    order = np.arange(n)
    first, second = np.triu_indices(n, 1)
    similar = np.argsort(-(vectors[first] * vectors[second]).sum(1), kind="stable")
    free = np.ones(n, dtype=bool)
    for pair in similar:  # once, when the world is made
        if flips == 0:
            break
        i, j = first[pair], second[pair]
        if free[i] and free[j]:
            order[i], order[j] = j, i
            free[i] = free[j] = False
            flips -= 1
    return order
