"""Users of whom a model also says how sure it is of them."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float32, Int64

from recgym.types import Array

__all__ = ["UncertainUsers"]


@runtime_checkable
class UncertainUsers(Protocol):
    """What a :class:`recgym.simulators.UserModel` has besides, if it can tell where it may be wrong.

    Uncertainty is the standard deviation, over what the model holds for possible, of the expected weighted sum of
    feedback; of the primary channel where no weights are given.
    """

    def uncertainty(
        self, state: Any, slate: Int64[Array, "B K"], weights: Mapping[str, float] | None = None
    ) -> Float32[Array, "B K"]:
        """The uncertainty of each item of a slate, shown together."""
        ...

    def uncertainty_alone(
        self, state: Any, candidates: Int64[Array, "B C"], weights: Mapping[str, float] | None = None
    ) -> Float32[Array, "B C"]:
        """The uncertainty of each candidate, shown by itself."""
        ...
