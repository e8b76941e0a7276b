"""Simulated users as environments: the tensor core, its Gymnasium and Stable-Baselines3 faces, and the tasks.

Names are imported when they are first used: registering the environments must not load torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recgym.envs.autoreset import AutoresetMode
    from recgym.envs.candidates import CandidateSource, FullCatalogue, SampledCandidates
    from recgym.envs.encoded import EncodedObservation, EncodedObserver, encoded_task
    from recgym.envs.levels import Level, RetentionLimits
    from recgym.envs.making import make_task
    from recgym.envs.observations import FlatObserver, HistoryObserver, Observer, StatefulObserver
    from recgym.envs.pool import PooledCandidates
    from recgym.envs.registration import register_environments, registered
    from recgym.envs.rewards import ChannelReward, Outcome, RetentionReward, RewardFn, SumReward, VectorReward
    from recgym.envs.sb3 import SB3VecEnv
    from recgym.envs.simulation import Simulation
    from recgym.envs.single import RecEnv
    from recgym.envs.task import Task
    from recgym.envs.transition import SimulationState, Transition
    from recgym.envs.uncertainty import CertainCandidates, PenalisedReward
    from recgym.envs.vector import RecVectorEnv

__all__ = [
    "Task", "Level", "RetentionLimits", "Simulation", "SimulationState", "Transition",
    "RecEnv", "RecVectorEnv", "SB3VecEnv", "AutoresetMode",
    "CandidateSource", "FullCatalogue", "SampledCandidates", "PooledCandidates", "CertainCandidates",
    "Observer", "FlatObserver", "HistoryObserver",
    "StatefulObserver", "EncodedObserver", "EncodedObservation", "encoded_task",
    "Outcome", "RewardFn", "ChannelReward", "RetentionReward", "SumReward", "VectorReward",
    "PenalisedReward",
    "register_environments", "registered", "make_task",
]  # fmt: skip

_HOME = {
    "task": ("Task",),
    "simulation": ("Simulation",),
    "transition": ("SimulationState", "Transition"),
    "single": ("RecEnv",),
    "vector": ("RecVectorEnv",),
    "sb3": ("SB3VecEnv",),
    "autoreset": ("AutoresetMode",),
    "candidates": ("CandidateSource", "FullCatalogue", "SampledCandidates"),
    "pool": ("PooledCandidates",),
    "observations": ("Observer", "FlatObserver", "HistoryObserver", "StatefulObserver"),
    "encoded": ("EncodedObserver", "EncodedObservation", "encoded_task"),
    "rewards": ("Outcome", "RewardFn", "ChannelReward", "RetentionReward", "SumReward", "VectorReward"),
    "uncertainty": ("CertainCandidates", "PenalisedReward"),
    "levels": ("Level", "RetentionLimits"),
    "making": ("make_task",),
    "registration": ("register_environments", "registered"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
