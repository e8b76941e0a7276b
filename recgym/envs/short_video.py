"""``recgym/ShortVideo-v0``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from recgym.envs.candidates import SampledCandidates
from recgym.envs.levels import Level, RetentionLimits
from recgym.envs.observations import HistoryObserver
from recgym.envs.rewards import ChannelReward, RetentionReward, RewardFn, SumReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.short_video import ShortVideo, ShortVideoConfig

__all__ = ["FEEDBACK_REWARD", "task"]

FEEDBACK_REWARD: Mapping[str, float] = {
    "long_view": 1.0, "like": 1.0, "comment": 1.0, "forward": 1.0, "follow": 1.0, "hate": -1.0,
}  # fmt: skip
"""Every reaction counts alike, as in KuaiSim (arXiv 2309.12645)."""


def task(
    slate_size: int = 1,
    num_candidates: int = 20,
    level: Level = "session",
    reward: Mapping[str, float] | None = None,
    retention: RetentionLimits | None = None,
    retention_weight: float = 1.0,
    patience: float | Sequence[float] | None = None,
    clickbait_pull: float | Sequence[float] | None = None,
    config: ShortVideoConfig | None = None,
    window: int = 30,
    mask_consumed: bool = False,
    action: Literal["items", "preference"] = "items",
) -> Task:
    """A feed of short videos whose users watch, react, tire of topics, leave, and come back or not.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1, a feed that shows
    one video at a time), or a preference vector, ``Box(-1, 1)``, one number an item feature. Observation: a dictionary,
    see :class:`recgym.envs.HistoryObserver`; the profile is the user's stated interests in 10 topics, the feedback of
    the history is watch time in seconds and then six channels of 0 or 1: long view, like, comment, forward (share),
    follow and hate; an item's features are its topic mix, the logarithm of its length relative to the median, and its
    glare. Reward: long views and reactions, hate negative. What maximises watch time (long videos and clickbait) is not
    what is liked: it wears out the user's patience and satisfaction.

    An episode is one slate (``level="request"``), one session (``"session"``: ``terminated`` when the user's patience
    is used up), or up to 10 sessions (``"retention"``: ``terminated`` when the user stays away for more than 30 days,
    ``truncated`` after 10 sessions; the reward then also counts each day away as -1, 30 days for never; the observation
    has ``progress``). Dynamics: :class:`recgym.simulators.ShortVideo`.

    Args:
        slate_size: K.
        num_candidates: M, videos on offer at each step.
        level: see above.
        reward: channel name to weight.
        retention: when an episode of several sessions ends.
        retention_weight: weight of the days away, on the level of retention.
        patience: unsatisfying videos that users bear in a session; one value, or one for each user.
        clickbait_pull: how strongly clickbait holds users; one value, or one for each user. Users with the same values
            form a group (``info["group"]``) in a world of its own.
        config: every parameter of users and videos; the two above replace those in it.
        window: T, events that the history keeps.
        mask_consumed: whether items in the visible history are masked.
        action: ``"items"`` or ``"preference"``.

    Version history: v0, first version.
    """
    worlds = {"patience": patience, "clickbait_pull": clickbait_pull}
    given: dict[str, Any] = {
        name: value if isinstance(value, int | float) else tuple(float(x) for x in value)
        for name, value in worlds.items()
        if value is not None
    }
    model = ShortVideo(replace(config or ShortVideoConfig(), **given))
    total: RewardFn = ChannelReward(model.schema, FEEDBACK_REWARD if reward is None else reward)
    if level == "retention":
        total = SumReward(((total, 1.0), (RetentionReward(), retention_weight)))
    return Task(
        model,
        total,
        HistoryObserver(progress=level == "retention"),
        slate_size=slate_size,
        candidates=SampledCandidates(num_candidates),
        level=level,
        retention=retention or RetentionLimits(max_sessions=10),
        window=max(window, slate_size),
        mask_consumed=mask_consumed,
        action=action,
        name="recgym/ShortVideo-v0",
    )


env, vector_env = faces(task)
