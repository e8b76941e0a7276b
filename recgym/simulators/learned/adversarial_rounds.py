"""One round: sessions are played, the discriminator learns from some and the network from others."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from recgym.seeding import child_seed, make_generator, seeded
from recgym.simulators.learned.adversarial_config import AdversarialConfig
from recgym.simulators.learned.adversarial_players import Discriminator, Evidence
from recgym.simulators.learned.adversarial_stage import Stage, some
from recgym.simulators.learned.adversarial_views import View, padded
from recgym.simulators.learned.network import ResponseNetwork

__all__ = ["Learners", "play_round"]


@dataclass(frozen=True)
class Learners:
    """All that learns, and how."""

    network: ResponseNetwork
    discriminator: Discriminator
    network_step: torch.optim.Optimizer
    discriminator_step: torch.optim.Optimizer

    @classmethod
    def of(cls, network: ResponseNetwork, stage: Stage, config: AdversarialConfig, seed: int) -> "Learners":
        """A new discriminator, which has seen nothing of real sessions but the scale of what is to be seen."""
        sessions = some(len(stage.train), config.checked_sessions, make_generator(seed, "scales", device="numpy"))
        scale = stage.view(stage.real(stage.train, sessions))
        with seeded(seed, "discriminator"):
            discriminator = Discriminator(scale, config.width)
        return cls(
            network, discriminator,
            torch.optim.Adam(_moving(network), lr=config.learning_rate),
            torch.optim.AdamW(
                discriminator.parameters(), lr=config.discriminator_rate, weight_decay=config.discriminator_decay
            ),
        )  # fmt: skip


def _moving(network: ResponseNetwork) -> list[nn.Parameter]:
    """The weights that say how users answer and leave; all others are frozen."""
    parts: list[nn.Module | None] = [
        network.step_in, network.item_in, network.interest, network.match_out, network.pair_in, network.position,
        network.rivals_in, network.inner, network.out,
        network.leave_in, network.leave_out, network.mood_in, network.mood_out,
    ]  # fmt: skip
    network.requires_grad_(False)
    moving = [weight for part in parts if part is not None for weight in part.parameters()] + [network.fading]
    for weight in moving:
        weight.requires_grad_(True)
    return moving


def play_round(learners: Learners, stage: Stage, config: AdversarialConfig, number: int, seed: int) -> None:
    """Play sessions and let everybody learn from them; the network only from round 1 on.

    The two learn from different sessions: a discriminator would know those that it has learned from by heart.
    """
    block = number + config.head_start
    draw = make_generator(seed, "sessions of a round", block, device="numpy")
    drawn = draw.permutation(len(stage.train))[: 2 * config.sessions]
    taught, sessions = (np.sort(half) for half in np.array_split(drawn, 2))
    network = learners.network
    real = stage.view(stage.real(stage.train, taught))
    played = stage.view(stage.played(network, stage.train, taught, child_seed(seed, "taught"), block))
    for _ in range(config.discriminator_epochs):
        _descend(learners.discriminator_step, learners.discriminator.loss(real, played))
    if number < 1:
        return
    steps, true = stage.played(network, stage.train, sessions, seed, block), stage.real(stage.train, sessions)
    with torch.no_grad():
        seen = stage.view(steps)
        advantages = _advantages(learners.discriminator(seen), seen, config)
        before = stage.ask(network, steps)
    for _ in range(config.epochs):
        after = stage.ask(network, steps)
        moves = (after.chance - before.chance, advantages[0]), (before.leaving - after.leaving, advantages[1])
        loss = sum((_clipped(change, advantage, config.clip) for change, advantage in moves), torch.zeros(()))
        if config.anchor:
            said = stage.ask(network, true)
            loss = loss + config.anchor * (said.answers + said.leaving).mean()
        _descend(learners.network_step, loss)


def _clipped(change: Float32[Tensor, "s"], advantage: Float32[Tensor, "s"], clip: float) -> Float32[Tensor, ""]:
    """PPO's loss of actions whose log chance has changed so much."""
    ratio = change.exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, 5.0)
    optimiser.step()


def _advantages(evidence: Evidence, seen: View, config: AdversarialConfig) -> tuple[Tensor, Tensor]:
    """What speaks for real in the answers of each step, and in leaving or staying; what comes later counts less."""
    most = config.most_reward
    own = torch.stack([evidence.answers, evidence.leaving], 1).clamp(-most, most)
    grid = padded(own, seen.session, seen.depth)
    later = torch.zeros(grid.shape[0])
    for step in range(grid.shape[1] - 1, -1, -1):
        for move in (1, 0):
            grid[:, step, move] += config.discount * later
            later = grid[:, step, move].clone()
    answers, leaving = grid[seen.session, seen.depth].unbind(1)
    return answers, leaving
