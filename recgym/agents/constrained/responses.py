"""Which response counts, which others must not suffer, and how far each is looked ahead."""

from dataclasses import dataclass
from typing import NamedTuple

from recgym.data.transitions import Problem

__all__ = ["Chosen", "Responses"]


class Chosen(NamedTuple):
    """The responses of a problem that take part, the main one first.

    Attributes:
        names: of their channels.
        columns: of their channels on the axis F.
        signs: -1 for costs, else 1.
        gammas: discount of each.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    signs: tuple[float, ...]
    gammas: tuple[float, ...]


@dataclass(frozen=True)
class Responses:
    """Feedback channels, summed over the slate, as a constrained agent sees them.

    Attributes:
        main: channel whose return is maximised; the schema's first if empty.
        auxiliary: channels whose returns must not suffer; all others if empty.
        costs: those among the auxiliary of which less is better; names that do not take part count nothing.
        gamma: discount of the main response.
        auxiliary_gammas: discount of each auxiliary response, or one for all of them.
    """

    main: str = ""
    auxiliary: tuple[str, ...] = ()
    costs: tuple[str, ...] = ("hate",)
    gamma: float = 0.95
    auxiliary_gammas: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        for gamma in (self.gamma, *self.auxiliary_gammas):
            if not 0 <= gamma < 1:
                raise ValueError(f"a discount must lie in [0, 1), found {gamma}")
        if self.auxiliary and len(self.auxiliary_gammas) not in (1, len(self.auxiliary)):
            raise ValueError(
                f"found {len(self.auxiliary_gammas)} discounts for {len(self.auxiliary)} auxiliary responses, "
                "expected 1 or as many"
            )

    def of(self, problem: Problem) -> Chosen:
        """The responses of a problem.

        Raises:
            ValueError: a channel is unknown or is named twice, there is no auxiliary response, or the discounts are not
                as many.
        """
        schema = problem.schema
        main = self.main or schema.names[0]
        auxiliary = self.auxiliary or tuple(name for name in schema.names if name != main)
        names = (main, *auxiliary)
        columns = tuple(schema.index(name) for name in names)
        if not auxiliary or len(set(names)) != len(names):
            raise ValueError(
                f"{problem.name}: a main response and at least one other are needed, each once, "
                f"found {', '.join(names)}"
            )
        gammas = per_auxiliary(self.auxiliary_gammas, len(auxiliary), "discounts")
        signs = tuple(-1.0 if name in self.costs else 1.0 for name in names)
        return Chosen(names, columns, signs, (self.gamma, *gammas))


def per_auxiliary(values: tuple[float, ...], count: int, what: str) -> tuple[float, ...]:
    """One value for each auxiliary response, where one may stand for all.

    Raises:
        ValueError: there are neither one nor as many values.
    """
    if len(values) not in (1, count):
        raise ValueError(f"found {len(values)} {what} for {count} auxiliary responses, expected 1 or as many")
    return values if len(values) == count else values * count
