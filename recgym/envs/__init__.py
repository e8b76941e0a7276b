"""Simulated users as environments: the tensor core, its Gymnasium and Stable-Baselines3 faces, and the tasks."""

from recgym.envs.autoreset import AutoresetMode
from recgym.envs.candidates import CandidateSource, FullCatalogue, SampledCandidates
from recgym.envs.observations import FlatObserver, HistoryObserver, Observer
from recgym.envs.registration import register_environments, registered
from recgym.envs.rewards import ChannelReward, Outcome, RewardFn, VectorReward
from recgym.envs.sb3 import SB3VecEnv
from recgym.envs.simulation import Simulation, SimulationState, Transition
from recgym.envs.single import RecEnv
from recgym.envs.task import Task
from recgym.envs.vector import RecVectorEnv

__all__ = [
    "Task", "Simulation", "SimulationState", "Transition",
    "RecEnv", "RecVectorEnv", "SB3VecEnv", "AutoresetMode",
    "CandidateSource", "FullCatalogue", "SampledCandidates",
    "Observer", "FlatObserver", "HistoryObserver",
    "Outcome", "RewardFn", "ChannelReward", "VectorReward",
    "register_environments", "registered",
]  # fmt: skip
