"""Which agents there are, and how one is made or read from a checkpoint whatever its kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from recgym.agents.base import Policy
from recgym.agents.recurrent import RecurrentPPO, RecurrentPPOConfig
from recgym.agents.sb3 import CONFIGS as SB3_CONFIGS
from recgym.agents.sb3 import LearningCurve, SB3Agent
from recgym.agents.sb3.checkpoints import read_checkpoint
from recgym.agents.sb3.configs import AnyConfig as AnySB3Config
from recgym.agents.sim2rec import Sim2RecConfig
from recgym.agents.slateq import SlateQ, SlateQConfig
from recgym.envs.task import Task

__all__ = ["CONFIGS", "Agent", "AnyConfig", "load_agent", "make_agent"]

AnyConfig: TypeAlias = AnySB3Config | RecurrentPPOConfig | Sim2RecConfig | SlateQConfig

CONFIGS: dict[str, type[AnyConfig]] = {
    **SB3_CONFIGS,
    RecurrentPPOConfig.name: RecurrentPPOConfig,
    Sim2RecConfig.name: Sim2RecConfig,
    SlateQConfig.name: SlateQConfig,
}
"""The agents that learn online, by the names that the command line and checkpoints call them."""


@runtime_checkable
class Agent(Protocol):
    """What every agent that learns online offers."""

    config: Any
    num_envs: int
    seed: int
    env_kwargs: dict[str, Any]
    curve: LearningCurve

    @property
    def steps(self) -> int:
        """User-steps learned from so far."""
        ...

    def learn(
        self, total_steps: int, *, folder: Path | None = None, checkpoint_every: int = ..., progress: bool = False
    ) -> LearningCurve:
        """Learn until ``total_steps`` user-steps in all; a folder gets checkpoints on the way."""
        ...

    def policy(self) -> Policy[Any]:
        """The policy as it is now."""
        ...

    def save(self, folder: Path) -> None:
        """Write a checkpoint, all or nothing."""
        ...


def make_agent(
    config: AnyConfig,
    task: Task,
    num_envs: int = 256,
    seed: int = 0,
    device: str = "cpu",
    env_kwargs: Mapping[str, Any] | None = None,
) -> Agent:
    """A new agent; which one follows from the type of its settings.

    Raises:
        ValueError: the agent cannot learn the task, or not on this device.
    """
    if isinstance(config, RecurrentPPOConfig | Sim2RecConfig):
        _on_cpu(config.name, device)
        return RecurrentPPO(config, task, num_envs, seed, env_kwargs)
    if isinstance(config, SlateQConfig):
        _on_cpu(config.name, device)
        return SlateQ(config, task, num_envs, seed, env_kwargs)
    return SB3Agent(config, task, num_envs, seed, device, env_kwargs)


def load_agent(folder: Path, task: Task, device: str = "cpu") -> Agent:
    """Read an agent of any kind from a checkpoint, or from the folder of a training.

    Raises:
        ValueError: there is no checkpoint, it is damaged, or it belongs to another environment.
    """
    name = read_checkpoint(folder).meta.get("algorithm")
    if name in (RecurrentPPOConfig.name, Sim2RecConfig.name):
        _on_cpu(name, device)
        return RecurrentPPO.load(folder, task)
    if name == SlateQConfig.name:
        _on_cpu(name, device)
        return SlateQ.load(folder, task)
    return SB3Agent.load(folder, task, device)


def _on_cpu(name: str, device: str) -> None:
    if device != "cpu":
        raise ValueError(f"{name} runs on the CPU only, found device {device!r}")
