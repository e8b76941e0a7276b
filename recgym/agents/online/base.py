"""What agents with a replay buffer have in common: users side by side, the loop, checkpoints; written once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from recgym.agents.base import Policy
from recgym.agents.online.replay import Experience, Replay
from recgym.agents.sb3.checkpoints import (
    Checkpoint,
    pack_state,
    read_checkpoint,
    reading,
    task_signature,
    unpack_state,
    write_checkpoint,
)
from recgym.agents.sb3.config import NetworkConfig
from recgym.agents.sb3.curve import CurvePoint, LearningCurve
from recgym.agents.sb3.learning import Meter
from recgym.encoders.settings import settings_from_json, settings_to_json
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.files import write_json
from recgym.progress import Progress
from recgym.seeding import child_seed, make_generator, seeded
from recgym.types import Generator

__all__ = ["Choice", "OnlineAgent", "OnlineConfig", "OnlineLearner", "ReplayConfig"]

_LOG_EVERY = 10_000


class Choice(NamedTuple):
    """What a learner shows to users while it explores.

    Attributes:
        action: for the simulation.
        kept: what the learner wants to find in the replay buffer, a row a user.
    """

    action: Tensor
    kept: dict[str, Tensor]


@dataclass(frozen=True)
class ReplayConfig:
    """What the loop looks at.

    Attributes:
        buffer_size: user-steps that the replay buffer keeps.
        learning_starts: user-steps before the first update.
        updates: updates after each step of all users.
        batch_size: user-steps in an update.
    """

    buffer_size: int = 100_000
    learning_starts: int = 5_000
    updates: int = 2
    batch_size: int = 256

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < (name != "learning_starts"):
                raise ValueError(f"{name} must be at least {int(name != 'learning_starts')}, found {value}")


@runtime_checkable
class OnlineLearner(Protocol):
    """An algorithm: networks, how it explores, and what one update does."""

    module: nn.Module
    """All that is learned, and all that was found in the data before, as parameters and buffers."""
    optimisers: dict[str, torch.optim.Optimizer]

    def explore(self, observation: Any, share: float | None, generator: Generator) -> Choice:
        """Choose for all users; ``share`` of the training lies behind, None before the first update."""
        ...

    def keep(self, transition: Transition) -> dict[str, Tensor]:
        """What of a step belongs into the replay buffer, besides reward, ``terminated`` and ``cut``.

        Raises:
            ValueError: users answer as the algorithm cannot learn from.
        """
        ...

    def begin(self, replay: Replay, generator: Generator) -> None:
        """Look at what was gathered once before the first update; what is found goes into buffers of the module."""
        ...

    def update(self, batch: Experience, share: float, generator: Generator) -> Mapping[str, Tensor]:
        """Learn from a batch; losses and the like by name, each one number, detached."""
        ...

    def policy(self) -> Policy[Any]:
        """The policy as it is now, in memory of its own."""
        ...


@runtime_checkable
class OnlineConfig(Protocol):
    """Settings of an agent with a replay buffer; ``name`` is what the command line and checkpoints call it."""

    name: ClassVar[str]

    @property
    def network(self) -> NetworkConfig:
        """The networks."""
        ...

    @property
    def replay(self) -> ReplayConfig:
        """What the loop looks at."""
        ...

    def learner(self, task: Task) -> OnlineLearner:
        """A fresh learner; its first weights draw from PyTorch's generator.

        Raises:
            ValueError: the algorithm cannot learn this task.
        """
        ...


class OnlineAgent:
    """An agent that learns on simulated users, many in one batch, from what it keeps of their steps.

    Args:
        config: settings, which say what algorithm it is.
        task: what to learn.
        num_envs: users side by side.
        seed: root seed: users, first networks and exploration follow from it.
        env_kwargs: keyword arguments that made the environment, kept in checkpoints for the record.

    Attributes:
        config: settings.
        task: what is learned.
        learner: the algorithm.
        steps: user-steps so far.
        updates: done so far.
        curve: the learning curve so far.
        losses: what the last update told.

    Raises:
        ValueError: the agent cannot learn the task.
    """

    def __init__(
        self,
        config: OnlineConfig,
        task: Task,
        num_envs: int = 256,
        seed: int = 0,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if config.network.encoder is not None:
            raise ValueError(f"{config.name} takes no encoder; give it to the environment: encoder=DIR")
        self.config, self.task, self.num_envs, self.seed = config, task, num_envs, seed
        self.env_kwargs = dict(env_kwargs or {})
        self.steps = self.updates = 0
        self.curve = LearningCurve()
        self.losses: dict[str, Tensor] = {}
        with seeded(seed, "weights"):
            self.learner = config.learner(task)
        self._replay = Replay(config.replay.buffer_size, num_envs)
        self._generator = make_generator(seed, "learner")
        self._simulation = Simulation(task, num_envs, seed=child_seed(seed, "users"))
        self._begin(child_seed(seed, "users"))

    def _begin(self, seed: int) -> None:
        self._simulation.reset(seed)
        self._return = torch.zeros(self.num_envs)
        self._finished: list[float] = []

    def learn(
        self,
        total_steps: int,
        *,
        folder: Path | str | None = None,
        checkpoint_every: int = 200_000,
        progress: Progress | None = None,
    ) -> LearningCurve:
        """Learn until the agent has seen ``total_steps`` user-steps in all, rounded up to whole steps of all users.

        What falls over the training falls over these steps, so an agent that goes on should be told the same total.

        Args:
            total_steps: user-steps, those before this call included.
            folder: gets ``checkpoint/`` and ``curve.json``; nothing is written if None.
            checkpoint_every: user-steps between checkpoints.
            progress: told how far it is, such as :class:`recgym.progress.Bars`.

        Returns:
            The learning curve, earlier points included.

        Raises:
            ValueError: users answer as the algorithm cannot learn from, or the reward is a vector.
        """
        saved, meter, shown = self.steps, Meter(progress, total_steps, self.steps), len(self.curve.points)
        while self.steps < total_steps:
            self._round(self.steps / total_steps, last=self.steps + self.num_envs >= total_steps)
            meter.update(self.steps, self.curve)
            if folder is None:
                continue
            if self.steps - saved >= checkpoint_every or self.steps >= total_steps:
                self.save(Path(folder, "checkpoint"))
                saved = self.steps
            if len(self.curve.points) > shown or self.steps >= total_steps:
                write_json(Path(folder, "curve.json"), self.curve.to_json())
                shown = len(self.curve.points)
        return self.curve

    def _round(self, share: float, last: bool) -> None:
        """One step of all users, and what is learned after it; ``share`` of all steps lie behind."""
        settings = self.config.replay
        learns = self.steps >= settings.learning_starts and self._replay.filled >= 2
        self._play(share if learns else None)
        if learns:
            if self.updates == 0:
                self.learner.begin(self._replay, self._generator)
            for _ in range(settings.updates):
                batch = self._replay.sample(settings.batch_size, self._generator)
                self.losses = dict(self.learner.update(batch, share, self._generator))
                self.updates += 1
        since = self.steps - (self.curve.points[-1].steps if self.curve.points else 0)
        if len(self._finished) >= 2 and (since >= _LOG_EVERY or last):
            self.curve = self.curve.with_point(CurvePoint.of(self.steps, self._finished))
            self._finished = []

    @torch.no_grad()
    def _play(self, share: float | None) -> None:
        simulation = self._simulation
        seen: Any = simulation.observation()
        choice = self.learner.explore(seen, share, self._generator)
        transition = simulation.step(choice.action)
        if transition.reward.ndim != 1:
            found = tuple(transition.reward.shape)
            raise ValueError(f"{self.task.name}: {self.config.name} needs a scalar reward, found shape {found}")
        reward = transition.reward.float()
        ends = {"reward": reward, "terminated": transition.terminated, "cut": transition.truncated}
        observation = seen if isinstance(seen, dict) else {"flat": seen}
        self._replay.add(observation, {**choice.kept, **self.learner.keep(transition), **ends})
        self.steps += self.num_envs
        self._return = self._return + reward
        ended = transition.terminated | transition.truncated
        if bool(ended.any()):
            self._finished += self._return[ended].tolist()
            self._return = torch.where(ended, 0.0, self._return)
            simulation.reset_rows(ended)

    def policy(self) -> Policy[Any]:
        """The policy as it is now; later learning does not change it."""
        return self.learner.policy()

    def _states(self) -> dict[str, Any]:
        optimisers = {name: optimiser.state_dict() for name, optimiser in self.learner.optimisers.items()}
        return {"module": self.learner.module.state_dict(), **optimisers}

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint of safetensors and JSON, the replay buffer included, all or nothing."""
        tensors, optimisers = pack_state(self._states())
        tensors["generator"] = self._generator.get_state()
        meta = {
            "algorithm": self.config.name,
            "config": settings_to_json(self.config),
            "environment": {"name": self.task.name, "kwargs": self.env_kwargs},
            "signature": task_signature(self.task),
            "num_envs": self.num_envs,
            "seed": self.seed,
            "steps": self.steps,
            "updates": self.updates,
            "optimizers": optimisers,
            "curve": self.curve.to_json(),
        }
        write_checkpoint(folder, Checkpoint(meta, tensors, self._replay.to_tensors()))

    @classmethod
    def load(cls, folder: Path | str, task: Task, configs: Mapping[str, type[Any]]) -> "OnlineAgent":
        """Read an agent from a checkpoint, or from the folder that :meth:`learn` wrote it into.

        Args:
            folder: of the checkpoint.
            task: what it learned.
            configs: the settings that there are, by name.

        Raises:
            ValueError: there is no checkpoint, it is damaged, or it belongs to another agent or environment.
        """
        checkpoint = read_checkpoint(folder)
        meta = checkpoint.meta
        with reading(folder):
            if meta["algorithm"] not in configs:
                raise ValueError(f"it holds an agent {meta['algorithm']!r}, expected {' or '.join(configs)}")
            if meta["environment"]["name"] != task.name:
                raise ValueError(f"it was trained on {meta['environment']['name']}, not on {task.name}")
            config = settings_from_json(configs[meta["algorithm"]], meta["config"], str(folder))
            agent = cls(config, task, meta["num_envs"], meta["seed"], meta["environment"]["kwargs"])
            agent._restore(checkpoint)
        return agent

    def _restore(self, checkpoint: Checkpoint) -> None:
        meta, tensors = checkpoint.meta, checkpoint.tensors
        if meta["signature"] != task_signature(self.task):
            raise ValueError(f"its spaces are not those of {self.task.name}")
        states = unpack_state(tensors, meta["optimizers"], self._states())
        self.learner.module.load_state_dict(states.pop("module"))
        for name, state in states.items():
            self.learner.optimisers[name].load_state_dict(state)
        self._generator.set_state(tensors["generator"])
        self._replay.restore(checkpoint.replay)
        self.steps, self.updates = meta["steps"], meta["updates"]
        self.curve = LearningCurve.from_json(meta["curve"])
        # Sessions do not outlive the process; the new ones must not be those that the agent began with.
        self._begin(child_seed(self.seed, "users", self.steps))
