"""ReaRec: a recommender that thinks before it answers, and two ways to teach it (arXiv 2503.22675)."""

from dataclasses import dataclass, field, replace

from recgym.encoders.catalogue import Catalogue
from recgym.encoders.fit import Stage
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import Term
from recgym.encoders.reasoning import Apart, EarlierSteps, Reasoning, Steady
from recgym.encoders.sasrec import SASRecConfig

__all__ = ["Ensemble", "Progressive", "ReaRecConfig"]


@dataclass(frozen=True)
class Ensemble:
    """ERL: cross-entropy of the mean state, less ``divergence`` times :class:`Apart`, so that steps differ.

    Attributes:
        divergence: lambda.
        events: of :class:`Apart`.
    """

    divergence: float = 0.05
    events: int = 64
    mean = True

    def terms(self) -> tuple[tuple[float, Term], ...]:
        """What is added to the cross-entropy of the state."""
        return ((-self.divergence, Apart(self.events)),)


@dataclass(frozen=True)
class Progressive:
    """PRL: cross-entropy of the last state, plus :class:`EarlierSteps`, plus ``steadiness`` times :class:`Steady`.

    Attributes:
        sharpening: alpha.
        steadiness: weight.
        noise: of :class:`Steady`.
        temperature: of :class:`Steady`.
    """

    sharpening: float = 5.0
    steadiness: float = 1.0
    noise: float = 0.01
    temperature: float = 0.07
    mean = False

    def terms(self) -> tuple[tuple[float, Term], ...]:
        """What is added to the cross-entropy of the state."""
        return (1.0, EarlierSteps(self.sharpening)), (self.steadiness, Steady(self.noise, self.temperature))


@dataclass(frozen=True)
class ReaRecConfig:
    """SASRec whose state is thought over: see :class:`recgym.encoders.reasoning.Reasoning`.

    Differences from the paper: (1) every event is a target and reasons by itself, which comes to the same as reasoning
    from the last event of every prefix, as the paper does; (2) scores are plain products (tau = 1), as in
    :class:`SASRecConfig`, where the released code divides them by .07; (3) :class:`Apart` and :class:`Steady` look at
    some events of a batch; (4) steadiness is of cosines, and noise gathers along the path, where the released code
    takes products, begins each noised step from the clean path and waits two epochs; (5) what SASRecConfig lists.

    Attributes:
        base: what is thought over.
        steps: K.
        learning: how it is taught.
    """

    base: SASRecConfig = field(default_factory=lambda: SASRecConfig(heads=2, window=50, dropout=0.5))
    steps: int = 2
    learning: Progressive | Ensemble = field(default_factory=Progressive)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"reasoning takes at least 1 step, found {self.steps}")

    @property
    def window(self) -> int:
        """T."""
        return self.base.window

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        model, base = self.base.build(catalogue), self.base
        model.encoder.backbone = Reasoning(base.backbone(), base.width, self.steps, self.learning.mean, base.dropout)
        return model

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        terms = self.learning.terms()
        return tuple(replace(stage, objective=stage.objective.plus(*terms)) for stage in self.base.stages(catalogue))
