"""What every agent that learns from a log has in common: the loop, the batches, checkpoints; written once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.agents.base import Policy
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.checkpoints import Checkpoint, pack_state, read_checkpoint, unpack_state, write_checkpoint
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.learning import Meter
from recgym.data.transitions import Problem, TransitionStore
from recgym.encoders import MODELS, FittedEncoder, load_encoder
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.files import write_json
from recgym.progress import Progress
from recgym.seeding import child_seed, make_generator, seeded, torch_seeded
from recgym.types import Generator

__all__ = ["Learner", "OfflineAgent", "OfflineConfig"]


@runtime_checkable
class Learner(Protocol):
    """An algorithm: networks, and what one update does to them."""

    module: nn.Module
    """All that is learned, and all that was found in the data before, as parameters and buffers."""
    optimisers: dict[str, torch.optim.Optimizer]

    def begin(self, store: TransitionStore, generator: Generator) -> None:
        """Look at the whole store once before the first update; what is found goes into buffers of the module."""
        ...

    def update(self, store: TransitionStore, generator: Generator, number: int) -> Mapping[str, Tensor]:
        """Draw a batch and learn from it.

        Args:
            store: what is learned from.
            generator: of the batches, on the CPU.
            number: updates before this one.

        Returns:
            Losses and the like by name, each one number, detached.
        """
        ...

    def policy(self) -> Policy[Any]:
        """The policy as it is now, in memory of its own."""
        ...


@runtime_checkable
class OfflineConfig(Protocol):
    """Settings of an agent that learns from a log; ``name`` is what the command line and checkpoints call it."""

    name: ClassVar[str]

    @property
    def network(self) -> NetworkConfig:
        """The networks."""
        ...

    def learner(self, parts: Parts) -> Learner:
        """A fresh learner; its first weights draw from PyTorch's generator.

        Raises:
            ValueError: the algorithm cannot learn this problem.
        """
        ...


class OfflineAgent:
    """An agent that learns from a store of transitions.

    Args:
        config: settings, which say what algorithm it is.
        problem: what it is built for, of a store or :func:`recgym.agents.offline.problem_of` a task.
        item_features: one row an item.
        seed: root seed: first weights and batches follow from it.
        encoder: through which histories enter; by default the one that ``config.network`` names, if any. Checkpoints
            hold it.

    Attributes:
        config: settings.
        problem: what it is built for.
        learner: the algorithm.
        updates: done so far.
        losses: means of what the updates told, one row a stretch: ``{"updates": ..., name: mean}``.

    Raises:
        ValueError: the algorithm cannot learn this problem, or the encoder does not suit it.
    """

    def __init__(
        self,
        config: OfflineConfig,
        problem: Problem,
        item_features: Float32[np.ndarray, "N D"],
        seed: int = 0,
        encoder: FittedEncoder | None = None,
    ) -> None:
        if encoder is None and config.network.encoder is not None:
            encoder = load_encoder(config.network.encoder)
        self.config, self.problem, self.seed = config, problem, seed
        self._features, self._encoder = np.asarray(item_features, np.float32), encoder
        sequence = None if encoder is None else encoder.sequence_encoder(problem.schema.names, problem.name)
        with seeded(seed, "weights"):
            self.learner = config.learner(Parts(problem, self._features, config.network, sequence))
        self.updates = 0
        self.losses: list[dict[str, float]] = []

    @classmethod
    def of(cls, config: OfflineConfig, store: TransitionStore, seed: int = 0) -> "OfflineAgent":
        """An agent for the problem of a store."""
        return cls(config, store.problem, store.item_features, seed)

    def fit(
        self,
        store: TransitionStore,
        updates: int,
        *,
        folder: Path | str | None = None,
        stretch: int = 1000,
        progress: Progress | None = None,
    ) -> "OfflineAgent":
        """Learn until so many updates are done in all.

        Every stretch draws from generators of its own, so an agent that was saved and goes on learns the same as one
        that was not interrupted.

        Args:
            store: what is learned from; the same each time.
            updates: those before this call included.
            folder: gets ``checkpoint/`` and ``losses.json`` after each stretch; nothing is written if None.
            stretch: updates between two rows of :attr:`losses`.
            progress: told how far it is, such as :class:`recgym.progress.Bars`.

        Returns:
            The agent itself.

        Raises:
            ValueError: the store is of another problem.
        """
        if store.problem != self.problem:
            raise ValueError(f"the agent was built for {self.problem}, found a store of {store.problem}")
        if self.updates == 0 and updates > 0:
            with torch_seeded(child_seed(self.seed, "begin")):
                self.learner.begin(store, make_generator(self.seed, "begin"))
        meter = Meter(progress, updates, self.updates, "updates")
        while self.updates < updates:
            row = self._stretch(store, min(updates - self.updates, stretch - self.updates % stretch), meter)
            self.losses.append(row)
            if folder is not None:
                self.save(Path(folder, "checkpoint"))
                write_json(Path(folder, "losses.json"), self.losses)
        return self

    def _stretch(self, store: TransitionStore, count: int, meter: Meter) -> dict[str, float]:
        total: dict[str, Tensor] = {}
        generator = make_generator(self.seed, "batches", self.updates)
        self.learner.module.train()
        with torch_seeded(child_seed(self.seed, "dropout", self.updates)):
            for _ in range(count):
                for name, value in self.learner.update(store, generator, self.updates).items():
                    total[name] = total[name] + value if name in total else value
                self.updates += 1
                meter.update(self.updates)
        self.learner.module.eval()
        return {"updates": self.updates} | {name: float(value) / count for name, value in total.items()}

    def policy(self) -> Policy[Any]:
        """The policy as it is now; later learning does not change it."""
        return self.learner.policy()

    def _states(self) -> dict[str, Any]:
        optimisers = {name: optimiser.state_dict() for name, optimiser in self.learner.optimisers.items()}
        return {"module": self.learner.module.state_dict(), **optimisers}

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint of safetensors and JSON, all or nothing."""
        tensors, optimisers = pack_state(self._states())
        meta = {
            "algorithm": self.config.name,
            "config": settings_to_json(self.config),
            "problem": self.problem.to_json(),
            "encoder": None if self._encoder is None else self._encoder.description(),
            "seed": self.seed,
            "updates": self.updates,
            "losses": self.losses,
            "optimizers": optimisers,
        }
        tensors["item_features"] = torch.from_numpy(self._features.copy())
        write_checkpoint(folder, Checkpoint(meta, tensors, {}))

    @classmethod
    def load(cls, folder: Path | str, configs: Mapping[str, type[Any]]) -> "OfflineAgent":
        """Read an agent from a checkpoint, or from the folder that :meth:`fit` wrote it into.

        Args:
            folder: of the checkpoint.
            configs: the settings that there are, by name.

        Raises:
            ValueError: there is no checkpoint, it is damaged, or it is of an agent that did not learn from a log.
        """
        checkpoint = read_checkpoint(folder)
        meta, tensors = checkpoint.meta, checkpoint.tensors
        if meta.get("algorithm") not in configs:
            raise ValueError(
                f"{folder} holds a checkpoint of {meta.get('algorithm')!r}, expected an agent that learned from a log: "
                f"{', '.join(configs)}; recgym.agents.load_agent reads those that learned on an environment"
            )
        try:
            config = settings_from_json(configs[meta["algorithm"]], meta["config"], str(folder))
            encoder = None if meta["encoder"] is None else FittedEncoder.unfitted(meta["encoder"], dict(MODELS))
            features = tensors["item_features"].numpy()
            agent = cls(config, Problem.from_json(meta["problem"]), features, meta["seed"], encoder)
            states = unpack_state(tensors, meta["optimizers"], agent._states())
            agent.learner.module.load_state_dict(states.pop("module"))
            for name, state in states.items():
                agent.learner.optimisers[name].load_state_dict(state)
        except (KeyError, TypeError, RuntimeError, IndexError) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(f"{folder} is not a complete checkpoint: {what}") from error
        agent.learner.module.eval()
        agent.updates, agent.losses = meta["updates"], meta["losses"]
        return agent
