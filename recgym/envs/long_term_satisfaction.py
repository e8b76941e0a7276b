"""``recgym/LongTermSatisfaction-v0`` and ``recgym/LongTermSatisfactionRecSim-v0``."""

from collections.abc import Sequence

import numpy as np

from recgym.envs.candidates import SampledCandidates
from recgym.envs.levels import Level
from recgym.envs.observations import FlatObserver
from recgym.envs.rewards import ChannelReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.long_term_satisfaction import LongTermSatisfaction, LongTermSatisfactionConfig

__all__ = ["recsim_task", "task"]


def task(choc: float | Sequence[float] = 14.0, level: Level = "session") -> Task:
    """Sim2Rec's long-term satisfaction task.

    Action: the clickbait level, ``Discrete(30)``; action i shows the item of level i / 30. Observation, ``Box(4)``: the
    group signal gp ~ N(choc, 3), the last clickbait level, the last engagement (both 0 after reset), the fraction of
    the horizon left. Reward: the engagement. The episode ends (``terminated``) after 140 steps.
    Dynamics: :class:`recgym.simulators.LongTermSatisfaction`.

    Args:
        choc: mean engagement with pure clickbait; one value, or one for each user.
        level: ``"request"`` ends the episode after one step; users never come back, so ``"retention"`` is
            ``"session"``.

    Version history: v0, first version.
    """
    values = np.atleast_1d(np.asarray(choc, dtype=np.float64))
    config = LongTermSatisfactionConfig(choc=float(values[0]) if values.size == 1 else tuple(values.tolist()))
    return _task(LongTermSatisfaction(config), "recgym/LongTermSatisfaction-v0", level)


def recsim_task(
    num_candidates: int = 10, num_documents: int = 1000, catalogue_seed: int = 0, level: Level = "session"
) -> Task:
    """RecSim's long-term satisfaction task with RecSim's defaults: 60 steps, choc 5, kale 4, equal users.

    Action: the index of a candidate. Observation: as in :func:`task`; candidates' clickbait levels are their
    features. Reward: the engagement, log-normal.

    Args:
        num_candidates: documents on offer at each step.
        num_documents: size of the catalogue.
        catalogue_seed: seed of the catalogue's clickbait levels.
        level: as in :func:`task`.

    Version history: v0, first version.
    """
    config = LongTermSatisfactionConfig.recsim(num_documents, catalogue_seed)
    return _task(
        LongTermSatisfaction(config), "recgym/LongTermSatisfactionRecSim-v0", level, SampledCandidates(num_candidates)
    )


def _task(model: LongTermSatisfaction, name: str, level: Level, candidates: SampledCandidates | None = None) -> Task:
    reward = ChannelReward(model.schema, {"engagement": 1.0})
    if candidates is None:
        return Task(model, reward, FlatObserver(model.config.horizon), window=1, level=level, name=name)
    return Task(model, reward, candidates=candidates, level=level, name=name)


env, vector_env = faces(task)
recsim_env, recsim_vector_env = faces(recsim_task)
