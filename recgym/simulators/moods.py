"""What people would call a user's mood: named numbers of the hidden state, for pages and pictures."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float32

from recgym.simulators.base import UserModel
from recgym.types import Array

__all__ = ["MoodyUsers", "moods"]


@runtime_checkable
class MoodyUsers(Protocol):
    """A user model that says itself what the mood of its users is."""

    def mood(self, state: Any) -> dict[str, Float32[Array, "B"]]:
        """Named numbers, one a user, such as satisfaction. Hidden: no system and no policy may be given them."""
        ...


def moods(model: UserModel[Any], state: Any) -> dict[str, Array]:
    """The mood of each user: what the model calls so, else the hidden numbers of its state that have a name.

    Args:
        model: the users; learned ones have no mood that could be named, and get an empty dictionary.
        state: theirs.

    Returns:
        Name to ``[B]``; ``a.b`` for a part b of a part a.
    """
    if isinstance(model, MoodyUsers):
        return dict(model.mood(state))
    if not hasattr(state, "_fields"):
        return {}
    return {
        name.replace("_", " "): part
        for name in model.hidden_fields
        if (part := getattr(state, name, None)) is not None and _is_number(part)
    }


def _is_number(part: Any) -> bool:
    return getattr(part, "ndim", 0) == 1 and "float" in str(part.dtype)
