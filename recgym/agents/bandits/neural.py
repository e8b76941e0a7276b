"""Bandits on networks: R networks of one form, stacked, so that one product of batches trains all replications.

NeuralLinear     a network learns features of users by predicting the reward of the arm that was shown; on them each
                 arm has a Bayesian regression, and the arm with the largest draw is taken (as in LinTS). Regressions
                 learn every round and are fitted anew to all remembered rounds when the network has been trained:
                 Riquelme, Tucker and Snoek, ICLR 2018
NeuralBootstrap  E networks, each trained on remembered rounds with random weights of its own (0 or 2); each choice
                 follows one of them, drawn at random: Osband et al., NIPS 2016; its propensity is the share of networks
                 that would choose the same

Loss: ``mean w (f(x)_a - y)^2`` of minibatches of remembered rounds, Adam.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.agents.bandits.base import BanditSpec, Context, best, gaussian_best, mask_of, one_hot
from recgym.agents.bandits.ridge import Ridge, learn, predict, start
from recgym.seeding import make_generator

__all__ = ["NetworkConfig", "NeuralBootstrap", "NeuralLinear"]


@dataclass(frozen=True)
class NetworkConfig:
    """Form and training of the networks.

    Attributes:
        hidden: width of both hidden layers.
        learning_rate: of Adam.
        memory: rounds that are remembered, newest first.
        every: rounds between trainings.
        steps: minibatches of a training.
        batch_size: rounds of a minibatch.
        seed: of first weights, minibatches and bootstrap weights.
    """

    hidden: int = 32
    learning_rate: float = 3e-3
    memory: int = 4000
    every: int = 50
    steps: int = 20
    batch_size: int = 64
    seed: int = 0


class Memory(NamedTuple):
    """A ring of remembered observations, S = replications.

    Attributes:
        x: features of users.
        arm: shown.
        reward: what it brought.
        weight: ``[S, N, E]``, what the observation counts for each of the E networks; 0 where there is none.
    """

    x: Float32[np.ndarray, "S N d"]
    arm: Int64[np.ndarray, "S N"]
    reward: Float32[np.ndarray, "S N"]
    weight: Float32[np.ndarray, "S N E"]


class NeuralState(NamedTuple):
    """What neural bandits know.

    Attributes:
        weights: of the networks, ``[R E, in, out]`` and ``[R E, 1, out]`` in turn.
        optimiser: Adam over them.
        memory: remembered observations.
        seen: observations so far, the same for all replications.
        rounds: so far.
        ridge: regressions of each arm on the last hidden layer; None where the bandit has none.
        generator: of minibatches and bootstrap weights.
    """

    weights: tuple[Tensor, ...]
    optimiser: torch.optim.Optimizer
    memory: Memory
    seen: int
    rounds: int
    ridge: Ridge | None
    generator: np.random.Generator


def _layers(generator: np.random.Generator, networks: int, sizes: tuple[int, ...]) -> Iterator[Tensor]:
    """He's initial weights; zero biases."""
    for fan_in, fan_out in pairwise(sizes):
        weight = generator.standard_normal((networks, fan_in, fan_out), dtype=np.float32) * np.sqrt(2 / fan_in)
        yield torch.from_numpy(weight.astype(np.float32)).requires_grad_()
        yield torch.zeros(networks, 1, fan_out, requires_grad=True)


def _start(config: NetworkConfig, spec: BanditSpec, networks: int, ridge: Ridge | None) -> NeuralState:
    if spec.width < 1:
        raise ValueError("a neural bandit needs features of users, found none")
    generator = make_generator(config.seed, "networks", device="numpy")
    sizes = (spec.width, config.hidden, config.hidden, spec.arms)
    weights = tuple(_layers(generator, spec.replications * networks, sizes))
    shape = (spec.replications, config.memory)
    memory = Memory(
        np.zeros((*shape, spec.width), np.float32), np.zeros(shape, np.int64), np.zeros(shape, np.float32),
        np.zeros((*shape, networks), np.float32),
    )  # fmt: skip
    optimiser = torch.optim.Adam(weights, config.learning_rate)
    return NeuralState(weights, optimiser, memory, 0, 0, ridge, generator)


