"""Which items of a slate are taken together, from the parameters of a network's heads."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from recgym.simulators.learned.counts import POTENTIALS, SlateGrid, draw, log_normaliser, marginal_logits, of_number
from recgym.types import Generator

__all__ = ["SlateLaw"]


@dataclass(frozen=True)
class SlateLaw:
    """The law of :mod:`recgym.simulators.learned.counts` for the parameters of a response plan.

    The last columns of the parameters are the potentials; those of a slate are the mean over its items.

    Attributes:
        primary: the channel that says whether an item is taken.
        column: where its logits are among the parameters.
        together: whether there is such a law; without it items are taken or not by themselves.
    """

    primary: int
    column: int
    together: bool

    def _slate(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """The primary logits of the items of slates, and the slates' potentials."""
        return parameters[..., self.column], parameters[..., -POTENTIALS:].mean(-2)

    def choose(
        self, parameters: Float32[Tensor, "B K W"], generator: Generator, shown: Bool[Tensor, "B K"] | None = None
    ) -> Bool[Tensor, "B K"] | None:
        """Draw which items of each slate the primary channel is 1 of; None if each goes by itself.

        Args:
            parameters: of slates.
            generator: source of the draws.
            shown: positions that hold an item; all if None.
        """
        return draw(*self._slate(parameters), generator, shown) if self.together else None

    def alone(
        self, parameters: Float32[Tensor, "*B K W"], shown: Bool[Tensor, "*B K"] | None = None
    ) -> Float32[Tensor, "*B K W"]:
        """Parameters of items that go by themselves and expect the same of each as those of the slates do.

        Args:
            parameters: of slates.
            shown: positions that hold an item; all if None.
        """
        if not self.together:
            return parameters
        return self._freed(parameters, marginal_logits(*self._slate(parameters), shown))

    def _freed(self, parameters: Tensor, logits: Tensor) -> Tensor:
        """The parameters with these primary logits and without potentials."""
        out = parameters.clone()
        out[..., self.column] = logits
        out[..., -POTENTIALS:] = 0.0
        return out

    def alone_among(self, parameters: Float32[Tensor, "B M W"], size: int) -> Float32[Tensor, "B M W"]:
        """Parameters that expect of each of M candidates what a slate of it and ``size - 1`` typical ones does.

        A typical candidate has the mean logit of all, and the slate their mean potentials; a slate of one has its own.
        """
        if size == 1:
            return self.alone(parameters[..., None, :])[..., 0, :]
        if not self.together:
            return parameters
        logits, potentials = self._slate(parameters)
        typical = logits.mean(-1, keepdim=True).expand(*logits.shape[:-1], size)
        # How the odds of one item of a slate change with the others does not depend on its own.
        gain = marginal_logits(typical, potentials)[..., :1] - typical[..., :1]
        return self._freed(parameters, logits + gain)

    def alone_rows(self, parameters: Float32[Tensor, "R W"], owner: Int64[Tensor, "R"]) -> Float32[Tensor, "R W"]:
        """The same for slates whose rows follow each other; ``owner`` is the slate of each row, from 0."""
        if not self.together or owner.shape[0] == 0:
            return parameters
        grid = SlateGrid.of(owner, int(owner[-1]) + 1)
        logits, there = grid.spread(parameters[:, self.column]), grid.spread(torch.ones_like(owner)) > 0
        marginal = marginal_logits(logits, grid.mean(parameters[:, -POTENTIALS:]), there)
        return self._freed(parameters, grid.rows(marginal))

    def choose_rows(
        self, parameters: Float32[Tensor, "R W"], owner: Int64[Tensor, "R"], generator: Generator
    ) -> Bool[Tensor, "R"] | None:
        """:meth:`choose` for slates whose rows follow each other."""
        if not self.together:
            return None
        grid = SlateGrid.of(owner, int(owner[-1]) + 1)
        logits, there = grid.spread(parameters[:, self.column]), grid.spread(torch.ones_like(owner)) > 0
        return grid.rows(draw(logits, grid.mean(parameters[:, -POTENTIALS:]), generator, there))

    def count_nll(
        self,
        parameters: Float[Tensor, "R W"],
        labels: Float32[Tensor, "R F"],
        observed: Bool[Tensor, "R F"],
        owner: Int64[Tensor, "R"],
        slates: int,
    ) -> Float[Tensor, "slates"]:
        """What the number of items taken of each slate adds to the negative log-likelihood of its rows.

        Args:
            parameters: of rows that follow each other slate by slate.
            labels: feedback.
            observed: where it was observed.
            owner: the slate of each row.
            slates: how many.
        """
        if not self.together:
            return parameters.new_zeros(slates)
        grid = SlateGrid.of(owner, slates)
        seen = observed[:, self.primary]
        taken = (labels[:, self.primary] > 0) & seen
        number = torch.zeros(slates, dtype=torch.int64).index_add(0, owner, taken.long())
        potentials = grid.mean(parameters[:, -POTENTIALS:])
        logits = grid.spread(parameters[:, self.column])
        return log_normaliser(logits, potentials, grid.spread(seen)) - of_number(potentials, number)
