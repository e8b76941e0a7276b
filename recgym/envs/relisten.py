"""``recgym/Relisten-v0``."""

from collections.abc import Mapping
from pathlib import Path

from recgym.envs.candidates import CandidateSource, FullCatalogue, SampledCandidates
from recgym.envs.levels import Level, RetentionLimits
from recgym.envs.observations import HistoryObserver
from recgym.envs.rewards import ChannelReward, RetentionReward, RewardFn, SumReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.actr import ACTRConfig, ACTRUsers, ACTRWorld

__all__ = ["LISTENING_REWARD", "task"]

LISTENING_REWARD: Mapping[str, float] = {"listen": 1.0, "relisten": 1.0}
"""A listen is worth 1; of something that the user comes back to, 2."""


def task(
    slate_size: int = 1,
    num_candidates: int | None = 20,
    level: Level = "session",
    reward: Mapping[str, float] | None = None,
    retention: RetentionLimits | None = None,
    retention_weight: float = 1.0,
    world: ACTRWorld | Path | str | None = None,
    config: ACTRConfig | None = None,
    window: int = 50,
) -> Task:
    """A player whose users like to hear again what they know, as human memory has it, and tire of what they just had.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1). Observation: a
    dictionary, see :class:`recgym.envs.HistoryObserver`; an episode starts with a record of up to 50 listens. The
    feedback of the history is the listen, and whether the item was known from an earlier session; an item's features
    are its embedding and its scaled log-popularity. Reward: listens, and once more those to known items. What was heard
    most and lately comes to mind best, but each listen tires of the item for some days, so that the same few favourites
    wear out; new items must become known first.

    An episode is one slate (``level="request"``), one session (``"session"``: ``terminated`` after the steps that the
    user has time for, each step without a listen counting for more), or up to 10 sessions (``"retention"``:
    ``terminated`` when the user stays away for more than 30 days, ``truncated`` after 10 sessions; the reward then also
    counts each day away as -1, 30 days for never; the observation has ``progress``).
    Dynamics: :class:`recgym.simulators.actr.ACTRUsers`.

    Args:
        slate_size: K.
        num_candidates: M, items on offer at each step, drawn from the catalogue; None offers all of it.
        level: see above.
        reward: channel name to weight.
        retention: when an episode of several sessions ends.
        retention_weight: weight of the days away, on the level of retention.
        world: users fitted to a log (:func:`recgym.simulators.actr.fit_actr`), or the folder they were saved to.
        config: of users made up by hand, if there is no world.
        window: T, events that the history keeps.

    Raises:
        ValueError: both a world and a config are given, or the folder does not hold a world.

    Version history: v0, first version.
    """
    if world is not None and config is not None:
        raise ValueError("a world and a config of a made-up one are given; expected one of them")
    if isinstance(world, Path | str):
        model = ACTRUsers.load(world)
    else:
        model = ACTRUsers.of_config(config or ACTRConfig()) if world is None else ACTRUsers(world)
    total: RewardFn = ChannelReward(model.schema, LISTENING_REWARD if reward is None else reward)
    if level == "retention":
        total = SumReward(((total, 1.0), (RetentionReward(), retention_weight)))
    candidates: CandidateSource = FullCatalogue() if num_candidates is None else SampledCandidates(num_candidates)
    return Task(
        model,
        total,
        HistoryObserver(progress=level == "retention"),
        slate_size=slate_size,
        candidates=candidates,
        level=level,
        retention=retention or RetentionLimits(max_sessions=10),
        window=max(window, slate_size),
        name="recgym/Relisten-v0",
    )


env, vector_env = faces(task)
