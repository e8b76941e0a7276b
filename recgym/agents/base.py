"""The one face of every policy, and the simple policies that every comparison needs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64

from recgym.arrays import arange, as_float, device_of, from_numpy, full, gather, namespace, scatter, to_numpy, uniform
from recgym.types import Array, Decision, Generator

__all__ = [
    "ActionSpec", "GreedyPolicy", "LikelihoodPolicy", "MappedPolicy", "NoState", "Policy", "RandomPolicy",
    "ScoredPolicy", "as_tensors", "onto", "popularity_scores",
]  # fmt: skip

PolicyState = TypeVar("PolicyState")


class ActionSpec(NamedTuple):
    """The actions of a task.

    Attributes:
        num_candidates: M.
        slate_size: K.
        num_items: N.
    """

    num_candidates: int
    slate_size: int
    num_items: int


class NoState(NamedTuple):
    """The state of a policy without memory."""


@runtime_checkable
class Policy(Protocol[PolicyState]):
    """Chooses for a batch of users.

    A policy sees observations only: the same dictionary or array that the environment gives, batched, as numpy arrays
    or tensors. It never sees a simulation.
    """

    def init_state(self, users: int, device: str) -> PolicyState:
        """The state of ``users`` users at the start of an episode; rows are reset by mask (``arrays.where_rows``)."""
        ...

    def act(
        self, observation: Any, state: PolicyState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, PolicyState]:
        """Choose an action for each user.

        Args:
            observation: batched observation on the generator's device.
            state: from :meth:`init_state` or the last call.
            generator: the source of randomness.
            greedy: take the most likely action in place of a draw; the propensity is then that of a deterministic
                policy, 0 in logarithm.
        """
        ...


@runtime_checkable
class LikelihoodPolicy(Policy[PolicyState], Protocol[PolicyState]):
    """A policy that can tell how likely it would have been to choose what another chose: a target of evaluation."""

    def log_prob(
        self, observation: Any, action: Array, state: PolicyState, greedy: bool = False
    ) -> tuple[Float32[Array, "B"], PolicyState]:
        """Logarithm of the probability (or density) of each user's action.

        Args:
            observation: as in :meth:`Policy.act`.
            action: as :meth:`Policy.act` gives them.
            state: from :meth:`Policy.init_state` or the last call.
            greedy: of the policy that takes its most likely action; the probability is then 0 or 1.

        Returns:
            The logarithms, minus infinity where the action is impossible, and the state after the action was shown.
        """
        ...


def as_tensors(observation: Any, device: str) -> Any:
    """A batched observation, an array or a dictionary of them, as tensors on a torch device."""
    if isinstance(observation, Mapping):
        return {name: torch.as_tensor(value, device=device) for name, value in observation.items()}
    return torch.as_tensor(observation, device=device)


def onto(tensor: torch.Tensor, device: str) -> Array:
    """What a network gives, where a policy's caller wants it: numpy for ``"numpy"``, else on the torch device."""
    return to_numpy(tensor) if device == "numpy" else tensor.to(device)


def _rows_of(observation: Any) -> int:
    first = next(iter(observation.values())) if isinstance(observation, dict) else observation
    return int(first.shape[0])


def _shape_action(order: Array, spec: ActionSpec) -> Array:
    """``[B]`` for one item, ``[B, K]`` for a slate."""
    return order[:, 0] if spec.slate_size == 1 else order


