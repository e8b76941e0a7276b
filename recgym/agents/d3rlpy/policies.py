"""What the networks of d3rlpy say, as policies: over the candidates on offer, with what was consumed masked."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from recgym.agents.base import as_tensors
from recgym.agents.sb3.distributions import FORBIDDEN, ActionDistribution, Certain, Slates, decide, likelihood
from recgym.agents.sb3.networks import allowed_candidates
from recgym.data.transitions import Problem
from recgym.types import Array, Decision, Generator

__all__ = ["BestSlates", "Offer", "PreferenceNetwork", "PromptMemory", "PromptedPolicy", "ValueNetwork"]


@dataclass(frozen=True)
class BestSlates:
    """The K best candidates of each user for certain.

    Attributes:
        slates: the scores.
    """

    slates: Slates

    mode_log_prob = 0.0

    def sample(self, generator: Generator | None) -> Tensor:
        """See :class:`recgym.agents.sb3.distributions.ActionDistribution`; there is nothing to draw."""
        return self.slates.mode()

    def mode(self) -> Tensor:
        """The best ones."""
        return self.slates.mode()

    def log_prob(self, action: Tensor) -> Float32[Tensor, "B"]:
        """0 for the best ones; all else is never chosen."""
        same = (action == self.mode()).reshape(action.shape[0], -1).all(1)
        return torch.where(same, 0.0, -torch.inf)


@dataclass(frozen=True)
class Offer:
    """How scores of items become a distribution of slates.

    Attributes:
        problem: sizes.
        temperature: of the softmax over scores; 0 for the best for certain.
    """

    problem: Problem
    temperature: float

    def allowed(self, seen: Any, users: int) -> Bool[Tensor, "B M"]:
        """Which candidates may be chosen."""
        problem = self.problem
        if problem.mask_consumed and not problem.flat:
            return allowed_candidates(seen, problem.num_items)
        if isinstance(seen, dict) and "candidates" in seen:
            real: Tensor = seen["candidates"] < problem.num_items
            return real
        return torch.ones((users, problem.num_candidates), dtype=torch.bool)

    def of_candidates(self, scores: Float32[Tensor, "B A"], seen: Any) -> Float32[Tensor, "B M"]:
        """The scores of the candidates, from those of all actions."""
        if isinstance(seen, dict) and "candidates" in seen:
            return scores.gather(1, seen["candidates"].long().clamp(max=self.problem.num_items - 1))
        return scores

    def distribution(self, scores: Float32[Tensor, "B M"], allowed: Bool[Tensor, "B M"]) -> Slates | BestSlates:
        """The distribution of slates: each position by the same scores, without what stands before it."""
        certain = self.temperature == 0
        logits = (scores if certain else scores / self.temperature).masked_fill(~allowed, FORBIDDEN)
        slates = Slates(logits[:, None].expand(-1, self.problem.slate_size, -1))
        return BestSlates(slates) if certain else slates


class ValueNetwork(nn.Module):
    """Scores all discrete actions: by their values, by how likely they were in the log, or by both as BCQ does.

    Args:
        module: ``states``, and ``q_funcs`` or ``imitator`` or both.
        offer: how scores become slates.
        flexibility: with both: actions less likely than this share of the likeliest on offer are forbidden.
    """

    def __init__(self, module: nn.ModuleDict, offer: Offer, flexibility: float = 0.0) -> None:
        super().__init__()
        self.module, self.offer, self.flexibility = module, offer, flexibility

    def forward(self, observation: Any) -> ActionDistribution:
        """The distribution of each user's slate."""
        state, offer = self.module["states"](observation), self.offer
        allowed = offer.allowed(observation, state.shape[0])
        if "imitator" in self.module:
            logits = offer.of_candidates(self.module["imitator"](state).logits, observation)
            if "q_funcs" not in self.module:
                return offer.distribution(logits, allowed)
            logits = logits.masked_fill(~allowed, FORBIDDEN)
            likely = logits - logits.amax(1, keepdim=True) > torch.tensor(self.flexibility).log()
            allowed = allowed & likely
        critics = self.module["q_funcs"]
        assert isinstance(critics, nn.ModuleList)
        values = torch.stack([critic(state).q_value for critic in critics]).mean(0)
        return offer.distribution(offer.of_candidates(values, observation), allowed)


def by_preference(
    preference: Float32[Tensor, "B D"], features: Float32[Tensor, "N D"], observation: Any, offer: Offer
) -> ActionDistribution:
    """What a preference vector comes to: itself where actions are such, else a ranking of the candidates."""
    if offer.problem.action == "preference":
        return Certain(preference)
    scores = offer.of_candidates(preference @ features.T, observation)
    return offer.distribution(scores, offer.allowed(observation, preference.shape[0]))


