"""``recgym/InterestExploration-v0``."""

from recgym.envs.candidates import SampledCandidates
from recgym.envs.levels import Level
from recgym.envs.rewards import ChannelReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.interest_exploration import InterestExploration, InterestExplorationConfig

__all__ = ["task"]


def task(
    num_candidates: int = 10,
    slate_size: int = 2,
    horizon: int = 100,
    config: InterestExplorationConfig | None = None,
    window: int = 20,
    level: Level = "session",
) -> Task:
    """RecSim's interest exploration: who likes what must be tried out, as the best guess for all is wrong for many.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1). Observation: a
    dictionary, see :class:`recgym.envs.HistoryObserver`, without a profile; an item's features are its topic (2
    columns, one of them 1) and its quality. Reward: clicks, at most one a slate. Users never leave: the episode is cut
    (``truncated``) at the horizon. Dynamics: :class:`recgym.simulators.InterestExploration`.

    Args:
        num_candidates: M, documents on offer at each step.
        slate_size: K.
        horizon: steps of an episode.
        config: of users and documents.
        window: T, events that the history keeps; only clicked documents enter it.
        level: ``"request"`` ends the episode after one slate; no session ends, so ``"retention"`` is ``"session"``.

    Version history: v0, first version.
    """
    model = InterestExploration(config)
    return Task(
        model,
        ChannelReward(model.schema, {"click": 1.0}),
        slate_size=slate_size,
        candidates=SampledCandidates(num_candidates),
        level=level,
        horizon=horizon,
        window=max(window, slate_size),
        name="recgym/InterestExploration-v0",
    )


env, vector_env = faces(task)
