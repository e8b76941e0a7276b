"""Several policies at once, each with a share of the users: logs of mixed quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64

from recgym.agents.base import Policy
from recgym.arrays import as_int, full, namespace, uniform, where_rows
from recgym.types import Array, Decision, Generator

__all__ = ["MixturePolicy", "MixtureState"]


class MixtureState(NamedTuple):
    """What a mixture carries from step to step.

    Attributes:
        which: the policy that serves each user; -1 before the first step.
        states: of every policy.
    """

    which: Int64[Array, "B"]
    states: tuple[Any, ...]


@dataclass(frozen=True)
class MixturePolicy:
    """Each user is served by one policy for a whole episode, drawn at its first step.

    Propensities are those of the policy that serves the user: given who serves whom, they are true, and so are
    estimates that weigh by them.

    Attributes:
        policies: for the same task.
        shares: of the users; they sum to 1.
    """

    policies: Sequence[Policy[Any]]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.policies or len(self.policies) != len(self.shares):
            raise ValueError(f"found {len(self.policies)} policies and {len(self.shares)} shares, expected as many")
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"shares must not be negative and must sum to 1, found {self.shares}")

    def init_state(self, users: int, device: str) -> MixtureState:
        """See :class:`recgym.agents.Policy`."""
        states = tuple(policy.init_state(users, device) for policy in self.policies)
        return MixtureState(full((users,), -1, "int64", device), states)

    def act(
        self, observation: Any, state: MixtureState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, MixtureState]:
        """See :class:`recgym.agents.Policy`. Every policy is asked about every user."""
        draw = uniform(generator, tuple(state.which.shape))
        fresh = as_int(draw * 0)
        for edge in np.cumsum(self.shares)[:-1].tolist():
            fresh = fresh + as_int(draw >= edge)
        which = namespace(draw).where(state.which < 0, fresh, state.which)
        chosen, states = None, []
        for index, (policy, before) in enumerate(zip(self.policies, state.states, strict=True)):
            decision, after = policy.act(observation, before, generator, greedy)
            states.append(after)
            chosen = decision if chosen is None else where_rows(which == index, decision, chosen)
        assert chosen is not None
        return chosen, MixtureState(which, tuple(states))
