"""The log that comes with recgym: a behaviour policy rolled out on hand-made users, so that the truth is known."""

from dataclasses import replace
from typing import Any, NamedTuple

from recgym.agents.base import NoState, ScoredPolicy
from recgym.arrays import uniform
from recgym.data.schema import InteractionLog
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.task import Task
from recgym.evaluation.baselines import action_spec
from recgym.evaluation.rollout import rollout
from recgym.seeding import child_seed, make_generator
from recgym.types import Array

__all__ = ["EmbeddedLog", "embedded_log"]

DAYS = 14


class EmbeddedLog(NamedTuple):
    """A log and the world that it came from.

    Attributes:
        log: what a platform would have on record.
        truth: the task whose users wrote it.
    """

    log: InteractionLog
    truth: Task


def embedded_log(users: int = 1500, seed: int = 0) -> EmbeddedLog:
    """Users of ``recgym/InterestEvolution-v0`` over two weeks, each with one session.

    300 documents, 10 candidates, slates of 2. The behaviour policy is a softmax over how much the user's interests at
    hand like a document's topic, mixed with 20 % random slates, so every slate has a propensity above 0. It knows
    neither the documents' quality nor the users' time budget.

    Args:
        users: users in the log; each writes about 150 rows.
        seed: root seed.
    """
    truth = interest_evolution(num_candidates=10, slate_size=2, num_documents=300)

    def affinity(observation: dict[str, Any]) -> Array:
        topics = truth.model.item_features[observation["candidates"]]
        return (topics * observation["profile"][:, None, :]).sum(-1)

    behaviour: ScoredPolicy[NoState] = ScoredPolicy(action_spec(truth), affinity, temperature=0.5, mix=0.2)
    played = rollout(behaviour, truth, users=users, seeds=(child_seed(seed, "embedded log"),), record=True)
    arrivals = uniform(make_generator(seed, "arrivals", device="numpy"), (users,)) * (DAYS * 86_400.0)
    log = played.to_log(arrivals_s=arrivals.astype("float64"))
    return EmbeddedLog(replace(log, source="embedded log"), truth)
