"""The reinforcement-learning gym for sequential recommendation; importing it registers the environments.

The names below are imported when they are first used, so that ``import recgym`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from recgym.envs.registration import register_environments

if TYPE_CHECKING:
    from recgym.agents import PPOConfig, RandomPolicy, SB3Agent
    from recgym.data import FeedbackSchema, InteractionLog, read_log
    from recgym.envs import RecVectorEnv, SB3VecEnv, Simulation, Task
    from recgym.evaluation import rollout
    from recgym.simulators import UserModel

__all__ = [
    "InteractionLog", "FeedbackSchema", "read_log",
    "UserModel", "Task", "Simulation", "RecVectorEnv", "SB3VecEnv",
    "RandomPolicy", "SB3Agent", "PPOConfig",
    "rollout",
]  # fmt: skip

_MODULE_OF = {
    **dict.fromkeys(("InteractionLog", "FeedbackSchema", "read_log"), "data"),
    **dict.fromkeys(("Task", "Simulation", "RecVectorEnv", "SB3VecEnv"), "envs"),
    **dict.fromkeys(("RandomPolicy", "SB3Agent", "PPOConfig"), "agents"),
    "UserModel": "simulators",
    "rollout": "evaluation",
}

register_environments()


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
