"""ICSRec: SASRec with intents, learned by contrasting subsequences that lead to the same item (WSDM 2024)."""

from dataclasses import dataclass, field, replace

from recgym.encoders.catalogue import Catalogue
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.intents import SameIntent, SameTarget
from recgym.encoders.model import NextItemModel
from recgym.encoders.sasrec import SASRecConfig

__all__ = ["ICSRecConfig"]


@dataclass(frozen=True)
class ICSRecConfig:
    """SASRec with two contrasts: ``CE + coarse * SameTarget + fine * SameIntent``.

    Source: Qin et al., "Intent Contrastive Learning with Cross Subsequences for Sequential Recommendation", WSDM 2024.
    Published: window 50, two blocks of two heads, batches of 256; for Beauty coarse .3, dropout .5; for ML-1M dropout
    .1 and 512 intents.

    Differences from the paper: (1) every event is a target at once, in place of a row for each prefix, and the
    contrasts are of events drawn from the batch; (2) negatives are the second halves of the other pairs, where the
    released code adds their first halves; (3) the second subsequence is drawn at random, where the released code takes
    the last one of the item; (4) both draws of fine intents are from the batch; (5) k-means begins from random states,
    has 10 rounds and sees 256 states a centre, where it is the best of 5 runs of 20 rounds on up to 4,096 a centre;
    (6) what SASRecConfig lists.

    Attributes:
        base: what the contrasts are added to.
        coarse: lambda; published between .1 and .3.
        fine: beta.
        intents: K.
        pairs: of each contrast, a batch.
        temperature: of the contrasts.
    """

    base: SASRecConfig = field(
        default_factory=lambda: SASRecConfig(heads=2, window=50, dropout=0.5, fit=FitConfig(batch_size=256))
    )
    coarse: float = 0.1
    fine: float = 0.1
    intents: int = 256
    pairs: int = 128
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.intents < 2 or self.pairs < 2 or self.temperature <= 0:
            raise ValueError(
                "expected at least 2 intents, at least 2 pairs and a temperature above 0, "
                f"found {self.intents}, {self.pairs} and {self.temperature}"
            )

    @property
    def window(self) -> int:
        """T."""
        return self.base.window

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        return self.base.build(catalogue)

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        coarse = SameTarget(self.pairs, self.temperature)
        fine = SameIntent(self.intents, self.pairs, self.temperature)
        contrasts = (self.coarse, coarse), (self.fine, fine)
        return tuple(
            replace(stage, objective=stage.objective.plus(*contrasts)) for stage in self.base.stages(catalogue)
        )
