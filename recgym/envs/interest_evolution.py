"""``recgym/InterestEvolution-v0``."""

from recgym.envs.candidates import SampledCandidates
from recgym.envs.levels import Level
from recgym.envs.rewards import ChannelReward
from recgym.envs.single import faces
from recgym.envs.task import Task
from recgym.simulators.choice import ChoiceModel, MultinomialProportional
from recgym.simulators.interest_evolution import InterestEvolution, InterestEvolutionConfig

__all__ = ["task"]


def task(
    num_candidates: int = 10,
    slate_size: int = 2,
    num_documents: int = 10_000,
    choice: ChoiceModel | None = None,
    window: int = 20,
    catalogue_seed: int = 0,
    level: Level = "session",
) -> Task:
    """Interest evolution, as published with RecSim and used by SlateQ.

    Action: K indices of candidates, in order, ``MultiDiscrete([M] * K)`` (``Discrete(M)`` for K = 1). Observation: a
    dictionary, see :class:`recgym.envs.HistoryObserver`; the profile is the user's interests in 20 topics, and the
    topic of item i is the non-zero column of row i of the item features. Reward: minutes watched. The episode ends
    (``terminated``) when the user's time is used up. Dynamics: :class:`recgym.simulators.InterestEvolution`.

    Args:
        num_candidates: M, documents on offer at each step.
        slate_size: K.
        num_documents: N, size of the catalogue.
        choice: how users pick from a slate; RecSim's multinomial proportional model by default.
        window: T, events that the history keeps.
        catalogue_seed: seed of the documents' topics and qualities.
        level: ``"request"`` ends the episode after one slate; users never come back, so ``"retention"`` is
            ``"session"``.

    Version history: v0, first version.
    """
    model = InterestEvolution(
        InterestEvolutionConfig(
            num_documents=num_documents, choice=choice or MultinomialProportional(), seed=catalogue_seed
        )
    )
    return Task(
        model,
        ChannelReward(model.schema, {"watch_time": 1.0}),
        slate_size=slate_size,
        candidates=SampledCandidates(num_candidates),
        window=window,
        level=level,
        name="recgym/InterestEvolution-v0",
    )


env, vector_env = faces(task)
