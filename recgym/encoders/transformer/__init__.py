"""One Transformer with pluggable parts: mask, position, mixer, residual."""

from recgym.encoders.transformer.blocks import Cache, FeedForward, GatedBlock, PlainBlock
from recgym.encoders.transformer.masks import Bidirectional, Blocks, Causal, Mask, Prefix
from recgym.encoders.transformer.mixers import Mixer, Silu, Softmax
from recgym.encoders.transformer.positions import (
    LearnedPositions,
    PositionPart,
    RelativePositions,
    Rotary,
    Summed,
    TimeBuckets,
)
from recgym.encoders.transformer.transformer import Transformer

__all__ = [
    "Transformer",
    "FeedForward", "GatedBlock", "PlainBlock", "Cache",
    "Bidirectional", "Blocks", "Causal", "Mask", "Prefix",
    "Mixer", "Silu", "Softmax",
    "LearnedPositions", "PositionPart", "RelativePositions", "Rotary", "Summed", "TimeBuckets",
]  # fmt: skip
