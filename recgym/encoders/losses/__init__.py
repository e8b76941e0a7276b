"""What encoders are trained to do."""

from recgym.encoders.losses.configs import (
    BCEConfig,
    BPRConfig,
    BPRMaxConfig,
    FullSoftmaxConfig,
    GBCEConfig,
    LossConfig,
    SampledSoftmaxConfig,
)
from recgym.encoders.losses.contrast import info_nce
from recgym.encoders.losses.items import BCE, BPR, BPRMax, FullSoftmax, ItemLoss, SampledSoftmax, gbce
from recgym.encoders.losses.negatives import Negatives, Popular, UniformItems
from recgym.encoders.losses.softmax import full_softmax_loss

__all__ = [
    "BCE", "BPR", "BPRMax", "FullSoftmax", "ItemLoss", "SampledSoftmax", "gbce",
    "BCEConfig", "BPRConfig", "BPRMaxConfig", "FullSoftmaxConfig", "GBCEConfig", "LossConfig", "SampledSoftmaxConfig",
    "Negatives", "Popular", "UniformItems",
    "full_softmax_loss", "info_nce",
]  # fmt: skip
