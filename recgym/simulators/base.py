"""The one face of every simulated user, hand-made or learned."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, NamedTuple, TypeVar

from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.schema import FeedbackSchema
from recgym.types import Array, Generator, History, Response

__all__ = ["Observed", "State", "UserModel"]

State = TypeVar("State")


class Observed(NamedTuple):
    """What a system could see of its users before it shows anything.

    Attributes:
        profile: observable features of each user, such as age group or a survey answer; P may be 0.
        history: what the system has on record from before the episode, or None if it starts with a blank record. Times
            are negative or zero: the episode starts at 0 s.
        group: which users share environment parameters, ids ``0..G-1``; None if all do.
    """

    profile: Float32[Array, "B P"]
    history: History | None = None
    group: Int64[Array, "B"] | None = None


class UserModel(ABC, Generic[State]):
    """A population of simulated users, stepped together.

    A user model is pure: state in, state out, randomness only from the generator that is passed in. It holds no state
    of its users; ``State`` is a named tuple of arrays (named tuples may nest) that all have the batch axis B first.
    What the model has in common for all users (item tables, network weights) lives where the generator lives: see
    :meth:`on`.

    Attributes:
        schema: the feedback channels F that users answer with.
        num_items: N; slates hold item ids ``0..N-1``.
        item_features: what a system can see of each item, or an embedding of it.
        profile_size: P, the width of :attr:`Observed.profile`.
        hidden_fields: the names of the fields of ``State`` that no system could see. :meth:`observe` must not depend
            on them; the contract checks prove that it does not.
        runs_on_numpy: whether the model accepts the device ``"numpy"``; all accept torch devices.
    """

    schema: FeedbackSchema
    num_items: int
    item_features: Float32[Array, "N D"]
    profile_size: int
    hidden_fields: ClassVar[tuple[str, ...]]
    runs_on_numpy: ClassVar[bool]

    @abstractmethod
    def on(self, device: str) -> "UserModel[State]":
        """The same model with its tables on a device: ``"numpy"``, or a torch device such as ``"cpu"``.

        Raises:
            ValueError: the device is ``"numpy"`` and the model does not run on it.
        """

    @abstractmethod
    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> State:
        """Draw ``n`` new users at the start of a session.

        Args:
            n: how many.
            generator: the source of randomness; says where the arrays live.
            rows: which rows of the batch they take, ``0..n-1`` if None. Only a model whose environment parameters
                differ by row (a simulator of its own for each group) looks at them.
        """

    @abstractmethod
    def respond(self, state: State, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """Draw each user's answer to a slate of item ids; an item repeated at a later position gets no answer there."""

    @abstractmethod
    def advance(self, state: State, slate: Int64[Array, "B K"], response: Response, generator: Generator) -> State:
        """The users' states after they answered ``slate`` with ``response``."""

    @abstractmethod
    def has_left(self, state: State) -> Bool[Array, "B"]:
        """Which users have ended their session."""

    @abstractmethod
    def step_seconds(self, state: State, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """How long each user's step took, in seconds."""

    @abstractmethod
    def return_gap(self, state: State, generator: Generator) -> Float64[Array, "B"]:
        """Draw the time from the end of this session to the start of the next, in seconds; infinity: never."""

    @abstractmethod
    def come_back(self, state: State, gap_s: Float64[Array, "B"], generator: Generator) -> State:
        """The users at the start of their next session, ``gap_s`` seconds after the end of the last.

        What a user remembers of earlier sessions is kept, what belongs to a session starts anew, and :meth:`has_left`
        is False again. Rows with an infinite gap are never looked at.
        """

    @abstractmethod
    def expected(self, state: State, slate: Int64[Array, "B K"]) -> Response:
        """The true expectation of :meth:`respond`, for oracles and regret. A policy must never be given this."""

    @abstractmethod
    def observe(self, state: State) -> Observed:
        """What a system could see of these users."""
