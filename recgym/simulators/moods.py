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
    """The mood of each user, name to ``[B]``; none where the model names none, as learned users do.

    Args:
        model: the users.
        state: theirs.
    """
    return model.mood(state) if isinstance(model, MoodyUsers) else {}
