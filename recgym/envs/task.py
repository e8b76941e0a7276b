"""A task: simulated users, what may be shown to them, what it is worth and what the agent sees of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from recgym.envs.candidates import CandidateSource, FullCatalogue
from recgym.envs.levels import Level, RetentionLimits
from recgym.envs.observations import HistoryObserver, Observer, Sizes
from recgym.envs.rewards import RewardFn
from recgym.simulators.base import UserModel

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """Everything that defines an environment, except how many users there are, where they live and the seed.

    Attributes:
        model: the simulated users.
        reward: what a step is worth.
        observer: what the agent sees.
        slate_size: K.
        candidates: which items may be chosen.
        action: ``"items"`` (a candidate index, or K of them in order) or ``"preference"`` (a vector that ranks the
            candidates by dot product with their item features).
        level: what an episode is. ``"request"``: one slate, and the episode is ``terminated``. ``"session"``: until the
            model's ``has_left``. ``"retention"``: several sessions; the clock moves on by the model's ``return_gap``
            between them, the history goes on, and the episode is ``terminated`` when the user does not come back.
        retention: when an episode of several sessions ends; looked at on the level ``"retention"`` only.
        horizon: steps after which an episode is truncated, whatever its sessions; None for none.
        window: T, events that the history keeps; at least K.
        costs: named quantities that a constrained agent must keep in bounds, reported in ``info["costs"]``.
        mask_consumed: whether items in the visible history are masked: ``info["action_mask"]`` and ``action_masks()``
            say so, and agents of recgym and the oracle keep to it. The environment shows what it is told to show.
        name: for messages and checkpoints.
    """

    model: UserModel[Any]
    reward: RewardFn
    observer: Observer = field(default_factory=HistoryObserver)
    slate_size: int = 1
    candidates: CandidateSource = field(default_factory=FullCatalogue)
    action: Literal["items", "preference"] = "items"
    level: Level = "session"
    retention: RetentionLimits = field(default_factory=RetentionLimits)
    horizon: int | None = None
    window: int = 20
    costs: Mapping[str, RewardFn] = field(default_factory=dict)
    mask_consumed: bool = False
    name: str = "task"

    def __post_init__(self) -> None:
        m = self.num_candidates
        if not 1 <= self.slate_size <= m:
            raise ValueError(f"{self.name}: slate_size must be in 1..{m} (the candidates), found {self.slate_size}")
        if self.window < self.slate_size:
            raise ValueError(
                f"{self.name}: window must be at least the slate size {self.slate_size}, found {self.window}"
            )
        if self.horizon is not None and self.horizon < 1:
            raise ValueError(f"{self.name}: horizon must be at least 1 step, found {self.horizon}")
        if self.level not in get_args(Level):
            raise ValueError(f"{self.name}: level must be one of {', '.join(get_args(Level))}, found {self.level!r}")
        if self.action not in ("items", "preference"):
            raise ValueError(f"{self.name}: action must be 'items' or 'preference', found {self.action!r}")

    @cached_property
    def num_candidates(self) -> int:
        """M; kept, because every check of an action asks for it."""
        return self.candidates.size(self.model.num_items)

    @property
    def sizes(self) -> Sizes:
        """The sizes that the observation space depends on."""
        model = self.model
        return Sizes(
            model.num_items, self.num_candidates, self.window, len(model.schema), model.profile_size,
            int(model.item_features.shape[1]), not isinstance(self.candidates, FullCatalogue),
        )  # fmt: skip
