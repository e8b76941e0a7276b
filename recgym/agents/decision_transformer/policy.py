"""Decision transformers as policies: the last T steps of each user, and what is still asked of the episode."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.agents.base import as_tensors
from recgym.agents.decision_transformer.network import SequenceNetwork
from recgym.agents.decision_transformer.rewards import Glimpse, glimpse, seen_quantities
from recgym.agents.sb3.distributions import ActionDistribution, decide, likelihood
from recgym.data.transitions import Problem
from recgym.types import Array, Decision, Generator

__all__ = ["DecisionState", "DecisionTransformerPolicy"]


class DecisionState(NamedTuple):
    """What a decision transformer keeps of each user; rows can be reset by ``recgym.arrays.where_rows``.

    Attributes:
        tokens: of the last T steps, left-aligned: return-to-go, state, action.
        steps: how many of them there are.
        to_go: the return that was asked for at the newest step.
        before: what the newest observation told of rewards.
    """

    tokens: Float32[Tensor, "B T 3 d"]
    steps: Int64[Tensor, "B"]
    to_go: Float32[Tensor, "B V"]
    before: Glimpse


@dataclass(frozen=True)
class DecisionTransformerPolicy:
    """Asks its network for the return that is still missing: what was asked for less the rewards seen since.

    Rewards are worked out from consecutive observations, see :mod:`recgym.agents.decision_transformer.rewards`: nothing
    but observations is needed to serve.

    Attributes:
        network: a copy of what learns.
        problem: what an observation looks like.
        weights: of the quantities that rewards are made of.
        prompt: the return that is asked for at the start of an episode, one for all users or one each.
    """

    network: SequenceNetwork
    problem: Problem
    weights: Float32[Tensor, "V C"]
    prompt: Float32[Tensor, "users V"]

    def prompted(self, prompt: Float32[Tensor, "users V"]) -> "DecisionTransformerPolicy":
        """The same policy, asked for another return.

        Args:
            prompt: one row for all users, or a row each.

        Raises:
            ValueError: it has another number of parts.
        """
        if prompt.shape[1] != self.prompt.shape[1]:
            raise ValueError(f"a prompt has {self.prompt.shape[1]} parts here, found {prompt.shape[1]}")
        return replace(self, prompt=prompt)

    def init_state(self, users: int, device: str) -> DecisionState:
        """See :class:`recgym.agents.Policy`.

        Raises:
            ValueError: there are prompts for another number of users.
        """
        if len(self.prompt) not in (1, users):
            raise ValueError(f"there are prompts for {len(self.prompt)} users, found {users} users")
        core, problem = self.network.core, self.problem
        window = 1 if problem.flat else problem.window
        nothing = torch.zeros(users)
        before = Glimpse(
            torch.full((users, window), 0 if problem.flat else problem.num_items),
            torch.zeros((users, window, len(problem.schema))), nothing, nothing.clone(),
        )  # fmt: skip
        tokens = torch.zeros((users, core.window, 3, core.width))
        to_go = self.prompt.expand(users, -1).clone()
        return DecisionState(tokens, torch.zeros(users, dtype=torch.int64), to_go, before)

    def _look(
        self, observation: Any, state: DecisionState
    ) -> tuple[Any, ActionDistribution, Int64[Tensor, "B"], DecisionState]:
        """What is seen, the distribution of actions, where the action belongs, and the state but for that."""
        seen, network = as_tensors(observation, "cpu"), self.network
        now = glimpse(seen, self.problem)
        earned = seen_quantities(state.before, now, self.problem) @ self.weights.T
        to_go = torch.where((state.steps > 0)[:, None], state.to_go - earned, state.to_go)
        tokens, place = _room(state)
        rows = torch.arange(len(place))
        tokens[rows, place, 0] = network.embed_returns(to_go, seen)
        tokens[rows, place, 1] = network.embed_state(seen)
        used = int(place.max()) + 1
        distribution = network.decide(network.core(tokens[:, :used], place)[:, 0], seen)
        return seen, distribution, place, DecisionState(tokens, place + 1, to_go, now)

    def _shown(self, seen: Any, action: Array, place: Int64[Tensor, "B"], state: DecisionState) -> DecisionState:
        """The state after an action."""
        tokens = state.tokens.clone()
        tokens[torch.arange(len(place)), place, 2] = self.network.embed_action(seen, torch.as_tensor(action))
        return state._replace(tokens=tokens)

    @torch.no_grad()
    def act(
        self, observation: Any, state: DecisionState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, DecisionState]:
        """See :class:`recgym.agents.Policy`."""
        seen, distribution, place, after = self._look(observation, state)
        decision = decide(distribution, generator, greedy)
        return decision, self._shown(seen, decision.action, place, after)

    @torch.no_grad()
    def log_prob(
        self, observation: Any, action: Array, state: DecisionState, greedy: bool = False
    ) -> tuple[Array, DecisionState]:
        """See :class:`recgym.agents.LikelihoodPolicy`."""
        seen, distribution, place, after = self._look(observation, state)
        return likelihood(distribution, action, greedy), self._shown(seen, action, place, after)


def _room(state: DecisionState) -> tuple[Float32[Tensor, "B T 3 d"], Int64[Tensor, "B"]]:
    """Tokens in memory of their own, the oldest step dropped where they are full, and where the next step goes."""
    window = state.tokens.shape[1]
    full = state.steps == window
    moved = torch.cat([state.tokens[:, 1:], torch.zeros_like(state.tokens[:, :1])], 1)
    tokens = torch.where(full[:, None, None, None], moved, state.tokens)
    return tokens, state.steps - full.long()
