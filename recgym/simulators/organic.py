"""What users do by themselves, between two things that they are shown."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float32, Float64, Int64

from recgym.types import Array

__all__ = ["OrganicUsers", "Visit"]


class Visit(NamedTuple):
    """What each user consumed unasked after a step; no slate explains it.

    Attributes:
        items: item ids, oldest first, left-aligned; N is padding.
        feedback: what the user gave to each; 0 at padding.
        after_s: seconds from the end of the step to each event.
        mask: True where an event is.
        seconds: how long the visit took; 0 without one.
    """

    items: Int64[Array, "B E"]
    feedback: Float32[Array, "B E F"]
    after_s: Float64[Array, "B E"]
    mask: Bool[Array, "B E"]
    seconds: Float64[Array, "B"]


@runtime_checkable
class OrganicUsers(Protocol):
    """What a :class:`recgym.simulators.UserModel` has besides, if its users also consume unasked.

    :meth:`UserModel.advance` draws the visit and keeps it in the state; a simulation asks for it after each step,
    writes it into the history and moves the clock on. A visit before the first step belongs to ``Observed.history``.
    """

    longest_visit: int
    """E, the most events of one visit."""

    def visit(self, state: Any) -> Visit:
        """The visit of each user since the last step."""
        ...
