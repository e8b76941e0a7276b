"""What stands at both ends of the table: chance, and the people's own law, of which a model can only learn."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.encoders.activation import base_level, partial_matching
from recgym.encoders.repeat.past import events_of
from recgym.seeding import make_generator
from recgym.simulators.actr.making import make_items, make_people
from recgym.simulators.actr.world import ACTRItems, ACTRMemory
from recgym.types import History
from reproductions.pisa.data import Cut, memory_of
from reproductions.pisa.fitting import Fit, Fitted

__all__ = ["BOUNDS", "Chance", "OwnLaw"]


@dataclass(frozen=True)
class Chance:
    """Every item is as good as any other.

    Attributes:
        num_items: N.
        generator: the source of randomness.
    """

    num_items: int
    generator: torch.Generator

    @property
    def window(self) -> int:
        """Nothing of a history is looked at."""
        return 1

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.evaluation.ranking.Recommender`."""
        return torch.rand((len(users), self.num_items), generator=self.generator)


@dataclass(frozen=True)
class OwnLaw:
    """How likely each item is to be the first of the session, by the law that made the log.

    What comes after the first item hangs on it, and nobody can know it beforehand: letting the people live the session
    300 times, and ranking items by how often they came, gained less than 0.001 in NDCG@10.

    Attributes:
        memory: the law.
        items: the catalogue, as it was made.
        taste: of each user of the log.
        pause_s: what divides the sessions of a history.
    """

    memory: ACTRMemory
    items: ACTRItems
    taste: Float32[Tensor, "U D"]
    pause_s: float

    @property
    def num_items(self) -> int:
        """N."""
        return self.items.num_items

    @property
    def window(self) -> None:
        """The people forget nothing."""
        return None

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.evaluation.ranking.Recommender`."""
        assert query_time_s is not None
        n, law = self.num_items, self.memory
        events = events_of(history, n, history.items.shape[1], self.pause_s)
        ids, embeddings = events.items, torch.from_numpy(self.items.embeddings)
        base = base_level(*events[:3], query_time_s, n, law.decay)
        activation = base.level + law.matching * partial_matching(embeddings, ids, ids, events.last_session)
        logits = torch.where(base.newest, activation / law.noise, -torch.inf)
        explore = torch.full((len(ids), 1), law.threshold / law.noise)
        chance = torch.cat([logits, explore], 1).softmax(1)
        known = torch.zeros(len(ids), n + 1).scatter_add_(1, ids, chance[:, :-1])[:, :-1]
        appeal = torch.from_numpy(self.items.popularity).log() + law.appeal * self.taste[users] @ embeddings.T
        new = appeal.softmax(1) * (known == 0)
        return known + chance[:, -1:] * new / new.sum(1, keepdim=True).clamp(min=1e-12)


def _chance(cut: Cut, seed: int) -> Fitted:
    generator = make_generator(seed, "pisa chance")
    assert isinstance(generator, torch.Generator)
    return Fitted(Chance(cut.split.train.n_items, generator), {})


def _own_law(cut: Cut, seed: int) -> Fitted:
    train = cut.split.train
    world = memory_of(train.n_items, 1)
    items = make_items(world)
    if world.memory.satiation:
        raise ValueError("the oracle knows nothing of satiation, found a log of people who tire")
    taste = torch.from_numpy(np.ascontiguousarray(make_people(world, items, train.n_users).taste))
    return Fitted(OwnLaw(world.memory, items, taste, cut.pause_s), {})


BOUNDS: dict[str, Fit] = {"random": _chance, "oracle": _own_law}
"""By name; the oracle knows the log of known memory and no other."""
