"""Proximal policy optimisation with a memory, on many simulated users in one batch."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recgym.agents.descent import frozen
from recgym.agents.recurrent.collect import Collector
from recgym.agents.recurrent.config import RecurrentPPOConfig
from recgym.agents.recurrent.context import Context, NoContext
from recgym.agents.recurrent.features import RunningScale, StepFeatures
from recgym.agents.recurrent.judging import ReturnScale, judge
from recgym.agents.recurrent.learning import Losses, improve
from recgym.agents.recurrent.network import ActorCritic
from recgym.agents.recurrent.policy import RecurrentPolicy
from recgym.agents.recurrent.world import WorldConfig, WorldContext
from recgym.agents.sb3.checkpoints import (
    Checkpoint,
    pack_state,
    read_checkpoint,
    reading,
    task_signature,
    unpack_state,
    write_checkpoint,
)
from recgym.agents.sb3.curve import CurvePoint, LearningCurve
from recgym.agents.sb3.learning import Meter
from recgym.agents.sim2rec import Sim2RecConfig
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.files import write_json
from recgym.progress import Progress
from recgym.seeding import child_seed, make_generator, seeded

__all__ = ["RecurrentPPO"]


class RecurrentPPO:
    """A recurrent policy that learns on simulated users by proximal policy optimisation.

    Differences from Stable-Baselines3's and sb3-contrib's learners: users are stepped in one batch and whole episodes
    go through the LSTM in one call; returns are scaled world by world and step by step; steps of an episode that a
    limit cuts are worth what the value network expects after it.

    Args:
        config: settings; those of Sim2Rec add a context of the world that users share.
        task: what to learn.
        num_envs: users side by side.
        seed: root seed: users, first networks and exploration follow from it.
        env_kwargs: keyword arguments that made the environment, kept in checkpoints for the record.

    Attributes:
        config: settings.
        task: what is learned.
        steps: user-steps learned from so far.
        curve: the learning curve so far.
        losses: of the last update; None before the first.
        context_loss: of the context's encoder in the last rollout.

    Raises:
        ValueError: the agent cannot learn the task.
    """

    def __init__(
        self,
        config: RecurrentPPOConfig | Sim2RecConfig,
        task: Task,
        num_envs: int = 450,
        seed: int = 0,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.config, self.task, self.num_envs, self.seed = config, task, num_envs, seed
        self.env_kwargs = dict(env_kwargs or {})
        self.steps = 0
        self.curve = LearningCurve()
        self.losses: Losses | None = None
        self.context_loss = 0.0
        self._features = StepFeatures(task)
        simulation = Simulation(task, num_envs, seed=child_seed(seed, "users"))
        simulation.reset()
        self._simulation = simulation
        blank = torch.full((num_envs, task.slate_size), self._features.padding)
        width = int(self._features(simulation.observation(), blank).shape[1])
        self._scale = RunningScale(width)
        ppo, world = _parts(config)
        self._ppo = ppo
        with seeded(seed, "weights"):
            self._context: Context = NoContext() if world is None else WorldContext(world, width)
            self._network = ActorCritic(width, self._context.width, task, ppo)
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=ppo.learning_rate, eps=1e-5)
        group = simulation.group()
        self._returns = ReturnScale(1 if group is None else int(group.max()) + 1)
        self._generator = make_generator(seed, "learner")

    def learn(
        self,
        total_steps: int,
        *,
        folder: Path | str | None = None,
        checkpoint_every: int = 1_000_000,
        progress: Progress | None = None,
    ) -> LearningCurve:
        """Learn until the agent has seen ``total_steps`` user-steps in all, rounded up to whole rollouts.

        The learning rate falls over these steps, so an agent that goes on should be told the same total again.

        Args:
            total_steps: user-steps, those before this call included.
            folder: gets ``checkpoint/`` and ``curve.json``; nothing is written if None.
            checkpoint_every: user-steps between checkpoints.
            progress: told how far it is, such as :class:`recgym.progress.Bars`.

        Returns:
            The learning curve, earlier points included.
        """
        if self.steps >= total_steps:
            return self.curve
        meter, saved = Meter(progress, total_steps, self.steps), self.steps
        while self.steps < total_steps:
            self.learn_some(total_steps, 1, meter)
            if folder is None:
                continue
            if self.steps - saved >= checkpoint_every or self.steps >= total_steps:
                self.save(Path(folder, "checkpoint"))
                saved = self.steps
            write_json(Path(folder, "curve.json"), self.curve.to_json())
        return self.curve

    def learn_some(self, total_steps: int, some: int, meter: Meter | None = None) -> None:
        """Learn from ``some`` further user-steps of the way to ``total_steps``, rounded up to whole rollouts.

        Args:
            total_steps: where the learning rate will have fallen to its last.
            some: user-steps; fewer if the total is reached before.
            meter: moved on after each rollout.
        """
        until = min(self.steps + some, total_steps)
        while self.steps < until:
            self._round(max(1 - self.steps / total_steps, 0.0))
            if meter is not None:
                meter.update(self.steps, self.curve)

    @cached_property
    def _collector(self) -> Collector:
        """Made when learning begins: a checkpoint may put another scale in place before that."""
        return Collector(self._simulation, self._network, self._context, self._features, self._scale)

    def _round(self, left: float) -> None:
        """One rollout and what is learned from it; ``left`` is the share of steps still to come."""
        config = self._ppo
        if self._scale.count == 0:
            self._warm_up()
        for settings in self._optimiser.param_groups:
            settings["lr"] = config.learning_rate * (config.final_rate + (1 - config.final_rate) * left)
        batch = self._collector.collect(config.rollout_steps, self._generator)
        self.context_loss = self._context.learn(batch.features, batch.group, self._generator)
        judged = judge(batch, self._returns, config.gamma, config.gae_lambda, config.per_world)
        self.losses = improve(self._network, self._optimiser, batch, judged, config, self._generator)
        self.steps += batch.reward.numel()
        if len(self._collector.finished) >= 2:
            self.curve = self.curve.with_point(CurvePoint.of(self.steps, self._collector.finished))
            self._collector.finished.clear()

    def _warm_up(self) -> None:
        """A rollout that is only looked at: the scale of the features, and the context's first lessons."""
        self._collector.collect(self._ppo.rollout_steps, self._generator)
        self._collector.restart()
        batch = self._collector.collect(self._ppo.rollout_steps, self._generator)
        self._context.begin(batch.features, batch.group, self._generator)
        self._collector.restart()
        self.steps += 2 * batch.reward.numel()

    def policy(self, group_size: int = 0) -> RecurrentPolicy:
        """The policy as it is now; later learning does not change it.

        Args:
            group_size: users of one world that stand side by side where it will act; 0 for all.
        """
        network = frozen(self._network)
        return RecurrentPolicy(
            network, copy.deepcopy(self._context), self._features, copy.deepcopy(self._scale), self.task.slate_size,
            self.task.mask_consumed, group_size,
        )  # fmt: skip

    def _states(self) -> dict[str, dict[str, Any]]:
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimiser.state_dict(),
            **self._context.state_dict(),
        }

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint of safetensors and JSON, all or nothing."""
        tensors, settings = pack_state(self._states())
        tensors |= {f"scale/{name}": value for name, value in self._scale.to_tensors().items()}
        tensors |= {f"returns/{name}": value.to(torch.float32) for name, value in vars(self._returns).items()}
        tensors["generator"] = self._generator.get_state()
        meta = {
            "algorithm": self.config.name,
            "config": asdict(self.config),
            "environment": {"name": self.task.name, "kwargs": self.env_kwargs},
            "signature": task_signature(self.task),
            "num_envs": self.num_envs,
            "seed": self.seed,
            "steps": self.steps,
            "optimizers": settings,
            "curve": self.curve.to_json(),
        }
        write_checkpoint(folder, Checkpoint(meta, tensors, {}))

    @classmethod
    def load(cls, folder: Path | str, task: Task) -> "RecurrentPPO":
        """Read an agent from a checkpoint, or from the folder that :meth:`learn` wrote it into.

        Raises:
            ValueError: there is no checkpoint, it is damaged, or it belongs to another agent or environment.
        """
        checkpoint = read_checkpoint(folder)
        meta = checkpoint.meta
        with reading(folder):
            if meta["environment"]["name"] != task.name:
                raise ValueError(f"it was trained on {meta['environment']['name']}, not on {task.name}")
            config = _config(meta["algorithm"], meta["config"])
            agent = cls(config, task, meta["num_envs"], meta["seed"], meta["environment"]["kwargs"])
            agent._restore(meta, checkpoint.tensors)
        return agent

    def _restore(self, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        if meta["signature"] != task_signature(self.task):
            raise ValueError(f"its spaces are not those of {self.task.name}")
        states = unpack_state(tensors, meta["optimizers"], self._states())
        self._network.load_state_dict(states.pop("network"))
        self._optimiser.load_state_dict(states.pop("optimizer"))
        self._context.load_state_dict(states)
        self._scale = RunningScale.from_tensors({k: tensors[f"scale/{k}"] for k in ("count", "mean", "square")})
        self._returns.mean, self._returns.spread = tensors["returns/mean"], tensors["returns/spread"]
        self._returns.seen = tensors["returns/seen"] > 0
        self._generator.set_state(tensors["generator"])
        self.steps = meta["steps"]
        self.curve = LearningCurve.from_json(meta["curve"])
        # Sessions do not outlive the process; the new ones must not be those that the agent began with.
        self._simulation.reset(child_seed(self.seed, "users", self.steps))


def _parts(config: RecurrentPPOConfig | Sim2RecConfig) -> tuple[RecurrentPPOConfig, WorldConfig | None]:
    return (config.policy, config.world) if isinstance(config, Sim2RecConfig) else (config, None)


def _config(name: str, value: Mapping[str, Any]) -> RecurrentPPOConfig | Sim2RecConfig:
    """The settings in a checkpoint.

    Raises:
        ValueError: it is that of another agent.
    """

    def ppo(settings: Mapping[str, Any]) -> RecurrentPPOConfig:
        return RecurrentPPOConfig(**{**settings, "hidden": tuple(settings["hidden"])})

    if name == RecurrentPPOConfig.name:
        return ppo(value)
    if name == Sim2RecConfig.name:
        return Sim2RecConfig(ppo(value["policy"]), WorldConfig.from_json(value["world"]))
    raise ValueError(f"it holds an agent {name!r}, not one of {RecurrentPPOConfig.name!r}, {Sim2RecConfig.name!r}")
