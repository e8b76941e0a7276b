"""Settings of losses that need to know the catalogue, such as how popular its items are."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

from recgym.encoders.catalogue import Catalogue
from recgym.encoders.losses.items import BCE, BPR, BPRMax, FullSoftmax, ItemLoss, SampledSoftmax, gbce
from recgym.encoders.losses.negatives import Popular, UniformItems

__all__ = [
    "BCEConfig", "BPRConfig", "BPRMaxConfig", "FullSoftmaxConfig", "GBCEConfig", "LossConfig", "SampledSoftmaxConfig",
]  # fmt: skip


@runtime_checkable
class LossConfig(Protocol):
    """Settings of a loss."""

    def build(self, catalogue: Catalogue) -> ItemLoss:
        """The loss."""
        ...


@dataclass(frozen=True)
class FullSoftmaxConfig:
    """See ``recgym.encoders.losses.FullSoftmax``."""

    def build(self, catalogue: Catalogue) -> ItemLoss:
        """See :class:`LossConfig`."""
        return FullSoftmax()


@dataclass(frozen=True)
class SampledSoftmaxConfig:
    """Cross-entropy against targets of the same batch and items drawn in proportion to ``popularity ** alpha``.

    See ``recgym.encoders.losses.SampledSoftmax``.

    Attributes:
        count: drawn negatives, shared by the batch.
        alpha: 0 draws uniformly, 1 by popularity.
        in_batch: negatives taken from the batch at most.
        corrected: whether scores are corrected for how negatives are drawn (logQ).
    """

    count: int = 2048
    alpha: float = 0.5
    in_batch: int = 256
    corrected: bool = True

    def __post_init__(self) -> None:
        if self.count < 0 or self.in_batch < 0 or self.count + self.in_batch < 1:
            raise ValueError(f"expected at least one negative, found count {self.count} and in_batch {self.in_batch}")

    def build(self, catalogue: Catalogue) -> SampledSoftmax:
        """See :class:`LossConfig`."""
        counts = torch.from_numpy(catalogue.counts)
        drawn, popularity = Popular(counts, self.alpha), Popular(counts, 1.0)
        return SampledSoftmax(drawn, self.count, self.in_batch, self.corrected, popularity)


@dataclass(frozen=True)
class BPRMaxConfig:
    """``-log sum_j softmax(s)_j sigmoid(s_i - s_j) + penalty sum_j softmax(s)_j s_j^2`` (arXiv 1706.03847, eq. 10).

    See ``recgym.encoders.losses.BPRMax``.

    Attributes:
        negatives: how they are drawn; nothing is corrected here.
        penalty: weight of the second sum.
    """

    negatives: SampledSoftmaxConfig = field(default_factory=SampledSoftmaxConfig)
    penalty: float = 1.0

    def build(self, catalogue: Catalogue) -> ItemLoss:
        """See :class:`LossConfig`."""
        return BPRMax(self.negatives.build(catalogue), self.penalty)


@dataclass(frozen=True)
class BCEConfig:
    """SASRec's published loss: binary cross-entropy with uniform negatives; see ``recgym.encoders.losses.BCE``.

    Attributes:
        count: negatives of each target.
    """

    count: int = 1

    def build(self, catalogue: Catalogue) -> ItemLoss:
        """See :class:`LossConfig`."""
        return BCE(UniformItems(catalogue.num_items), self.count)


@dataclass(frozen=True)
class GBCEConfig:
    """gSASRec's loss (arXiv 2308.07192) with uniform negatives; see ``recgym.encoders.losses.gbce``.

    Attributes:
        count: negatives, shared by the batch.
        calibration: t; 1 makes probabilities calibrated, 0 is plain binary cross-entropy.
    """

    count: int = 256
    calibration: float = 0.75

    def build(self, catalogue: Catalogue) -> ItemLoss:
        """See :class:`LossConfig`."""
        return gbce(UniformItems(catalogue.num_items), self.count, catalogue.num_items, self.calibration)


@dataclass(frozen=True)
class BPRConfig:
    """Bayesian personalised ranking with one negative a target; see ``recgym.encoders.losses.BPR``.

    Attributes:
        alpha: negatives are drawn in proportion to ``popularity ** alpha``.
    """

    alpha: float = 0.0

    def build(self, catalogue: Catalogue) -> ItemLoss:
        """See :class:`LossConfig`."""
        return BPR(Popular(torch.from_numpy(catalogue.counts), self.alpha))
