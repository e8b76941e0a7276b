"""Losses of finding an item: from queries, the items' vectors and the item that each query should have found."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional

from recgym.encoders.losses.negatives import Negatives
from recgym.encoders.losses.softmax import full_softmax_loss
from recgym.encoders.scorers import FactoredScorer, Scorer

__all__ = ["BCE", "BPR", "BPRMax", "FullSoftmax", "ItemLoss", "SampledSoftmax", "gbce"]


@runtime_checkable
class ItemLoss(Protocol):
    """A mean over queries."""

    def __call__(
        self,
        scorer: Scorer,
        queries: Float32[Tensor, "n D"],
        vectors: Float32[Tensor, "N D"],
        targets: Int64[Tensor, "n"],
        generator: torch.Generator,
    ) -> Float32[Tensor, ""]:
        """The loss.

        Args:
            scorer: scores items for queries.
            queries: what is known of the users.
            vectors: of all items.
            targets: the item that each query should have found.
            generator: source of negatives.
        """
        ...


@dataclass(frozen=True)
class FullSoftmax:
    """``-log softmax(scores of all items)[target]``; see :func:`full_softmax_loss`."""

    def __call__(
        self,
        scorer: Scorer,
        queries: Float32[Tensor, "n D"],
        vectors: Float32[Tensor, "N D"],
        targets: Int64[Tensor, "n"],
        generator: torch.Generator,
    ) -> Float32[Tensor, ""]:
        """See :class:`ItemLoss`."""
        if not isinstance(scorer, FactoredScorer):
            raise ValueError(
                f"a softmax over all items needs a scorer that is a product, found {type(scorer).__name__}; "
                "use a sampled loss"
            )
        return full_softmax_loss(*scorer.factors(queries, vectors), targets)


def _drawn(
    scorer: Scorer,
    queries: Float32[Tensor, "n D"],
    vectors: Float32[Tensor, "N D"],
    targets: Int64[Tensor, "n"],
    drawn: Int64[Tensor, "*n K"],
) -> tuple[Float32[Tensor, "n 1"], Float32[Tensor, "n K"], Bool[Tensor, "n K"]]:
    """Scores of targets and negatives, and which negatives are the target itself."""
    positive = scorer.scores(queries, vectors[targets][:, None])
    return positive, scorer.scores(queries, vectors[drawn]), drawn == targets[:, None]


@dataclass(frozen=True)
class SampledSoftmax:
    """A softmax over the target and shared negatives, corrected for how they were drawn.

    Each score is lowered by the logarithm of how often the item is expected among the negatives (logQ, arXiv
    1902.10197 and Bengio & Senecal 2008); a negative that is the query's target is masked.

    Attributes:
        negatives: law of the extra negatives.
        count: how many are drawn for the whole batch.
        in_batch: the targets of the other queries are negatives too, at most ``in_batch`` of them; 0 for none.
        corrected: whether scores are corrected.
        popularity: law of the targets, which negatives from the batch follow; that of the extra ones if None.
    """

    negatives: Negatives
    count: int
    in_batch: int = 0
    corrected: bool = True
    popularity: Negatives | None = None

    def __call__(
        self,
        scorer: Scorer,
        queries: Float32[Tensor, "n D"],
        vectors: Float32[Tensor, "N D"],
        targets: Int64[Tensor, "n"],
        generator: torch.Generator,
    ) -> Float32[Tensor, ""]:
        """See :class:`ItemLoss`."""
        drawn = self.draw(targets, generator)
        positive, negative, same = _drawn(scorer, queries, vectors, targets, drawn)
        if self.corrected:
            positive = positive - self.log_expected(targets, len(targets))[:, None]
            negative = negative - self.log_expected(drawn, len(targets))
        scores = torch.cat([positive, negative.masked_fill(same, float("-inf"))], 1)
        return functional.cross_entropy(scores, torch.zeros_like(targets))

    def draw(self, targets: Int64[Tensor, "n"], generator: torch.Generator) -> Int64[Tensor, "K"]:
        """The negatives of a batch."""
        drawn = self.negatives.draw((self.count,), generator)
        if not self.in_batch:
            return drawn
        chosen = torch.randperm(len(targets), generator=generator, device=targets.device)[: self.in_batch]
        return torch.cat([targets[chosen], drawn])

    def log_expected(self, items: Int64[Tensor, "m"], queries: int) -> Float32[Tensor, "m"]:
        """Logarithm of how often each item is expected among the negatives of a batch of so many queries."""
        drawn = self.negatives.log_probability(items) + math.log(self.count or 1)
        if not self.in_batch:
            return drawn
        among = (self.popularity or self.negatives).log_probability(items) + math.log(min(self.in_batch, queries))
        return torch.logaddexp(drawn, among) if self.count else among


@dataclass(frozen=True)
class BCE:
    """``-beta log sigmoid(s_target) - sum_j log(1 - sigmoid(s_j))`` over negatives of each query's own.

    With one negative and ``beta`` 1 it is SASRec's loss (arXiv 1808.09781, eq. 7). :func:`gbce` gives the generalised
    one of arXiv 2308.07192.

    Attributes:
        negatives: their law.
        count: negatives a query.
        beta: power of the target's probability.
        shared: one set of negatives for all queries, which is far cheaper for many.
    """

    negatives: Negatives
    count: int = 1
    beta: float = 1.0
    shared: bool = False

    def __call__(
        self,
        scorer: Scorer,
        queries: Float32[Tensor, "n D"],
        vectors: Float32[Tensor, "N D"],
        targets: Int64[Tensor, "n"],
        generator: torch.Generator,
    ) -> Float32[Tensor, ""]:
        """See :class:`ItemLoss`."""
        drawn = self.negatives.draw((self.count,) if self.shared else (len(targets), self.count), generator)
        positive, negative, same = _drawn(scorer, queries, vectors, targets, drawn)
        found = self.beta * functional.softplus(-positive)[:, 0]
        avoided = (functional.softplus(negative) * ~same).sum(1)
        return (found + avoided).mean()


def gbce(negatives: Negatives, count: int, num_items: int, calibration: float = 0.75, shared: bool = True) -> BCE:
    """Generalised binary cross-entropy, which undoes the overconfidence that sampled negatives bring.

    ``beta = a (t (1 - 1/a) + 1/a)`` with the sampling rate ``a = count / (N - 1)`` and calibration t; t = 1 makes
    probabilities calibrated, t = 0 is plain BCE. Source: gSASRec (arXiv 2308.07192, eq. 13).
    """
    rate = count / (num_items - 1)
    return BCE(negatives, count, rate * (calibration * (1 - 1 / rate) + 1 / rate), shared)


@dataclass(frozen=True)
class BPR:
    """``-log sigmoid(s_target - s_j)`` of one negative a query (arXiv 1205.2618).

    Attributes:
        negatives: their law.
    """

    negatives: Negatives

    def __call__(
        self,
        scorer: Scorer,
        queries: Float32[Tensor, "n D"],
        vectors: Float32[Tensor, "N D"],
        targets: Int64[Tensor, "n"],
        generator: torch.Generator,
    ) -> Float32[Tensor, ""]:
        """See :class:`ItemLoss`."""
        drawn = self.negatives.draw((len(targets), 1), generator)
        positive, negative, same = _drawn(scorer, queries, vectors, targets, drawn)
        losses = functional.softplus(negative - positive) * ~same
        return losses.sum() / (~same).sum().clamp(min=1)


@dataclass(frozen=True)
class BPRMax:
    """``-log sum_j softmax(s)_j sigmoid(s_target - s_j) + penalty sum_j softmax(s)_j s_j^2``.

    Source: arXiv 1706.03847, eq. 10.

    The softmax runs over the negatives, which all queries of the batch share.

    Attributes:
        negatives: law and number of the negatives, as of a sampled softmax.
        penalty: weight of the second term.
    """

    negatives: SampledSoftmax
    penalty: float = 1.0

    def __call__(
        self,
        scorer: Scorer,
        queries: Float32[Tensor, "n D"],
        vectors: Float32[Tensor, "N D"],
        targets: Int64[Tensor, "n"],
        generator: torch.Generator,
    ) -> Float32[Tensor, ""]:
        """See :class:`ItemLoss`."""
        drawn = self.negatives.draw(targets, generator)
        positive, negative, same = _drawn(scorer, queries, vectors, targets, drawn)
        some = ~same.all(1)  # A query whose negatives are all its target has nothing to be compared with.
        if not bool(some.any()):
            return positive.sum() * 0.0
        positive, negative, same = positive[some], negative[some], same[some]
        logarithm = functional.log_softmax(negative.masked_fill(same, float("-inf")), 1)
        inside = logarithm + functional.logsigmoid(positive - negative)
        spread = (logarithm.exp() * negative.square()).sum(1)
        return (-torch.logsumexp(inside, 1) + self.penalty * spread).mean()
