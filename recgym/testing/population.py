"""Users of one model on one device, to be checked."""

from dataclasses import dataclass
from typing import Any

from recgym.arrays import integers
from recgym.seeding import make_generator
from recgym.simulators.base import UserModel
from recgym.types import Array, Generator

__all__ = ["Population", "STEPS", "USERS"]

USERS, STEPS = 32, 5
"""How many users, and after how many steps they are looked at beside their first."""


@dataclass(frozen=True)
class Population:
    """A model on one device, and the users and slates that the checks give it.

    Attributes:
        model: the model, on the device.
        device: ``"numpy"`` or a torch device.
        seed: of all draws.
    """

    model: UserModel[Any]
    device: str
    seed: int

    @property
    def name(self) -> str:
        """How sentences about a broken promise name it."""
        return f"{type(self.model).__name__} on {self.device}"

    def generator(self, purpose: str) -> Generator:
        """A generator for one purpose, the same at every call."""
        return make_generator(self.seed, purpose, device=self.device)

    def slates(self, purpose: str = "slates", size: int | None = None) -> Array:
        """Random slates ``[USERS, K]``; items may repeat."""
        size = min(3, self.model.num_items) if size is None else size
        return integers(self.generator(purpose), self.model.num_items, (USERS, size))

    def users(self, steps: int = 0) -> Any:
        """Users some steps into their session."""
        generator = self.generator("users")
        state = self.model.sample_users(USERS, generator)
        for step in range(steps):
            slate = self.slates(f"slates of step {step}")
            state = self.model.advance(state, slate, self.model.respond(state, slate, generator), generator)
        return state