@dataclass(frozen=True)
class RandomPolicy:
    """K different candidates, uniformly, in random order: propensity ``(M - K)! / M!``.

    Attributes:
        spec: the actions of the task.
    """

    spec: ActionSpec

    def init_state(self, users: int, device: str) -> NoState:
        """See :class:`Policy`."""
        return NoState()

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`Policy`. Greedy or not, the choice is random: no action is likelier than another."""
        users, m, k = _rows_of(observation), self.spec.num_candidates, self.spec.slate_size
        order = _top(uniform(generator, (users, m)), k)
        log_propensity = math.lgamma(m - k + 1) - math.lgamma(m + 1)
        return Decision(
            _shape_action(order, self.spec), full((users,), log_propensity, "float32", device_of(generator))
        ), state

    def log_prob(
        self, observation: Any, action: Array, state: NoState, greedy: bool = False
    ) -> tuple[Float32[Array, "B"], NoState]:
        """See :class:`LikelihoodPolicy`. Every slate is as likely, greedy or not."""
        m, k = self.spec.num_candidates, self.spec.slate_size
        log_propensity = math.lgamma(m - k + 1) - math.lgamma(m + 1)
        return full((action.shape[0],), log_propensity, "float32", device_of(action)), state


def _top(scores: Array, k: int) -> Int64[Array, "B K"]:
    """Columns of the K largest scores of each row, largest first."""
    if isinstance(scores, np.ndarray):
        return np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return torch.topk(scores, k, dim=1).indices


@dataclass(frozen=True)
class ScoredPolicy(Generic[PolicyState]):
    """Ranks candidates by a score: the best K when greedy, else a Plackett-Luce draw.

    The draw is from ``softmax(score / temperature)``, one by one without replacement; with temperature 0 it is
    deterministic. Popularity, greedy-by-model and behaviour policies are this class with
    different scores.

    Attributes:
        spec: the actions of the task.
        score: from a batched observation to scores ``[B, M]``, on the same device.
        temperature: 0 for deterministic; larger is more random.
        mix: probability of ignoring the scores and drawing uniformly, which bounds propensities away from 0.
    """

    spec: ActionSpec
    score: Callable[[Any], Array]
    temperature: float = 0.0
    mix: float = 0.0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 <= self.mix <= 1:
            raise ValueError(
                f"temperature must not be negative and mix must lie in [0, 1], found {self.temperature} and {self.mix}"
            )

    def init_state(self, users: int, device: str) -> NoState:
        """See :class:`Policy`."""
        return NoState()

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        """See :class:`Policy`. The propensity of a slate is the joint probability of its order."""
        scores = self.score(observation)
        users, k = scores.shape[0], self.spec.slate_size
        if greedy or (self.temperature == 0 and self.mix == 0):
            order = _top(scores, k)
            log_propensity = full((users,), 0.0, "float32", device_of(generator))
            return Decision(_shape_action(order, self.spec), log_propensity), state
        xp = namespace(scores)
        logits = scores / self.temperature if self.temperature else _sharp(scores)
        # The largest of logits with Gumbel noise, in order, is a Plackett-Luce draw.
        noise = -xp.log(-xp.log(xp.clip(uniform(generator, tuple(scores.shape)), 1e-12, 1 - 1e-7)))
        ignore = uniform(generator, (users, 1)) < self.mix
        order = _top(xp.where(ignore, noise, logits + noise), k)
        return Decision(_shape_action(order, self.spec), self._likelihood(logits, order)), state

    def _likelihood(self, logits: Float32[Array, "B M"], order: Int64[Array, "B K"]) -> Float32[Array, "B"]:
        """Log-probability of ordered slates, with the share of uniform ones."""
        ranked = _plackett_luce(logits, order)
        if not self.mix:
            return ranked
        m, k = self.spec.num_candidates, self.spec.slate_size
        random = math.lgamma(m - k + 1) - math.lgamma(m + 1)
        xp = namespace(ranked)
        return xp.log((1 - self.mix) * xp.exp(ranked) + self.mix * math.exp(random))

    def log_prob(
        self, observation: Any, action: Array, state: NoState, greedy: bool = False
    ) -> tuple[Float32[Array, "B"], NoState]:
        """See :class:`LikelihoodPolicy`."""
        scores = self.score(observation)
        xp = namespace(scores)
        order = action[:, None] if action.ndim == 1 else action
        if greedy or (self.temperature == 0 and self.mix == 0):
            same = (order == _top(scores, self.spec.slate_size)).all(-1)
            return as_float(xp.where(same, 0.0, -math.inf)), state
        logits = scores / self.temperature if self.temperature else _sharp(scores)
        return self._likelihood(logits, order), state


def _sharp(scores: Array) -> Array:
    """Logits so far apart that the best is chosen for certain (temperature 0 with a uniform mix)."""
    order = namespace(scores).argsort(namespace(scores).argsort(scores, -1), -1)
    return as_float(order) * 1e4


def _plackett_luce(logits: Float32[Array, "B M"], order: Int64[Array, "B K"]) -> Float32[Array, "B"]:
    """Joint log-probability of drawing ``order`` one by one without replacement from ``softmax(logits)``."""
    xp = namespace(logits)
    total = xp.zeros_like(logits[:, 0])
    for position in range(order.shape[1]):
        top = xp.amax(logits, -1)
        normaliser = top + xp.log(xp.exp(logits - top[:, None]).sum(axis=1))
        picked = order[:, position]
        total = total + gather(logits, picked[:, None])[:, 0] - normaliser
        logits = scatter(logits, picked, xp.full_like(total, -float("inf")))
    return total


@dataclass(frozen=True)
class GreedyPolicy(Generic[PolicyState]):
    """Another policy that always takes its likeliest action, for whoever would let it draw.

    Attributes:
        policy: the other one.
    """

    policy: Policy[PolicyState]

    def init_state(self, users: int, device: str) -> PolicyState:
        """See :class:`Policy`."""
        return self.policy.init_state(users, device)

    def act(
        self, observation: Any, state: PolicyState, generator: Generator, greedy: bool = True
    ) -> tuple[Decision, PolicyState]:
        """See :class:`Policy`; greedy whatever is asked for."""
        return self.policy.act(observation, state, generator, True)


@dataclass(frozen=True)
class MappedPolicy(Generic[PolicyState]):
    """A policy that sees observations through a function, as when it was trained on features made from them.

    Attributes:
        policy: the policy.
        mapping: from the observation at hand to one that the policy knows.
    """

    policy: Policy[PolicyState]
    mapping: Callable[[Any], Any]

    def init_state(self, users: int, device: str) -> PolicyState:
        """See :class:`Policy`."""
        return self.policy.init_state(users, device)

    def act(
        self, observation: Any, state: PolicyState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, PolicyState]:
        """See :class:`Policy`."""
        return self.policy.act(self.mapping(observation), state, generator, greedy)

    def log_prob(
        self, observation: Any, action: Array, state: PolicyState, greedy: bool = False
    ) -> tuple[Float32[Array, "B"], PolicyState]:
        """See :class:`LikelihoodPolicy`.

        Raises:
            ValueError: the policy within cannot tell.
        """
        if not isinstance(self.policy, LikelihoodPolicy):
            raise ValueError(f"{type(self.policy).__name__} cannot tell how likely an action is")
        return self.policy.log_prob(self.mapping(observation), action, state, greedy)


def popularity_scores(popularity: np.ndarray) -> Callable[[Any], Array]:
    """Scores of the candidates on offer by a popularity ``[N]`` of all items."""
    tables: dict[str, Array] = {}

    def score(observation: Any) -> Array:
        candidates = (
            observation["candidates"] if isinstance(observation, dict) and "candidates" in observation else None
        )
        reference = candidates if candidates is not None else _first(observation)
        device = "numpy" if isinstance(reference, np.ndarray) else str(reference.device)
        if device not in tables:
            tables[device] = from_numpy(popularity.astype(np.float32), device)
        table = tables[device]
        if candidates is not None:
            return table[candidates]
        rows = arange(_rows_of(observation), device)
        return table[None, :] + as_float(0 * rows[:, None])

    return score


def _first(observation: Any) -> Array:
    return next(iter(observation.values())) if isinstance(observation, dict) else observation
