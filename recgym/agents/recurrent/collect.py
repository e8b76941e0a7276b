"""Rollouts of many users side by side."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.agents.recurrent.context import Context
from recgym.agents.recurrent.features import RunningScale, StepFeatures
from recgym.agents.recurrent.network import ActorCritic, Memory
from recgym.arrays import where_rows
from recgym.envs.simulation import Simulation
from recgym.types import Generator

__all__ = ["ActorState", "Batch", "Collector", "offer_of"]


class ActorState(NamedTuple):
    """What a recurrent policy carries from step to step, a row a user.

    Attributes:
        memory: of the network.
        last_slate: item ids shown one step before; N at the start.
        context: what was last known of the world.
    """

    memory: Memory
    last_slate: Int64[Tensor, "B K"]
    context: Float32[Tensor, "B L"]

    @classmethod
    def first(cls, network: ActorCritic, context: Context, users: int, slate_size: int, padding: int) -> "ActorState":
        """Before the first step of an episode."""
        return cls(network.start(users), torch.full((users, slate_size), padding), context.start(users))


def offer_of(observation: Any, masks: bool) -> dict[str, Tensor]:
    """The parts of an observation that say what can be chosen."""
    keys = ("candidates", "history_items") if masks else ("candidates",)
    return {key: observation[key] for key in keys if key in observation} if isinstance(observation, dict) else {}


@dataclass(frozen=True)
class Batch:
    """A rollout: T steps of B users, one after the other; episodes begin and end anywhere.

    Attributes:
        inputs: features and context of each step, as the network took them.
        offer: what could be chosen.
        action: what was chosen.
        log_prob: how likely that was.
        value: scaled value before the step.
        reward: after it.
        ended: whether the episode ended with it.
        cut: whether the step was the last of an episode that would have gone on, or of the rollout.
        bootstrap: scaled value after the step where it was cut; 0 elsewhere.
        start: whether the step was the first of an episode.
        number: steps of the episode before this one.
        first: the memory before the first step.
        group: world of each user; new users may live in another.
        features: scaled features alone, for the context to learn from.
    """

    inputs: Float32[Tensor, "T B I"]
    offer: dict[str, Tensor]
    action: Tensor
    log_prob: Float32[Tensor, "T B"]
    value: Float32[Tensor, "T B"]
    reward: Float32[Tensor, "T B"]
    ended: Bool[Tensor, "T B"]
    cut: Bool[Tensor, "T B"]
    bootstrap: Float32[Tensor, "T B"]
    start: Bool[Tensor, "T B"]
    number: Int64[Tensor, "T B"]
    first: Memory
    group: Int64[Tensor, "T B"]
    features: Float32[Tensor, "T B D"]


class Collector:
    """Lets a policy serve the users of a simulation, rollout after rollout.

    Args:
        simulation: the users.
        network: policy and value.
        context: what is known of worlds.
        scale: of the features; takes every rollout into account after it.

    Attributes:
        finished: returns of the episodes that have ended, until someone clears it.
    """

    def __init__(
        self,
        simulation: Simulation,
        network: ActorCritic,
        context: Context,
        features: StepFeatures,
        scale: RunningScale,
    ) -> None:
        self.simulation, self.network, self.context = simulation, network, context
        self.features, self.scale = features, scale
        self.restart()

    def restart(self) -> None:
        """Put new users in the place of all, and forget what the old ones were about to earn."""
        users = self.simulation.num_users
        self.simulation.reset()
        self._state = self._fresh()
        self._start = torch.ones(users, dtype=torch.bool)
        self._return = torch.zeros(users)
        self.finished: list[float] = []

    def _fresh(self) -> ActorState:
        slate_size, padding = self.simulation.task.slate_size, self.features.padding
        return ActorState.first(self.network, self.context, self.simulation.num_users, slate_size, padding)

    def _group(self) -> Int64[Tensor, "B"]:
        group = self.simulation.group()
        return torch.zeros(self.simulation.num_users, dtype=torch.int64) if group is None else group

    def _input(self, state: ActorState, group: Tensor) -> tuple[Any, Tensor, Tensor, Tensor]:
        """Observation, unscaled and scaled features, and context of the step at hand."""
        observation = self.simulation.observation()
        raw = self.features(observation, state.last_slate)
        scaled = self.scale(raw)
        return observation, raw, scaled, self.context.step(scaled, group, state.context)

    @torch.no_grad()
    def collect(self, steps: int, generator: Generator) -> Batch:
        """Play so many steps of every user; those who leave are replaced at once."""
        simulation, network, masks = self.simulation, self.network, self.simulation.task.mask_consumed
        rows: list[tuple[Tensor, ...]] = []
        offers: list[dict[str, Tensor]] = []
        raws: list[Tensor] = []
        state, start, first = self._state, self._start, self._state.memory
        group = self._group()
        worlds: list[Tensor] = []
        for step in range(steps):
            worlds.append(group)
            observation, raw, features, context = self._input(state, group)
            inputs = torch.cat([features, context], 1)
            out, memory = network.remember(inputs[None], state.memory)
            offer = offer_of(observation, masks)
            distribution, value = network.act(out[0], offer), network.worth(out[0])
            action = distribution.sample(generator)
            number = simulation.steps.clone()
            transition = simulation.step(action)
            ended = transition.terminated | transition.truncated
            state = ActorState(memory, transition.slate, context)
            cut = transition.truncated if step < steps - 1 else ~transition.terminated
            bootstrap = self._value_after(state, group, cut) if bool(cut.any()) else torch.zeros_like(value)
            rows.append(
                (
                    inputs, action, distribution.log_prob(action), value, transition.reward.float(),
                    ended, cut, bootstrap, start, number, features,
                )
            )  # fmt: skip
            offers.append(offer)
            raws.append(raw)
            self._count(transition.reward, ended)
            start = ended
            if bool(ended.any()):
                simulation.reset_rows(ended)
                state = where_rows(ended, self._fresh(), state)
                group = self._group()
        self._state, self._start = state, start
        self.scale.update(torch.stack(raws))
        i, a, lp, v, r, en, cu, bo, st, nu, fe = (torch.stack(column) for column in zip(*rows, strict=True))
        offer = {key: torch.stack([o[key] for o in offers]) for key in offers[0]}
        return Batch(i, offer, a, lp, v, r, en, cu, bo, st, nu, first, torch.stack(worlds), fe)

    def _value_after(self, state: ActorState, group: Tensor, cut: Tensor) -> Tensor:
        """Value of what follows a step that a limit cut off; 0 elsewhere."""
        _, _, features, context = self._input(state, group)
        out, _ = self.network.remember(torch.cat([features, context], 1)[None], state.memory)
        return torch.where(cut, self.network.worth(out[0]), 0.0)

    def _count(self, reward: Tensor, ended: Tensor) -> None:
        self._return = self._return + reward
        if bool(ended.any()):
            self.finished += self._return[ended].tolist()
            self._return = torch.where(ended, 0.0, self._return)
