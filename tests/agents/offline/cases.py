"""Small logs for agents that learn from them."""

from functools import cache
from typing import Any

import torch

from recgym.agents import ScoredPolicy
from recgym.data.transitions import TransitionStore
from recgym.envs import Task, make_task
from recgym.evaluation import action_spec, record

SHORT = {"num_candidates": 5, "window": 6}
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "items": ("recgym/ShortVideo-v0", SHORT),
    "slates": ("recgym/ShortVideo-v0", {**SHORT, "slate_size": 2}),
    "sessions": ("recgym/Retention-v0", {"num_candidates": 5, "window": 6}),
    "flat": ("recgym/LongTermSatisfaction-v0", {}),
}


def task_of(kind: str) -> Task:
    """A task of one kind."""
    return make_task(*TASKS[kind])


def liking(task: Task, temperature: float = 0.5) -> ScoredPolicy[Any]:
    """A softmax over one number of each candidate: its first feature."""
    feature = torch.as_tensor(task.model.item_features)[:, 0]
    feature = (feature - feature.mean()) / feature.std()

    def score(seen: Any) -> Any:
        if isinstance(seen, dict):
            return feature[seen["candidates"]]
        return feature.expand(len(seen), -1)

    return ScoredPolicy(action_spec(task), score, temperature)


@cache
def log_of(kind: str, max_steps: int = 6) -> TransitionStore:
    """A log of about 6,000 steps."""
    task = task_of(kind)
    return record(liking(task), task, 1, seed=7, max_steps=max_steps)
