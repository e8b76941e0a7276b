"""Stable-Baselines3 on simulated users: learn, act with propensities, save, load and go on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.logger import Logger, configure
from torch import Tensor

from recgym.agents.descent import frozen
from recgym.agents.sb3.acting import SB3Policy
from recgym.agents.sb3.checkpoints import (
    Checkpoint,
    describe_space,
    pack_state,
    read_checkpoint,
    reading,
    unpack_state,
    write_checkpoint,
)
from recgym.agents.sb3.config import AgentConfig, NetworkConfig, plain_settings
from recgym.agents.sb3.configs import CONFIGS
from recgym.agents.sb3.curve import CurvePoint, LearningCurve
from recgym.agents.sb3.learning import Meter, Watcher
from recgym.agents.sb3.normalizer import Normalizer, normalized, observation_statistics
from recgym.agents.sb3.randomness import BorrowedGenerators
from recgym.arrays import to_numpy
from recgym.encoders import MODELS, FittedEncoder, load_encoder
from recgym.envs.encoded import fitting_encoder
from recgym.envs.sb3 import SB3VecEnv
from recgym.envs.task import Task
from recgym.files import write_json
from recgym.progress import Progress
from recgym.seeding import child_seed

__all__ = ["SB3Agent"]

_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate")


class SB3Agent:
    """An algorithm of Stable-Baselines3 that learns on simulated users.

    Args:
        config: the algorithm and its settings.
        task: what to learn.
        num_envs: users side by side.
        seed: root seed: users, initial networks and exploration follow from it.
        device: torch device of the networks; the CPU by default, which small networks are fastest on.
        env_kwargs: keyword arguments that made the environment, kept in checkpoints for the record.
        encoder: through which histories enter the networks; by default the one that ``config.network`` names, if any.
            Checkpoints hold it, so that they need no folder of an encoder.

    Attributes:
        config: the algorithm and its settings.
        task: what is learned.
        num_envs: users side by side.
        seed: root seed.
        env_kwargs: keyword arguments that made the environment.
        curve: the learning curve so far.

    Raises:
        ValueError: the algorithm cannot learn the task.
    """

    def __init__(
        self,
        config: AgentConfig,
        task: Task,
        num_envs: int = 256,
        seed: int = 0,
        device: str | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
        encoder: FittedEncoder | None = None,
    ) -> None:
        if encoder is None and config.network.encoder is not None:
            encoder = load_encoder(config.network.encoder)
        self._encoder = encoder
        self.config = config
        self.task = task
        self.num_envs = num_envs
        self.seed = seed
        self.curve = LearningCurve()
        self._device = device or "cpu"
        self.env_kwargs = dict(env_kwargs or {})
        self._env = normalized(
            SB3VecEnv(task, num_envs, seed=child_seed(seed, "users")),
            config.network.normalize, config.normalize_reward, config.gamma,
        )  # fmt: skip
        self._generators = BorrowedGenerators(self._device)
        with self._generators.borrowed():
            self._model: Any = config.build(
                task, self._env, child_seed(seed, "learner") % 2**32, self._device,
                None if encoder is None else fitting_encoder(task, encoder),
            )  # fmt: skip
        # Stable-Baselines3 seeds the environment with the learner's seed; the users keep their own.
        self._env.seed(child_seed(seed, "users"))

    @property
    def steps(self) -> int:
        """User-steps learned from so far."""
        return int(self._model.num_timesteps)

    def learn(
        self,
        total_steps: int,
        *,
        folder: Path | str | None = None,
        checkpoint_every: int = 200_000,
        log_every: int = 10_000,
        progress: Progress | None = None,
    ) -> LearningCurve:
        """Learn until the agent has seen ``total_steps`` user-steps in all, rounded up to whole rollouts.

        An agent that was loaded goes on from where it was saved, with new users.

        Args:
            total_steps: user-steps, those before this call included.
            folder: gets ``checkpoint/``, ``tb/`` (TensorBoard) and ``curve.json``; nothing is written if None.
            checkpoint_every: user-steps between checkpoints. What is killed loses at most this much and one rollout.
            log_every: user-steps between points of the learning curve.
            progress: told how far it is, such as :class:`recgym.progress.Bars`.

        Returns:
            The learning curve, earlier points included.
        """
        if self.steps >= total_steps:
            return self.curve
        save = None if folder is None else lambda: self.save(Path(folder, "checkpoint"))
        model, logger, meter = self._model, _logger(folder), Meter(progress, total_steps, self.steps)

        def report(point: CurvePoint) -> None:
            self.curve = self.curve.with_point(point)
            meter.update(self.steps, self.curve)
            if folder is not None:
                write_json(Path(folder, "curve.json"), self.curve.to_json())

        try:
            with self._generators.borrowed():
                watcher = Watcher(report, save, meter, log_every, checkpoint_every)
                model.set_logger(logger)
                model.learn(total_steps - self.steps, callback=watcher, log_interval=None, reset_num_timesteps=False)
                watcher.flush()
                meter.update(self.steps, self.curve)
        finally:
            logger.close()
        if folder is not None:
            self.save(Path(folder, "checkpoint"))
            write_json(Path(folder, "curve.json"), self.curve.to_json())
        return self.curve

    def policy(self) -> SB3Policy:
        """The policy as it is now; later learning does not change it."""
        network = frozen(self.config.acting(self._model))
        return SB3Policy(self.config, network, Normalizer.of(self._env, self._device), self._device)

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint, all or nothing: see :mod:`recgym.agents.sb3.checkpoints`."""
        model = self._model
        tensors, settings = pack_state(model.get_parameters())
        if getattr(model, "log_ent_coef", None) is not None:
            tensors["log_ent_coef"] = model.log_ent_coef
        generators = self._generators.state()
        tensors["generator/torch"] = generators.torch
        tensors["generator/numpy"] = torch.as_tensor(generators.numpy["state"]["key"].astype(np.int64))
        if generators.cuda is not None:
            tensors["generator/cuda"] = generators.cuda
        for name, statistics in self._statistics().items():
            tensors[f"scale/{name}/mean"] = torch.as_tensor(np.asarray(statistics.mean, dtype=np.float64))
            tensors[f"scale/{name}/var"] = torch.as_tensor(np.asarray(statistics.var, dtype=np.float64))
        meta = {
            "algorithm": self.config.name,
            "config": plain_settings(self.config),
            "environment": {"name": self.task.name, "kwargs": self.env_kwargs},
            "signature": self._signature(),
            "encoder": None if self._encoder is None else self._encoder.description(),
            "num_envs": self.num_envs,
            "seed": self.seed,
            "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
            "scales": {name: float(statistics.count) for name, statistics in self._statistics().items()},
            "optimizers": settings,
            "generators": {
                "numpy": {"pos": generators.numpy["state"]["pos"], "has_gauss": generators.numpy["has_gauss"],
                          "gauss": generators.numpy["gauss"]},
                "actions": model.action_space.np_random.bit_generator.state,
            },
            "curve": self.curve.to_json(),
        }  # fmt: skip
        replay: ReplayBuffer | None = getattr(model, "replay_buffer", None)
        if replay is not None:
            meta["replay"] = {"pos": replay.pos, "full": replay.full}
        write_checkpoint(folder, Checkpoint(meta, tensors, {} if replay is None else _filled(replay)))

    @classmethod
    def load(cls, folder: Path | str, task: Task, device: str | None = None) -> "SB3Agent":
        """Read an agent from a checkpoint, or from the folder that :meth:`learn` wrote it into.

        Args:
            folder: of the checkpoint or of the training, see :func:`recgym.agents.sb3.checkpoints.find_checkpoint`.
            task: what it learned.
            device: torch device of the networks.

        Raises:
            ValueError: there is no checkpoint, it is damaged, or it belongs to another environment.
        """
        checkpoint = read_checkpoint(folder)
        meta = checkpoint.meta
        with reading(folder):
            config = _config(meta["algorithm"], meta["config"])
            if meta["environment"]["name"] != task.name:
                raise ValueError(f"it was trained on {meta['environment']['name']}, not on {task.name}")
            encoder = None
            if meta.get("encoder") is not None:
                encoder = FittedEncoder.unfitted(meta["encoder"], dict(MODELS))
            agent = cls(config, task, meta["num_envs"], meta["seed"], device, meta["environment"]["kwargs"], encoder)
            agent._restore(checkpoint)
        return agent

    def _restore(self, checkpoint: Checkpoint) -> None:
        meta, tensors, model = checkpoint.meta, checkpoint.tensors, self._model
        if meta["signature"] != self._signature():
            raise ValueError(f"its spaces are not those of {self.task.name}{_difference(meta, self._signature())}")
        model.set_parameters(unpack_state(tensors, meta["optimizers"], model.get_parameters()))
        if getattr(model, "log_ent_coef", None) is not None:
            model.log_ent_coef.data.copy_(tensors["log_ent_coef"])
        for name, value in meta["counters"].items():
            if name in _COUNTERS:
                setattr(model, name, value)
        for name, statistics in self._statistics().items():
            statistics.mean = tensors[f"scale/{name}/mean"].numpy()
            statistics.var = tensors[f"scale/{name}/var"].numpy()
            statistics.count = meta["scales"][name]
        if "replay" in meta:
            _fill(model.replay_buffer, checkpoint.replay, meta["replay"])
        saved = meta["generators"]["numpy"]
        state = {"key": tensors["generator/numpy"].numpy().astype(np.uint32), "pos": saved["pos"]}
        numpy = {"bit_generator": "MT19937", "state": state, "has_gauss": saved["has_gauss"], "gauss": saved["gauss"]}
        self._generators.set_state(numpy, tensors["generator/torch"], tensors.get("generator/cuda"))
        model.action_space.np_random.bit_generator.state = meta["generators"]["actions"]
        self.curve = LearningCurve.from_json(meta["curve"])
        # Sessions do not outlive the process; the new ones must not be those that the agent began with.
        self._env.seed(child_seed(self.seed, "users", self.steps))

    def _statistics(self) -> dict[str, Any]:
        observation = observation_statistics(self._env)
        scales: dict[str, Any] = {"reward": self._env.ret_rms} if self._env.norm_reward else {}
        return scales if observation is None else scales | {"observation": observation}

    def _signature(self) -> dict[str, Any]:
        return {
            "observation": describe_space(self.task.observer.space(self.task.sizes)),
            "action": describe_space(self._env.action_space),
            "sizes": self.task.sizes._asdict(),
        }


