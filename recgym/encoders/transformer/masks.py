"""Masks of a Transformer: which events may look at which."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool
from torch import Tensor

from recgym.encoders.batch import Where

__all__ = ["Bidirectional", "Blocks", "Causal", "Mask", "Prefix"]


@runtime_checkable
class Mask(Protocol):
    """Says which keys a query may see.

    Attributes:
        causal: no query sees a key that stands after it.
    """

    @property
    def causal(self) -> bool:
        """See the class."""
        ...

    def trivial(self, events: int) -> bool:
        """Whether, in an aligned history of so many events, every query sees just itself and all before it."""
        ...

    def __call__(self, at: Where, of: Where) -> Bool[Tensor, "B Q T"]:
        """Which of the keys ``of`` each query ``at`` sees; padding is seen by none."""
        ...


@dataclass(frozen=True)
class Causal:
    """Each event sees itself and those before it.

    Attributes:
        span: how many events it sees at most; None for all. The span is what lets a history outgrow its window: each
            event sees the same others, whether all are encoded at once or step by step.
    """

    span: int | None = None
    causal = True

    def trivial(self, events: int) -> bool:
        """See :class:`Mask`."""
        return self.span is None or events <= self.span

    def __call__(self, at: Where, of: Where) -> Bool[Tensor, "B Q T"]:
        """See :class:`Mask`."""
        back = at.position[:, :, None] - of.position[:, None, :]
        seen = (back >= 0) & of.mask[:, None, :]
        return seen if self.span is None else seen & (back < self.span)


@dataclass(frozen=True)
class Bidirectional:
    """Each event sees all."""

    causal = False

    def trivial(self, events: int) -> bool:
        """See :class:`Mask`."""
        return False

    def __call__(self, at: Where, of: Where) -> Bool[Tensor, "B Q T"]:
        """See :class:`Mask`."""
        return of.mask[:, None, :].expand(-1, at.position.shape[1], -1)


@dataclass(frozen=True)
class Prefix:
    """The first events, a prompt, see one another; those after see all before them.

    Attributes:
        length: events of the prefix.
    """

    length: int
    causal = False

    def trivial(self, events: int) -> bool:
        """See :class:`Mask`."""
        return self.length <= 1

    def __call__(self, at: Where, of: Where) -> Bool[Tensor, "B Q T"]:
        """See :class:`Mask`."""
        back = at.position[:, :, None] >= of.position[:, None, :]
        within = (at.position[:, :, None] < self.length) & (of.position[:, None, :] < self.length)
        return (back | within) & of.mask[:, None, :]


@dataclass(frozen=True)
class Blocks:
    """Events of a block (``Where.block``, from 1) see block 0 and their own block alone.

    So several continuations of one history, such as candidates to be scored, are encoded side by side without seeing
    one another. Within what is visible, each event sees itself and those before it.
    """

    causal = True

    def trivial(self, events: int) -> bool:
        """See :class:`Mask`."""
        return False

    def __call__(self, at: Where, of: Where) -> Bool[Tensor, "B Q T"]:
        """See :class:`Mask`."""
        if at.block is None or of.block is None:
            raise ValueError("a mask by blocks needs the block of each event, found none")
        same = (at.block[:, :, None] == of.block[:, None, :]) | (of.block[:, None, :] == 0)
        back = at.position[:, :, None] >= of.position[:, None, :]
        return same & back & of.mask[:, None, :]
