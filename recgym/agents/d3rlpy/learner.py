"""Algorithms of d3rlpy as learners of ours: its networks and updates, our batches, seeds, checkpoints and policies."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import d3rlpy
import numpy as np
import polars as pl
import structlog
import torch
from d3rlpy.models.encoders import VectorEncoderFactory
from d3rlpy.optimizers import OptimizerWrapper
from torch import Tensor, nn

from recgym.agents.base import Policy
from recgym.agents.d3rlpy.batches import Prepared
from recgym.agents.d3rlpy.encoders import GivenEncoderFactory
from recgym.agents.d3rlpy.policies import Offer, PreferenceNetwork, PromptedPolicy, ValueNetwork
from recgym.agents.d3rlpy.states import FlatHistories, HistorySummary
from recgym.agents.descent import frozen
from recgym.agents.offline.networks import Parts
from recgym.agents.offline.policy import NetworkPolicy
from recgym.agents.offline.returns import returns_to_go
from recgym.agents.sb3.config import NetworkConfig
from recgym.data.export import discrete_actions
from recgym.data.transitions import TransitionStore
from recgym.types import Generator

__all__ = ["D3RLPyLearner"]


@runtime_checkable
class _Settings(Protocol):
    """What a learner asks of its settings; those named like a field of d3rlpy's own settings are handed to it."""

    algorithm: ClassVar[str]
    discrete: ClassVar[bool]
    chained: ClassVar[bool]
    sequences: ClassVar[bool]

    @property
    def network(self) -> NetworkConfig:
        """The networks."""
        ...

    @property
    def temperature(self) -> float:
        """Of the softmax by which a policy draws items."""
        ...


class D3RLPyLearner:
    """An algorithm of d3rlpy; see :class:`recgym.agents.offline.Learner`.

    Args:
        config: settings.
        parts: of the networks.

    Attributes:
        module: all of d3rlpy's networks, and ``states``, which makes vectors of observations.
        optimisers: d3rlpy's.
        algorithm: the d3rlpy object itself.

    Raises:
        ValueError: the algorithm cannot learn this problem.
    """

    def __init__(self, config: _Settings, parts: Parts) -> None:
        problem, network = parts.problem, parts.config
        if not config.discrete and not parts.item_features.shape[1]:
            raise ValueError(f"{problem.name}: preference vectors need features of items, found none")
        self.config, self.problem, self._features = config, problem, parts.item_features
        trained = parts.encoder is not None and not network.freeze_encoder
        self.states: HistorySummary | FlatHistories
        factory: Any = VectorEncoderFactory(hidden_units=list(network.hidden))
        if trained:
            self.states = FlatHistories(problem)
            factory = GivenEncoderFactory(parts.encoder, len(problem.schema), list(network.hidden))
        else:
            self.states = HistorySummary(problem, parts.item_features, parts.encoder)
        self.actions = discrete_actions(problem) if config.discrete else parts.item_features.shape[1]
        # d3rlpy tells its own log what it builds.
        with structlog.testing.capture_logs():
            self.algorithm = _settings(config, factory).create(device="cpu:0")
            self.algorithm.create_impl((self.states.width,), self.actions)
        modules = self.algorithm.impl.modules
        self._parts = nn.ModuleDict({"states": self.states, **modules.get_torch_modules()})
        if config.sequences:
            self._parts["prompts"] = _Prompts(config.max_timestep + 1)  # type: ignore[attr-defined]
        self.module: nn.Module = self._parts
        held = {field.name: getattr(modules, field.name) for field in fields(modules)}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            name: part.optim for name, part in held.items() if isinstance(part, OptimizerWrapper)
        }
        self._prepared: Prepared | None = None

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """See :class:`recgym.agents.offline.Learner`."""
        self.states.look(store)
        if self.config.sequences:
            self._parts["prompts"].look(store, self.config.prompt)  # type: ignore[attr-defined,operator]

    def prepared(self, store: TransitionStore) -> Prepared:
        """The store with its states; worked out once."""
        if self._prepared is None or self._prepared.store is not store:
            self._prepared = Prepared(store, self.states, self.config.discrete, self.config.chained)
        return self._prepared

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """See :class:`recgym.agents.offline.Learner`."""
        prepared, config = self.prepared(store), self.algorithm.config
        if self.config.sequences:
            batch = prepared.trajectories(config.batch_size, config.context_size, config.max_timestep, generator)
        else:
            batch = prepared.transitions(config.batch_size, generator)
        self.algorithm.set_grad_step(number)
        return {name: torch.as_tensor(value) for name, value in self.algorithm.update(batch).items()}

    def policy(self) -> Policy[Any]:
        """See :class:`recgym.agents.offline.Learner`."""
        module = frozen(self._parts)
        offer = Offer(self.problem, self.config.temperature)
        features = torch.from_numpy(self._features.copy())
        if self.config.sequences:
            width = 1 if self.config.discrete else self.actions
            context = self.algorithm.config.context_size
            prompts = module["prompts"].prompts
            assert isinstance(prompts, Tensor)
            return PromptedPolicy(module, features, prompts, offer, context, self.config.discrete, width)
        if self.config.discrete:
            return NetworkPolicy(ValueNetwork(module, offer, getattr(self.config, "action_flexibility", 0.0)))
        return NetworkPolicy(PreferenceNetwork(module, features, offer))

    def save_d3(self, path: Path) -> None:
        """Write d3rlpy's own file, which ``d3rlpy.load_learnable`` reads; a pickle, so load only what you trust.

        Raises:
            ValueError: the networks begin with an encoder that learns, which d3rlpy cannot write.
        """
        if isinstance(self.states, FlatHistories):
            raise ValueError("d3rlpy cannot write networks that begin with a sequence encoder; save the agent itself")
        self.algorithm.save(str(path))


class _Prompts(nn.Module):
    """The return that good episodes still had before them, at each of their steps."""

    prompts: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.register_buffer("prompts", torch.zeros(steps))

    def look(self, store: TransitionStore, quantile: float) -> None:
        """Take a quantile of the returns to go at each step; beyond the longest episode the last one stays."""
        step = store.steps - store.episodes[store.episode_of_step, 0]
        going = pl.DataFrame({"step": step, "going": returns_to_go(store)[store.steps, 0].astype(np.float64)})
        rows = going.group_by("step").agg(pl.col("going").quantile(quantile, "linear")).sort("step")
        found = torch.from_numpy(rows["going"].to_numpy().astype(np.float32))[: len(self.prompts)]
        self.prompts.fill_(float(found[-1]))
        self.prompts[: len(found)] = found


def _settings(config: _Settings, factory: Any) -> Any:
    """The settings of d3rlpy: those of ours that it knows by the same name, and our networks."""
    kind = getattr(d3rlpy.algos, f"{config.algorithm}Config")
    known = {field.name for field in fields(kind)}
    mine = {field.name: getattr(config, field.name) for field in fields(config) if field.name in known}  # type: ignore[arg-type]
    return kind(**mine, **{name: factory for name in known if name.endswith("encoder_factory")})
