"""BERT4Rec: sequential recommendation with a bidirectional Transformer (arXiv 1904.06690)."""

from dataclasses import dataclass, field

from torch import nn

from recgym.encoders.base import SequenceEncoder
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.items import IdItems
from recgym.encoders.losses import FullSoftmax
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scorers import Dot
from recgym.encoders.transformer import (
    Bidirectional,
    FeedForward,
    LearnedPositions,
    PlainBlock,
    PositionPart,
    Softmax,
    Transformer,
)
from recgym.encoders.transforms import Cloze

__all__ = ["BERT4RecConfig"]

_SPREAD = 0.02


def _fit() -> FitConfig:
    """The authors' optimiser: Adam with decoupled weight decay and warm-up, gradients clipped, rates that fall to 0."""
    return FitConfig(
        epochs=200, batch_size=256, betas=(0.9, 0.999), weight_decay=0.01, clip=5.0, warmup=100, decay=0.0, patience=20
    )


@dataclass(frozen=True)
class BERT4RecConfig:
    """A Transformer in which every event sees all others, trained to fill in hidden ones.

    ``h^0 = E[item] + P`` (eq. 6); post-LN blocks of attention and ``GELU(x W1 + b1) W2 + b2`` four times as wide
    (eqs. 1-5); ``softmax(GELU(h W_p + b_p) E^T)`` (eq. 7) against the hidden items (eq. 8). A share of items is hidden
    behind a token, anew in each epoch; to foretell the next item, the token is put after the newest event. The encoder
    is not incremental: every step encodes the window anew.

    Published ``ratio``: 0.2 for ML-1M, 0.4 for Steam, 0.6 for Beauty; ``window`` 200 for ML-1M, 50 elsewhere.

    Differences from the paper: (1) scores have no bias an item; (2) the norm after the last GELU is that of the
    authors' code, not of eq. 7; (3) histories longer than the window are cut into stretches that share no hidden event,
    where the authors slide a window; (4) items are hidden anew in each epoch, where the authors make 10 masked copies
    beforehand, and one more that hides the last item, hence ``last_only`` of 1/11; (5) step size 1e-3 in place of 1e-4
    over 400,000 updates, falling along a cosine, not a line; (6) hidden items are always replaced by the token, as the
    paper says, never by random items or themselves; (7) users without events have a learned state, trained on each
    user's first item.

    Attributes:
        width: D.
        blocks: how many.
        heads: of each block.
        window: T, with the token.
        dropout: of the input, attention and feed-forward nets.
        ratio: of events hidden.
        last_only: share of the histories of which the last event alone is hidden, as when the next item is asked for.
        pre_norm: norms before each half of a block, not after the sums.
        events: what enters beside item ids; a hidden event shows neither feedback nor its time.
        fit: settings of training.
    """

    width: int = 64
    blocks: int = 2
    heads: int = 2
    window: int = 200
    dropout: float = 0.2
    ratio: float = 0.2
    last_only: float = 1 / 11
    pre_norm: bool = False
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=_fit)

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        output = [nn.Linear(self.width, self.width), nn.GELU(), nn.LayerNorm(self.width)]
        backbone = Transformer(
            [
                PlainBlock(
                    self.width, self.heads, Softmax(), PositionPart(),
                    FeedForward(self.width, 4 * self.width, self.dropout, nn.GELU()), self.dropout, self.pre_norm,
                )
                for _ in range(self.blocks)
            ],
            Bidirectional(),
            LearnedPositions(self.window, self.width, _SPREAD),
            nn.Sequential(*([nn.LayerNorm(self.width)] if self.pre_norm else []), *output),
            self.dropout,
        )  # fmt: skip
        encoder = SequenceEncoder(
            IdItems(catalogue.num_items, self.width, specials=2, spread=_SPREAD),
            catalogue.events(self.events, self.width),
            backbone,
            self.window,
            probe=self._token(catalogue),
        )
        return NextItemModel(encoder, LastState(), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        hide = Cloze(catalogue.num_items, self._token(catalogue), self.window, self.ratio, self.last_only)
        return (Stage(Objective(((1.0, NextItem(FullSoftmax())),)), self.fit, transform=hide),)

    @staticmethod
    def _token(catalogue: Catalogue) -> int:
        return catalogue.num_items + 1
