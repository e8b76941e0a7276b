"""Running scales of observations, as they were when a policy was taken from its learner."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float32
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import Tensor

__all__ = ["Normalizer", "normalized", "observation_statistics"]

_PROFILE = "profile"


def normalized(env: VecEnv, observations: bool, rewards: bool, gamma: float) -> VecNormalize:
    """The environment with running scales: of flat observations or of the profile, and of rewards, as asked for.

    Stable-Baselines3 clips what it has scaled to [-10, 10]: observations, and rewards too. A reward of more than ten
    running deviations of the discounted return counts as ten in learning; returns in curves are of unscaled rewards.
    """
    if isinstance(env.observation_space, spaces.Dict):
        observations = observations and _PROFILE in env.observation_space.spaces
        keys = [_PROFILE] if observations else None
        return VecNormalize(env, norm_obs=observations, norm_reward=rewards, gamma=gamma, norm_obs_keys=keys)
    return VecNormalize(env, norm_obs=observations, norm_reward=rewards, gamma=gamma)


def observation_statistics(env: VecNormalize) -> RunningMeanStd | None:
    """The running statistics of what is scaled in an observation; None if nothing is."""
    if not env.norm_obs:
        return None
    statistics: Any = env.obs_rms
    return statistics[_PROFILE] if isinstance(statistics, dict) else statistics  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Normalizer:
    """``clip((x - mean) / deviation)`` of a flat observation, or of the profile in a dictionary.

    Attributes:
        mean: what is subtracted.
        deviation: what is divided by.
        bound: of the clip.
    """

    mean: Float32[Tensor, "P"]
    deviation: Float32[Tensor, "P"]
    bound: float

    @classmethod
    def of(cls, env: VecNormalize, device: str) -> "Normalizer | None":
        """A copy of the running scales; None if observations are not scaled."""
        statistics = observation_statistics(env)
        if statistics is None:
            return None
        deviation = np.sqrt(statistics.var + env.epsilon)
        mean, spread = (torch.as_tensor(v, dtype=torch.float32, device=device) for v in (statistics.mean, deviation))
        return cls(mean, spread, float(env.clip_obs))

    def __call__(self, observation: Any) -> Any:
        """The scaled observation."""
        if isinstance(observation, dict):
            return {**observation, _PROFILE: self._scale(observation[_PROFILE])}
        return self._scale(observation)

    def _scale(self, values: Tensor) -> Tensor:
        return ((values - self.mean) / self.deviation).clamp(-self.bound, self.bound)