def _hidden(weights: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """The last hidden layer of each network, ``[S, n, h]``."""
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = torch.relu(torch.baddbmm(bias, x, weight))
    return x


def _values(weights: tuple[Tensor, ...], x: Tensor) -> Tensor:
    """What each network expects of each arm, ``[S, n, A]``."""
    return torch.baddbmm(weights[-1], _hidden(weights, x), weights[-2])


@torch.no_grad()
def _features(state: NeuralState, x: np.ndarray) -> np.ndarray:
    made: np.ndarray = _hidden(state.weights, torch.from_numpy(x.astype(np.float32))).double().numpy()
    return made


def _remember(
    state: NeuralState, context: Context, action: np.ndarray, reward: np.ndarray, mask: Any, weight: np.ndarray
) -> NeuralState:
    memory, users = state.memory, action.shape[1]
    at = (state.seen + np.arange(users)) % memory.arm.shape[1]
    memory.x[:, at], memory.arm[:, at], memory.reward[:, at] = context.user, action, reward
    memory.weight[:, at] = weight * mask_of(mask, action)[..., None]
    return state._replace(seen=state.seen + users, rounds=state.rounds + 1)


def _train(config: NetworkConfig, state: NeuralState, networks: int) -> None:
    """Some minibatches, each replication's its own."""
    memory, known = state.memory, min(state.seen, config.memory)
    rows = np.arange(memory.arm.shape[0])[:, None]
    for _ in range(config.steps):
        at = state.generator.integers(known, size=(len(rows), config.batch_size))
        x, arm, reward, weight = (torch.from_numpy(np.repeat(part[rows, at], networks, 0)) for part in memory)
        own = torch.arange(networks).repeat(len(rows))
        weight = weight[torch.arange(len(own)), :, own]
        guess = _values(state.weights, x).gather(2, arm[..., None])[..., 0]
        loss = (weight * (guess - reward) ** 2).mean(1).sum()  # a sum: networks do not share gradients
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimiser.step()


@dataclass(frozen=True)
class NeuralLinear:
    """See the module.

    Attributes:
        network: its form and training.
        precision: of the prior of the regressions.
        noise_sd: of a reward around what is expected of it; scales the draws.
    """

    network: NetworkConfig = NetworkConfig()
    precision: float = 1.0
    noise_sd: float = 0.5
    exact: ClassVar[bool] = True

    def init_state(self, spec: BanditSpec) -> NeuralState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        ridge = start(spec._replace(single=False), spec.arms, self.network.hidden, self.precision)
        return _start(self.network, spec, 1, ridge)

    def _scores(self, state: NeuralState, context: Context) -> tuple[np.ndarray, np.ndarray]:
        assert state.ridge is not None
        mean, variance = predict(state.ridge, _features(state, context.user))
        return mean, self.noise_sd * np.sqrt(variance)

    def choose(self, state: NeuralState, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        mean, sd = self._scores(state, context)
        return best(mean + sd * generator.standard_normal(mean.shape), context.allowed)

    def probabilities(
        self, state: NeuralState, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return gaussian_best(*self._scores(state, context), context.allowed)

    def update(
        self,
        state: NeuralState,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> NeuralState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        state = _remember(state, context, action, reward, mask, np.ones((1, 1, 1), np.float32))
        if state.rounds % self.network.every == 0:
            _train(self.network, state, 1)
            return state._replace(ridge=self._refit(state))
        assert state.ridge is not None
        features = _features(state, context.user)
        return state._replace(ridge=learn(state.ridge, action, features, reward, mask))

    def _refit(self, state: NeuralState) -> Ridge:
        """The regressions on what the network makes of all remembered rounds now."""
        known = min(state.seen, self.network.memory)
        x, arm, reward, weight = (part[:, :known] for part in state.memory)
        features = _features(state, x)
        member = one_hot(arm, state.weights[-1].shape[2]).swapaxes(1, 2) * weight[:, None, :, 0]
        square = (features[..., :, None] * features[..., None, :]).reshape(*features.shape[:2], -1)
        width = features.shape[-1]
        gram = (member @ square).reshape(*member.shape[:2], width, width)
        inverse = np.linalg.inv(gram + self.precision * np.eye(width))
        pull = member @ (features * reward[..., None])
        return Ridge(inverse, (inverse @ pull[..., None])[..., 0])


@dataclass(frozen=True)
class NeuralBootstrap:
    """See the module.

    Attributes:
        network: form and training of each.
        networks: E.
    """

    network: NetworkConfig = NetworkConfig()
    networks: int = 10
    exact: ClassVar[bool] = True

    def init_state(self, spec: BanditSpec) -> NeuralState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        return _start(self.network, spec, self.networks, None)

    @torch.no_grad()
    def _choices(self, state: NeuralState, context: Context) -> Int64[np.ndarray, "R E U"]:
        """What each network would choose."""
        x = torch.from_numpy(np.repeat(context.user.astype(np.float32), self.networks, 0))
        values = _values(state.weights, x).numpy()
        values = values.reshape(-1, self.networks, *values.shape[1:])
        return best(values, None if context.allowed is None else context.allowed[:, None])

    def choose(self, state: NeuralState, context: Context, generator: np.random.Generator) -> Int64[np.ndarray, "R U"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        choices = self._choices(state, context)
        follow = generator.integers(self.networks, size=(len(choices), 1, choices.shape[2]))
        chosen: np.ndarray = np.take_along_axis(choices, follow, 1)[:, 0]
        return chosen

    def probabilities(
        self, state: NeuralState, context: Context, generator: np.random.Generator
    ) -> Float64[np.ndarray, "R U A"]:
        """See :class:`recgym.agents.bandits.Bandit`."""
        share: np.ndarray = one_hot(self._choices(state, context), state.weights[-1].shape[2]).mean(1)
        return share

    def update(
        self,
        state: NeuralState,
        context: Context,
        action: Int64[np.ndarray, "R U"],
        reward: Float64[np.ndarray, "R U"],
        mask: Bool[np.ndarray, "R U"] | None = None,
    ) -> NeuralState:
        """See :class:`recgym.agents.bandits.Bandit`."""
        weight = 2.0 * state.generator.integers(2, size=(*action.shape, self.networks))
        state = _remember(state, context, action, reward, mask, weight)
        if state.rounds % self.network.every == 0:
            _train(self.network, state, self.networks)
        return state
