"""Bandits as policies: they serve users of an environment, and learn from each answer before the next choice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.agents.bandits.base import Bandit, BanditSpec, Choice, Context, SlateBandit, act, act_slate
from recgym.arrays import from_numpy, to_numpy
from recgym.envs.candidates import FullCatalogue
from recgym.envs.task import Task
from recgym.types import Array, Decision, Generator

__all__ = ["BanditPolicy", "Pending"]

_NOW_S = 1e-6


class Pending(NamedTuple):
    """What was shown and is not yet learned from; one row a user.

    Attributes:
        slate: item ids that were shown.
        action: arms that were chosen.
        user: features of the user then.
        items: features of the arms then; width 0 where they do not count.
        allowed: arms on offer then; width 0 where all were.
        waits: whether there is anything to learn; False at the start of an episode.
    """

    slate: Int64[Array, "B K"]
    action: Int64[Array, "B K"]
    user: Float32[Array, "B d"]
    items: Float32[Array, "B A k"]
    allowed: Bool[Array, "B A_or_0"]
    waits: Bool[Array, "B"]


@dataclass
class BanditPolicy:
    """A bandit behind the face of :class:`recgym.agents.base.Policy`; it changes as it serves.

    Arms are the items of the catalogue, of which each user is offered the candidates. The user's features are the
    profile and a constant. The features of an arm are those of the item, the same times the user's profile (all
    products), and a constant: what bandits with shared weights learn. The answer to a slate is read from the history
    that the next observation shows: the events that carry its time. So observations must be those of
    :class:`recgym.envs.HistoryObserver`, in tasks of one session without visits between steps; an episode's last answer
    is not learned.

    With ``apart`` False, all users teach one learner, which goes on learning from episode to episode. With ``apart``
    True, each row has a learner of its own, as in replications of an experiment, and :meth:`init_state` begins anew.

    Attributes:
        bandit: of one item, or of slates.
        task: what is served.
        reward: feedback channel to weight; the sum is what the bandit learns from.
        apart: whether each row has a learner of its own.
        matched: a channel that is 1 where an answer means anything, as in replay; None if every answer does.
        propensities: whether each choice comes with its probability, which off-policy evaluation needs and which takes
            Thompson sampling many times as long as the choice; NaN stands for it otherwise.
        learned: what the bandit knows.
    """

    bandit: Bandit[Any] | SlateBandit[Any]
    task: Task
    reward: Mapping[str, float]
    apart: bool = False
    matched: str | None = None
    propensities: bool = True
    learned: Any = field(default=None, init=False)

    def __post_init__(self) -> None:
        schema, task = self.task.model.schema, self.task
        self._weights = np.zeros(len(schema))
        for name, weight in self.reward.items():
            self._weights[schema.index(name)] = weight
        self._matched = None if self.matched is None else schema.index(self.matched)
        size = 1 if isinstance(self.bandit, Bandit) else self.bandit.slate_size
        if task.action != "items" or task.slate_size != size:
            raise ValueError(
                f"{task.name}: the bandit chooses slates of {size} items, the task wants {task.action} of "
                f"{task.slate_size}"
            )
        if task.level == "retention":
            raise ValueError(f"{task.name}: a bandit cannot tell answers apart from session to session")
        features = to_numpy(task.model.item_features)
        # The one-hot features of items without any say nothing that the id does not.
        bare = features.shape[0] == features.shape[1] and bool((features == np.eye(len(features))).all())
        self._items = features[:, :0] if bare else features
        self._full = isinstance(task.candidates, FullCatalogue)

    @property
    def spec(self) -> BanditSpec:
        """The sizes of the problem, for one replication."""
        profile, item = self.task.model.profile_size, self._items.shape[1]
        return BanditSpec(self.task.model.num_items, profile + 1, item * (profile + 1) + 1)

    def init_state(self, users: int, device: str) -> Pending:
        """See :class:`recgym.agents.base.Policy`."""
        if self.apart:
            self.learned = self.bandit.init_state(self.spec._replace(replications=users))
        elif self.learned is None:
            self.learned = self.bandit.init_state(self.spec)
        spec, k = self.spec, self.task.slate_size
        slate = np.zeros((users, k), np.int64)
        parts = Pending(
            slate, slate.copy(), np.zeros((users, spec.width), np.float32),
            np.zeros((users, spec.arms, self._item_width), np.float32),
            np.zeros((users, 0 if self._full else spec.arms), bool), np.zeros(users, bool),
        )  # fmt: skip
        return Pending(*(from_numpy(part, device) for part in parts))

    @property
    def _item_width(self) -> int:
        """0 if the bandit does not look at the arms' features, which are then not made."""
        return self.spec.item_width if self._items.shape[1] else 0

    def act(
        self, observation: Any, state: Pending, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, Pending]:
        """See :class:`recgym.agents.base.Policy`. Learns first; a greedy choice is a draw like any other."""
        seen = {name: to_numpy(value) for name, value in observation.items()}
        pending = Pending(*(to_numpy(part) for part in state))
        self._learn(seen, pending)
        user, items, allowed = self._features(seen)
        own = generator if isinstance(generator, np.random.Generator) else _numpy_generator(generator)
        choice = self._choose(self._context(user, items, allowed), own)
        action = self._rows(choice.action).reshape(len(user), -1)
        device = "numpy" if isinstance(generator, np.random.Generator) else str(generator.device)
        waits = np.ones(len(user), bool)
        after = Pending(*(from_numpy(part, device) for part in (action, action, user, items, allowed, waits)))
        index = action if self._full else (seen["candidates"][:, None] == action[..., None]).argmax(-1)
        index = index[:, 0] if self.task.slate_size == 1 else index
        log_propensity = self._rows(choice.log_propensity).astype(np.float32)
        return Decision(from_numpy(index, device), from_numpy(log_propensity, device)), after

    def _rows(self, array: np.ndarray) -> np.ndarray:
        """From ``[R, U, ...]`` to one row a user."""
        return array[:, 0] if self.apart else array[0]

    def _lead(self, array: np.ndarray) -> np.ndarray:
        """From one row a user to ``[R, U, ...]``."""
        return array[:, None] if self.apart else array[None]

    def _choose(self, context: Context, generator: np.random.Generator) -> Choice:
        if not self.propensities:
            action = self.bandit.choose(self.learned, context, generator)
            return Choice(action, np.full(action.shape[:2], np.nan))
        if isinstance(self.bandit, Bandit):
            return act(self.bandit, self.learned, context, generator)
        return act_slate(self.bandit, self.learned, context, generator)

    def _features(
        self, seen: Mapping[str, np.ndarray]
    ) -> tuple[Float32[np.ndarray, "B d"], Float32[np.ndarray, "B A k"], Bool[np.ndarray, "B A_or_0"]]:
        """The user's features, the arms' and which arms are on offer."""
        rows = len(seen["history_items"])
        one = np.ones((rows, 1), np.float32)
        user = np.concatenate([seen["profile"], one], 1) if "profile" in seen else one
        arms = len(self._items)
        items = np.zeros((rows, arms, 0), np.float32)
        if self._item_width:
            crossed = (user[:, None, :, None] * self._items[None, :, None]).reshape(rows, arms, -1)
            items = np.concatenate([crossed, np.ones((rows, arms, 1), np.float32)], -1)
        allowed = np.zeros((rows, 0 if self._full else arms), bool)
        if not self._full:
            np.put_along_axis(allowed, seen["candidates"], True, 1)
        return user, items, allowed

    def _context(self, user: np.ndarray, items: np.ndarray, allowed: np.ndarray) -> Context:
        return Context(
            self._lead(user.astype(np.float64)),
            self._lead(items.astype(np.float64)) if self._item_width else None,
            self._lead(allowed) if allowed.shape[1] else None,
        )

    def _learn(self, seen: Mapping[str, np.ndarray], pending: Pending) -> None:
        """From the answers to what was shown last."""
        if not pending.waits.any():
            return
        feedback = _answers(seen, pending.slate)
        reward: Float64[np.ndarray, "B K"] = feedback @ self._weights
        mask = pending.waits if self._matched is None else pending.waits & (feedback[..., self._matched] > 0).any(1)
        context = self._context(pending.user, pending.items, pending.allowed)
        action = pending.action
        if isinstance(self.bandit, Bandit):
            action, reward = action[:, 0], reward[:, 0]
        self.learned = self.bandit.update(
            self.learned, context, self._lead(action), self._lead(reward), self._lead(mask)
        )


def _answers(seen: Mapping[str, np.ndarray], slate: np.ndarray) -> Float64[np.ndarray, "B K F"]:
    """The feedback on each item of the last slate: that of the events that happened just now."""
    now = (seen["history_gap_s"] <= _NOW_S) & (seen["history_feedback"] != 0).any(-1)
    same = (seen["history_items"][:, None] == slate[:, :, None]) & now[:, None]
    newest = same.shape[2] - 1 - same[:, :, ::-1].argmax(-1)
    found = np.take_along_axis(seen["history_feedback"][:, None], newest[..., None, None], 2)[:, :, 0]
    answers: np.ndarray = np.where(same.any(-1)[..., None], found, 0.0).astype(np.float64)
    return answers


def _numpy_generator(generator: Any) -> np.random.Generator:
    """A numpy generator whose draws follow from a torch generator's."""
    import torch

    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    return np.random.Generator(np.random.SFC64(int(seed)))