def _difference(meta: Mapping[str, Any], mine: Mapping[str, Any]) -> str:
    """The first part of the signature that differs, for the sentence of an error."""
    part = next(name for name in ("action", "observation", "sizes") if meta["signature"].get(name) != mine[name])
    return f": {part} was {meta['signature'].get(part)}, here it is {mine[part]}"


def _logger(folder: Path | str | None) -> Logger:
    return Logger(None, []) if folder is None else configure(str(Path(folder, "tb")), ["tensorboard"])


def _config(name: str, values: dict[str, Any]) -> AgentConfig:
    if name not in CONFIGS:
        raise ValueError(f"there is no agent {name!r}; there are: {', '.join(CONFIGS)}")
    network = {**values["network"], "hidden": tuple(values["network"]["hidden"])}
    if network.get("encoder") is not None:
        network["encoder"] = Path(network["encoder"])
    return CONFIGS[name](**{**values, "network": NetworkConfig(**network)})


_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def _filled(replay: ReplayBuffer) -> dict[str, Tensor]:
    """The rows of a replay buffer that hold something, a dictionary observation as one array a key."""
    rows = replay.buffer_size if replay.full else replay.pos
    arrays: dict[str, Tensor] = {}
    for name in _ARRAYS:
        value = getattr(replay, name)
        parts = {f"{name}/{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        arrays |= {key: torch.from_numpy(part[:rows]) for key, part in parts.items()}
    return {name: tensor for name, tensor in arrays.items() if tensor.numel()}


def _fill(replay: ReplayBuffer, arrays: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    for name, tensor in arrays.items():
        field, _, key = name.partition("/")
        target = getattr(replay, field)[key] if key else getattr(replay, field)
        target[: tensor.shape[0]] = to_numpy(tensor)
    replay.pos, replay.full = meta["pos"], meta["full"]
