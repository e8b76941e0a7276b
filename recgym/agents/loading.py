"""Which agents there are, and how one is made or read from a checkpoint whatever its kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from recgym.agents.base import Policy
from recgym.agents.offline import OFFLINE_CONFIGS, OfflineAgent, check_served
from recgym.agents.online import HACConfig, OnlineAgent, OnlineConfig, RLURConfig
from recgym.agents.recurrent import RecurrentPPO, RecurrentPPOConfig
from recgym.agents.sb3 import CONFIGS as SB3_CONFIGS
from recgym.agents.sb3 import LearningCurve, SB3Agent
from recgym.agents.sb3.checkpoints import read_checkpoint
from recgym.agents.sb3.configs import AnyConfig as AnySB3Config
from recgym.agents.sim2rec import Sim2RecConfig
from recgym.agents.slateq import SlateQConfig
from recgym.envs.task import Task
from recgym.progress import Progress

__all__ = [
    "CONFIGS",
    "D3RLPY",
    "ONLINE_CONFIGS",
    "Agent",
    "AnyConfig",
    "Trained",
    "load_agent",
    "load_policy",
    "load_trained",
    "make_agent",
    "offline_configs",
]

D3RLPY = "d3rlpy-"
"""With this begin the names of the agents whose algorithms are d3rlpy's."""

AnyConfig: TypeAlias = AnySB3Config | RecurrentPPOConfig | Sim2RecConfig | SlateQConfig | HACConfig | RLURConfig

ONLINE_CONFIGS: dict[str, type[OnlineConfig]] = {
    config.name: config for config in (SlateQConfig, HACConfig, RLURConfig)
}
"""Those with a replay buffer of recgym's own."""

CONFIGS: dict[str, type[AnyConfig]] = {
    **SB3_CONFIGS,
    RecurrentPPOConfig.name: RecurrentPPOConfig,
    Sim2RecConfig.name: Sim2RecConfig,
    SlateQConfig.name: SlateQConfig,
    HACConfig.name: HACConfig,
    RLURConfig.name: RLURConfig,
}
"""The agents that learn online, by the names that the command line and checkpoints call them."""


@runtime_checkable
class Trained(Protocol):
    """What every agent offers, whether it learned online or from a log."""

    config: Any

    def policy(self) -> Policy[Any]:
        """The policy as it is now."""
        ...


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
        self,
        total_steps: int,
        *,
        folder: Path | str | None = None,
        checkpoint_every: int = ...,
        progress: Progress | None = None,
    ) -> LearningCurve:
        """Learn until ``total_steps`` user-steps in all; a folder gets checkpoints on the way."""
        ...

    def policy(self) -> Policy[Any]:
        """The policy as it is now."""
        ...

    def save(self, folder: Path | str) -> None:
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
    if isinstance(config, HACConfig | RLURConfig | SlateQConfig):
        _on_cpu(config.name, device)
        return OnlineAgent(config, task, num_envs, seed, env_kwargs)
    return SB3Agent(config, task, num_envs, seed, device, env_kwargs)


def load_agent(folder: Path | str, task: Task, device: str = "cpu") -> Agent:
    """Read an agent that learns online from a checkpoint, or from the folder of a training.

    Raises:
        ValueError: there is no checkpoint, it is damaged, or it belongs to another environment.
    """
    name = _name(folder)
    if name in OFFLINE_CONFIGS or name.startswith(D3RLPY):
        raise ValueError(f"{folder} holds a checkpoint of {name}, which learned from a log and cannot learn online")
    if name in (RecurrentPPOConfig.name, Sim2RecConfig.name):
        _on_cpu(name, device)
        return RecurrentPPO.load(folder, task)
    if name in ONLINE_CONFIGS:
        _on_cpu(name, device)
        return OnlineAgent.load(folder, task, ONLINE_CONFIGS)
    return SB3Agent.load(folder, task, device)


def load_trained(folder: Path | str, task: Task, device: str = "cpu") -> Trained:
    """Read any agent that can serve a task, whether it learned online or from a log.

    Raises:
        ValueError: there is no checkpoint, it is damaged, or it does not suit the task.
    """
    name = _name(folder)
    if name in OFFLINE_CONFIGS or name.startswith(D3RLPY):
        agent = OfflineAgent.load(folder, offline_configs(name))
        check_served(agent.problem, task)
        return agent
    return load_agent(folder, task, device)


def load_policy(folder: Path | str) -> Policy[Any]:
    """The policy of an agent that learned from a log, ready to serve: ``policy.act(observation, state, generator)``.

    Raises:
        ValueError: there is no checkpoint, it is damaged, or it is of an agent that learned on an environment, which
            :func:`load_agent` reads.
    """
    return OfflineAgent.load(folder, offline_configs(_name(folder))).policy()


def offline_configs(name: str) -> dict[str, type[Any]]:
    """Settings of the agents that learn from logs; those of d3rlpy, which is an extra, where the name asks for one."""
    if not name.startswith(D3RLPY):
        return dict(OFFLINE_CONFIGS)
    from recgym.agents.d3rlpy import D3RLPY_CONFIGS

    return {**OFFLINE_CONFIGS, **D3RLPY_CONFIGS}


def _name(folder: Path | str) -> str:
    """What the checkpoint in a folder calls its algorithm."""
    return str(read_checkpoint(folder).meta.get("algorithm"))


def _on_cpu(name: str, device: str) -> None:
    if device != "cpu":
        raise ValueError(f"{name} runs on the CPU only, found device {device!r}")
