"""``recgym/Retention-v0``."""

from typing import Literal

from recgym.envs.candidates import SampledCandidates
from recgym.envs.levels import Level, RetentionLimits
from recgym.envs.observations import HistoryObserver
from recgym.envs.rewards import ChannelReward, RetentionReward, RewardFn, SumReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.retention import Retention, RetentionConfig

__all__ = ["task"]


def task(
    slate_size: int = 1,
    num_candidates: int = 10,
    level: Level = "retention",
    click_weight: float = 0.0,
    retention: RetentionLimits | None = None,
    config: RetentionConfig | None = None,
    window: int = 20,
    action: Literal["items", "preference"] = "items",
) -> Task:
    """Bring users back: twenty sessions over weeks, and the reward is minus the days between them.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1), or a preference
    vector, ``Box(-1, 1)``, one number an item feature. Observation: a dictionary, see
    :class:`recgym.envs.HistoryObserver`, with ``progress``; the profile is the user's stated interests in 8 topics, the
    feedback is the click, an item's features are its topic and its glitter. Reward: at the end of each session, minus
    the days until the next one, -30 for longer or never; 0 at other steps. What is clicked most is not what brings
    users back. The episode ends (``terminated``) when the user stays away for more than 30 days, and is cut
    (``truncated``) after 20 sessions. A limit in days would make the sum of days away the same for every policy.
    Dynamics: :class:`recgym.simulators.Retention`.

    With ``level="session"`` or ``"request"`` an episode is one session or one slate, and the reward is the clicks.

    Args:
        slate_size: K.
        num_candidates: M, items on offer at each step.
        level: see above.
        click_weight: weight of the clicks beside the days away.
        retention: when an episode of several sessions ends.
        config: of the users.
        window: T, events that the history keeps.
        action: ``"items"`` or ``"preference"``.

    Version history: v0, first version.
    """
    model = Retention(config)
    reward: RewardFn = ChannelReward(model.schema, {"click": 1.0})
    if level == "retention":
        reward = SumReward(((RetentionReward(), 1.0), (reward, click_weight))) if click_weight else RetentionReward()
    return Task(
        model,
        reward,
        HistoryObserver(progress=level == "retention"),
        slate_size=slate_size,
        candidates=SampledCandidates(num_candidates),
        level=level,
        retention=retention or RetentionLimits(max_sessions=20),
        window=max(window, slate_size),
        action=action,
        name="recgym/Retention-v0",
    )


env, vector_env = faces(task)
