"""What a recommender must be able to do to be ranked: score the whole catalogue, or serve a list."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from recgym.types import History

__all__ = ["Recommender", "Retriever"]


@runtime_checkable
class Recommender(Protocol):
    """Scores every item of the catalogue for users with a history."""

    @property
    def num_items(self) -> int:
        """N, items in the catalogue."""
        ...

    @property
    def window(self) -> int | None:
        """How many of the newest events of a history are of use; None for all."""
        ...

    def scores(
        self, users: Int64[Tensor, "B"], history: History, query_time_s: Float64[Tensor, "B"] | None
    ) -> Float32[Tensor, "B N"]:
        """How well each item suits each user now.

        Args:
            users: user ids of the log.
            history: what each consumed, right-aligned, of torch tensors; T is at most ``window``, at least 1, and no
                longer than the longest history of the batch. A user without history is all padding.
            query_time_s: when the next item is asked for, in the unit of the log; None where that is not shown.

        Returns:
            Higher is better; minus infinity for items that are never to be recommended; NaN is refused. The tensor is
            not written to.
        """
        ...


@runtime_checkable
class Retriever(Protocol):
    """Serves a list that is not simply the best of one score: several interests, diversity, several rounds.

    A recommender that has both methods is judged by the list that it serves.
    """

    @property
    def num_items(self) -> int:
        """N, items in the catalogue."""
        ...

    @property
    def window(self) -> int | None:
        """How many of the newest events of a history are of use; None for all."""
        ...

    def retrieve(
        self, users: Int64[Tensor, "B"], history: History, k: int, query_time_s: Float64[Tensor, "B"] | None
    ) -> Int64[Tensor, "B k"]:
        """The items to serve, the best first.

        Args:
            users: user ids of the log.
            history: as for :meth:`Recommender.scores`.
            k: length of the list. It is longer than what is looked at by as much as will be taken out for having been
                seen.
            query_time_s: as for :meth:`Recommender.scores`.

        Returns:
            Item ids, none twice in a row; the padding id N where there is nothing left to serve.
        """
        ...
