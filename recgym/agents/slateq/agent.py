"""SlateQ on many simulated users in one batch."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.agents.sb3.checkpoints import (
    Checkpoint,
    describe_space,
    pack_state,
    read_checkpoint,
    unpack_state,
    write_checkpoint,
)
from recgym.agents.sb3.curve import CurvePoint, LearningCurve
from recgym.agents.sb3.learning import Bar
from recgym.agents.slateq.config import Learning, NullItem, SlateQConfig
from recgym.agents.slateq.learning import Losses, losses, unit_of
from recgym.agents.slateq.network import SlateQNetwork
from recgym.agents.slateq.policy import SlateQPolicy, slates
from recgym.agents.slateq.replay import Replay, Step
from recgym.agents.slateq.slates import Optimiser
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.files import write_json
from recgym.seeding import child_seed, make_generator, seeded

__all__ = ["SlateQ"]

_LOG_EVERY = 10_000


class SlateQ:
    """Values of items and a model of what users pick, learned on simulated users who pick at most one item of a slate.

    A position of the slate counts as picked if the user gave it any feedback. What is learned from a step is said at
    :class:`SlateQConfig`; a step without a pick belongs to the null item (``NullItem``). Differences from RecSim's
    agent (``agents/slate_decomp_q_agent.py``, arXiv 1909.04847):

    1. The choice model is learned from what users pick; RecSim's is given the true one, weights and null weight.
    2. The null item has a value of its own unless ``NullItem.WORTHLESS`` asks for RecSim's rule.
    3. Users are stepped side by side and values learned in larger batches; the next slate of Q-learning is found with
       the network that learns and judged with the label network; the learning rate falls.
    4. The state holds the visible history beside the profile, and values are dot products of state and item beside a
       common part, in place of layers over user and document side by side.

    Args:
        config: settings.
        task: what to learn.
        num_envs: users side by side.
        seed: root seed: users, first networks and exploration follow from it.
        env_kwargs: keyword arguments that made the environment, kept in checkpoints for the record.

    Attributes:
        config: settings.
        task: what is learned.
        steps: user-steps learned from so far.
        curve: the learning curve so far.
        losses: of the last gradient step; None before the first.

    Raises:
        ValueError: the agent cannot learn the task.
    """

    def __init__(
        self,
        config: SlateQConfig,
        task: Task,
        num_envs: int = 256,
        seed: int = 0,
        env_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if task.action != "items":
            raise ValueError(f"{task.name}: slateq chooses items, found action {task.action!r}")
        self.config, self.task, self.num_envs, self.seed = config, task, num_envs, seed
        self.env_kwargs = dict(env_kwargs or {})
        self.steps = 0
        self.curve = LearningCurve()
        self.losses: Losses | None = None
        with seeded(seed, "weights"):
            self._network = SlateQNetwork(task, config)
        self._label = copy.deepcopy(self._network).requires_grad_(False)
        self._rates = (config.learning_rate, config.choice_rate)
        self._optimiser = torch.optim.Adam(
            [{"params": group, "lr": rate} for group, rate in zip(self._network.groups(), self._rates, strict=True)]
        )
        self._replay = Replay(config.buffer_size, num_envs)
        self._updates = 0
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
        folder: Path | None = None,
        checkpoint_every: int = 200_000,
        progress: bool = False,
    ) -> LearningCurve:
        """Learn until the agent has seen ``total_steps`` user-steps in all, rounded up to whole steps of all users.

        Learning rate and exploration fall over these steps, so an agent that goes on should be told the same total.

        Args:
            total_steps: user-steps, those before this call included.
            folder: gets ``checkpoint/`` and ``curve.json``; nothing is written if None.
            checkpoint_every: user-steps between checkpoints.
            progress: show a progress bar on stderr.

        Returns:
            The learning curve, earlier points included.

        Raises:
            ValueError: users pick more than one item of a slate, or the reward is a vector.
        """
        saved = self.steps
        with Bar(total_steps, self.steps, progress) as bar:
            while self.steps < total_steps:
                self._round(self.steps / total_steps, last=self.steps + self.num_envs >= total_steps)
                bar.update(self.steps, f"return {self.curve.points[-1].mean:.4g}" if self.curve.points else None)
                if folder is not None and (self.steps - saved >= checkpoint_every or self.steps >= total_steps):
                    self.save(folder / "checkpoint")
                    write_json(folder / "curve.json", self.curve.to_json())
                    saved = self.steps
            bar.update(self.steps, last=True)
        return self.curve

    def _round(self, share: float, last: bool) -> None:
        """One step of all users, and what is learned after it; ``share`` of all steps lie behind."""
        config = self.config
        learns = self.steps >= config.learning_starts and self._replay.filled >= 2
        self._play(config.epsilon_at(share) if learns else 1.0)
        if learns:
            if self._updates == 0:
                self._set_unit()
            left = config.final_rate + (1 - config.final_rate) * (1 - share)
            for settings, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
                settings["lr"] = rate * left
            for _ in range(config.updates):
                self._update()
        since = self.steps - (self.curve.points[-1].steps if self.curve.points else 0)
        if len(self._finished) >= 2 and (since >= _LOG_EVERY or last):
            self.curve = self.curve.with_point(CurvePoint.of(self.steps, self._finished))
            self._finished = []

    @torch.no_grad()
    def _play(self, epsilon: float) -> None:
        simulation, size = self._simulation, self.task.slate_size
        seen: Any = simulation.observation()
        slate = slates(self._network, seen, self.config.serving, size, epsilon).sample(self._generator)
        transition = simulation.step(slate[:, 0] if size == 1 else slate)
        if transition.reward.ndim != 1:
            raise ValueError(f"{self.task.name}: slateq needs a scalar reward, found shape {transition.reward.shape}")
        reward = transition.reward.float()
        picked = _picked(transition.response.feedback, self.task.name)
        self._replay.add(Step(seen, slate, picked, reward, transition.terminated, transition.truncated))
        self.steps += self.num_envs
        self._return = self._return + reward
        ended = transition.terminated | transition.truncated
        if bool(ended.any()):
            self._finished += self._return[ended].tolist()
            self._return = torch.where(ended, 0.0, self._return)
            simulation.reset_rows(ended)

    def _set_unit(self) -> None:
        for network in (self._network, self._label):
            network.unit.fill_(unit_of(self._replay, self.config))

    def _update(self) -> None:
        batch = self._replay.sample(self.config.batch_size, self._generator)
        found = losses(self._network, self._label, batch, self.config)
        self._optimiser.zero_grad(set_to_none=True)
        (found.value + found.choice).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self.config.max_grad_norm)
        self._optimiser.step()
        self.losses = Losses(found.value.detach(), found.choice.detach())
        self._updates += 1
        if self._updates % self.config.label_every == 0:
            self._label.load_state_dict(self._network.state_dict())

    def policy(self, serving: Optimiser | None = None) -> SlateQPolicy:
        """The policy as it is now; later learning does not change it.

        Args:
            serving: finds the slates; the settings' own if None.
        """
        network = copy.deepcopy(self._network).eval().requires_grad_(False)
        return SlateQPolicy(network, serving or self.config.serving, self.task.slate_size, self.config.epsilon)

    def _states(self) -> dict[str, dict[str, Any]]:
        return {
            "network": self._network.state_dict(),
            "label": self._label.state_dict(),
            "optimizer": self._optimiser.state_dict(),
        }

    def save(self, folder: Path) -> None:
        """Write a checkpoint of safetensors and JSON, the replay buffer included, all or nothing."""
        tensors, settings = pack_state(self._states())
        tensors["generator"] = self._generator.get_state()
        meta = {
            "algorithm": self.config.name,
            "config": asdict(self.config),
            "environment": {"name": self.task.name, "kwargs": self.env_kwargs},
            "signature": self._signature(),
            "num_envs": self.num_envs,
            "seed": self.seed,
            "steps": self.steps,
            "updates": self._updates,
            "optimizers": settings,
            "curve": self.curve.to_json(),
        }
        write_checkpoint(folder, Checkpoint(meta, tensors, self._replay.to_tensors()))

    @classmethod
    def load(cls, folder: Path, task: Task) -> "SlateQ":
        """Read an agent from a checkpoint, or from the folder that :meth:`learn` wrote it into.

        Raises:
            ValueError: there is no checkpoint, it is damaged, or it belongs to another agent or environment.
        """
        checkpoint = read_checkpoint(folder)
        meta = checkpoint.meta
        try:
            if meta["algorithm"] != SlateQConfig.name:
                raise ValueError(f"it holds an agent {meta['algorithm']!r}, not {SlateQConfig.name!r}")
            if meta["environment"]["name"] != task.name:
                raise ValueError(f"it was trained on {meta['environment']['name']}, not on {task.name}")
            agent = cls(_config(meta["config"]), task, meta["num_envs"], meta["seed"], meta["environment"]["kwargs"])
            agent._restore(checkpoint)
        except (KeyError, TypeError, RuntimeError, IndexError) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(f"{folder} is not a complete checkpoint: {what}") from error
        except ValueError as error:
            raise ValueError(f"{folder} cannot be used here: {error}") from error
        return agent

    def _restore(self, checkpoint: Checkpoint) -> None:
        meta, tensors = checkpoint.meta, checkpoint.tensors
        if meta["signature"] != self._signature():
            raise ValueError(f"its spaces are not those of {self.task.name}")
        states = unpack_state(tensors, meta["optimizers"], self._states())
        self._network.load_state_dict(states["network"])
        self._label.load_state_dict(states["label"])
        self._optimiser.load_state_dict(states["optimizer"])
        self._generator.set_state(tensors["generator"])
        self._replay.restore(checkpoint.replay)
        self.steps, self._updates = meta["steps"], meta["updates"]
        self.curve = LearningCurve.from_json(meta["curve"])
        # Sessions do not outlive the process; the new ones must not be those that the agent began with.
        self._begin(child_seed(self.seed, "users", self.steps))

    def _signature(self) -> dict[str, Any]:
        task = self.task
        space = task.observer.space(task.sizes)
        return {"observation": describe_space(space), "slate_size": task.slate_size, "items": task.sizes.num_items,
                "candidates": task.sizes.num_candidates}  # fmt: skip


def _picked(feedback: Float32[Tensor, "B K F"], name: str) -> Int64[Tensor, "B"]:
    """The position that each user gave any feedback; K for none.

    Raises:
        ValueError: a user gave feedback to several.
    """
    given: Bool[Tensor, "B K"] = (feedback != 0).any(-1)
    most = int(given.sum(1).max())
    if most > 1:
        raise ValueError(f"{name}: slateq needs users who pick at most one item of a slate, found {most} picked")
    return torch.where(given.any(1), given.int().argmax(1), given.shape[1])


def _config(value: Mapping[str, Any]) -> SlateQConfig:
    kinds = {"learning": Learning, "target": Optimiser, "serving": Optimiser, "null_item": NullItem}
    enums = {name: kind(value[name]) for name, kind in kinds.items()}
    return SlateQConfig(**{**value, **enums, "hidden": tuple(value["hidden"])})
