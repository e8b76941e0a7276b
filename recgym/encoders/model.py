"""A next-item model: an encoder, a head and a scorer."""

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from recgym.encoders.base import SequenceEncoder
from recgym.encoders.batch import Batch
from recgym.encoders.heads import Head
from recgym.encoders.scorers import FactoredScorer, Scorer
from recgym.types import Array, History

__all__ = ["NextItemModel"]


class NextItemModel(nn.Module):
    """Scores all items for users by their histories.

    Args:
        encoder: histories to states.
        head: states to queries.
        scorer: queries to scores.
    """

    def __init__(self, encoder: SequenceEncoder, head: Head, scorer: Scorer) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.scorer = scorer

    @property
    def num_items(self) -> int:
        """N."""
        return self.encoder.items.num_items

    @property
    def window(self) -> int:
        """T, newest events that count."""
        return self.encoder.window

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.blank.device

    def vectors(self) -> Float32[Tensor, "N D"]:
        """The vectors of all items."""
        return self.encoder.items.table()[: self.num_items]

    def final_queries(self, batch: Batch) -> Float32[Tensor, "B R D"]:
        """The queries after each history; those of users without events are the encoder's ``blank``."""
        asked = self.encoder.asked(batch)
        queries = self.head.final(self.encoder(asked), asked)
        return torch.where(batch.mask.any(1)[:, None, None], queries, self.encoder.blank)

    @torch.no_grad()
    def score(self, batch: Batch) -> Float32[Tensor, "B N"]:
        """The score of every item after each history: that of the query, among the user's R, that likes it best."""
        return self.scores_of(self.final_queries(batch.to(self.device)))

    @torch.no_grad()
    def scores_of(self, queries: Float32[Tensor, "B R D"]) -> Float32[Tensor, "B N"]:
        """The score of every item for each user's queries: that of the one that likes it best."""
        flat, vectors = queries.flatten(0, 1), self.vectors()
        if isinstance(self.scorer, FactoredScorer):
            left, right = self.scorer.factors(flat, vectors)
            scores = left @ right.T
        else:
            scores = self.scorer.scores(flat, vectors)
        return scores.reshape(*queries.shape[:2], -1).amax(1)

    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """The same for histories as logs and environments give them; who the users are does not count.

        Args:
            users: ignored.
            history: right-aligned, of tensors or arrays.
            query_time_s: when the next item is asked for, for encoders that are to see that.
        """
        training = self.training
        self.eval()
        try:
            time_s = None if query_time_s is None else torch.as_tensor(query_time_s)
            return self.score(Batch.from_history(History(*map(torch.as_tensor, history)), time_s))
        finally:
            self.train(training)