class PreferenceNetwork(nn.Module):
    """Preference vectors of an actor; its likeliest one where it has a distribution.

    Args:
        module: ``states``, and ``policy`` or ``imitator``.
        features: of the items, as an environment ranks by them.
        offer: how scores become slates.
    """

    features: Tensor

    def __init__(self, module: nn.ModuleDict, features: Float32[Tensor, "N D"], offer: Offer) -> None:
        super().__init__()
        self.module, self.offer = module, offer
        self.register_buffer("features", features)

    def forward(self, observation: Any) -> ActionDistribution:
        """The distribution of each user's action."""
        actor = self.module["policy" if "policy" in self.module else "imitator"]
        preference = actor(self.module["states"](observation)).squashed_mu.clamp(-1, 1)
        return by_preference(preference, self.features, observation, self.offer)


class PromptMemory(NamedTuple):
    """The last steps of each user, right-aligned, as a decision transformer reads them.

    Attributes:
        states: what was seen.
        actions: what was done.
        prompts: the return that was asked for.
        timesteps: which step of the episode each is, from 1; 0 where there is none.
    """

    states: Float32[Tensor, "B C S"]
    actions: Float32[Tensor, "B C A"]
    prompts: Float32[Tensor, "B C 1"]
    timesteps: Int64[Tensor, "B C"]


@dataclass(frozen=True)
class PromptedPolicy:
    """A decision transformer that asks, at each step, for the return to go that good episodes of the log had there.

    Observations do not tell rewards, so what was earned so far does not change the prompt.

    Attributes:
        module: ``states`` and ``transformer``, a copy.
        features: of the items.
        prompts: the return to ask for at each step, from 0; the last one holds from there on.
        offer: how scores become slates.
        context: C, steps that are read.
        discrete: whether it scores items; it gives preference vectors otherwise.
        width: of an action: 1, or D.
    """

    module: nn.ModuleDict
    features: Tensor
    prompts: Tensor
    offer: Offer
    context: int
    discrete: bool
    width: int

    def init_state(self, users: int, device: str) -> PromptMemory:
        """See :class:`recgym.agents.Policy`."""
        shape = (users, self.context)
        return PromptMemory(
            torch.zeros((*shape, self.module["states"].width)), torch.zeros((*shape, self.width)),  # type: ignore[arg-type]
            torch.zeros((*shape, 1)), torch.zeros(shape, dtype=torch.int64),
        )  # fmt: skip

    def _look(self, observation: Any, state: PromptMemory) -> tuple[Any, Any, ActionDistribution, PromptMemory]:
        """What is seen, what the transformer says, the distribution of actions, and the memory but for the action."""
        seen = as_tensors(observation, "cpu")
        step = state.timesteps[:, -1]
        memory = PromptMemory(
            _appended(state.states, self.module["states"](seen)), _appended(state.actions, state.actions[:, 0] * 0),
            _appended(state.prompts, self.prompts[step.clamp(max=len(self.prompts) - 1)][:, None]),
            _appended(state.timesteps, (step + 1).clamp(max=len(self.prompts) - 1)),
        )  # fmt: skip
        out = self.module["transformer"](*memory, (memory.timesteps == 0).float())
        if self.discrete:
            scores = self.offer.of_candidates(out[1][:, -1], seen)
            distribution: ActionDistribution = self.offer.distribution(scores, self.offer.allowed(seen, len(scores)))
        else:
            distribution = by_preference(out[:, -1].clamp(-1, 1), self.features, seen, self.offer)
        return seen, out, distribution, memory

    @torch.no_grad()
    def act(
        self, observation: Any, state: PromptMemory, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, PromptMemory]:
        """See :class:`recgym.agents.Policy`."""
        seen, out, distribution, memory = self._look(observation, state)
        decision = decide(distribution, generator, greedy)
        memory.actions[:, -1] = self._done(decision.action, out, seen)
        return decision, memory

    @torch.no_grad()
    def log_prob(
        self, observation: Any, action: Array, state: PromptMemory, greedy: bool = False
    ) -> tuple[Array, PromptMemory]:
        """See :class:`recgym.agents.LikelihoodPolicy`."""
        seen, out, distribution, memory = self._look(observation, state)
        memory.actions[:, -1] = self._done(action, out, seen)
        return likelihood(distribution, action, greedy), memory

    def _done(self, chosen: Array, out: Any, seen: Any) -> Float32[Tensor, "B A"]:
        """The action that the next step remembers."""
        if not self.discrete:
            vectors: Tensor = out[:, -1]
            return vectors.clamp(-1, 1)
        action = torch.as_tensor(chosen)[:, None]
        if isinstance(seen, dict) and "candidates" in seen:
            action = seen["candidates"].long().gather(1, action)
        return action.float()


def _appended(memory: Tensor, newest: Tensor) -> Tensor:
    return torch.cat([memory[:, 1:], newest[:, None]], 1)
