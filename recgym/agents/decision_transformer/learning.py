"""What all decision transformers share as learners: returns of the log, the prompt, windows, one step of AdamW."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from recgym.agents.decision_transformer.network import SequenceNetwork, Steps, steps_of
from recgym.agents.decision_transformer.policy import DecisionTransformerPolicy
from recgym.agents.decision_transformer.returns import LoggedReturns, ReturnKind, logged_returns
from recgym.agents.descent import descend, frozen
from recgym.arrays import integers, to_numpy
from recgym.data.transitions import Problem, TransitionStore
from recgym.types import Generator

__all__ = ["OptimiserConfig", "Returns", "Trainer", "prompt_of"]

_SESSIONS = 64  # later ones count as the last of these
_LEAST = 0.1  # of the level at the start: near the end of an episode little is left, and chance would count for much
_NEAR = 0.05  # episodes within this share of the quantile make up the prompt


@dataclass(frozen=True)
class OptimiserConfig:
    """Settings of AdamW.

    Attributes:
        batch_size: windows in an update.
        learning_rate: after the warm-up.
        warmup: updates over which the rate rises from 0.
        weight_decay: as in AdamW.
        max_grad_norm: gradients are cut to this norm.
    """

    batch_size: int = 128
    learning_rate: float = 6e-4
    warmup: int = 100
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0


class Returns(nn.Module):
    """What a log taught of returns, so that a checkpoint holds it.

    Args:
        kind: which rewards are summed up.
        columns: C.

    Attributes:
        weights: of the quantities that rewards are made of.
        level: what the log brought on average from each session of an episode on. Networks see returns in units of it:
            what matters of a return is whether it is much or little for what is left of the episode.
        prompt: what is asked for by default.
    """

    weights: Tensor
    level: Tensor
    prompt: Tensor

    def __init__(self, kind: ReturnKind, columns: int) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("weights", torch.zeros(kind.parts, columns))
        self.register_buffer("level", torch.ones(_SESSIONS, kind.parts))
        self.register_buffer("prompt", torch.zeros(kind.parts))
        self._logged: tuple[TransitionStore, LoggedReturns] | None = None

    def look(self, store: TransitionStore, quantile: float) -> None:
        """Take weights, level and prompt from a log."""
        self.weights.copy_(torch.from_numpy(self.kind.weights(store)))
        logged = self.of(store)
        episodes = logged.episodes
        self.level.copy_(torch.from_numpy(_levels(store, logged)))
        self.prompt.copy_(torch.from_numpy(prompt_of(episodes, quantile)))

    def of(self, store: TransitionStore) -> LoggedReturns:
        """The returns of a log; worked out once for a store."""
        if self._logged is None or self._logged[0] is not store:
            self._logged = (store, logged_returns(store, self.weights.double().numpy()))
        return self._logged[1]

    def forward(self, returns: Float32[Tensor, "n V"], observation: Any) -> Float32[Tensor, "n V"]:
        """Returns to go in units of their level at each observation."""
        if isinstance(observation, dict) and "progress" in observation:
            session = observation["progress"][:, 0].long().clamp(max=_SESSIONS - 1)
            return returns / self.level[session]
        return returns / self.level[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Returns":
        """A copy without the log."""
        kept, self._logged = self._logged, None
        try:
            fresh = Returns(self.kind, self.weights.shape[1])
            fresh.load_state_dict(self.state_dict())
        finally:
            self._logged = kept
        return fresh


def _levels(store: TransitionStore, logged: LoggedReturns) -> Float64[np.ndarray, "S V"]:
    """Mean size of the return to go at the steps of each session; where there are none, as in the first."""
    session = np.minimum(store.columns["session"][store.steps], _SESSIONS - 1)
    count = np.bincount(session, minlength=_SESSIONS)
    size = np.abs(logged.to_go[store.steps].astype(np.float64))
    total = np.stack([np.bincount(session, part, minlength=_SESSIONS) for part in size.T], 1)
    mean = total / np.maximum(count, 1)[:, None]
    first = np.where(mean[0] > 1e-6, mean[0], 1.0)
    return np.where(count[:, None] > 0, np.maximum(mean, _LEAST * first), first)


def prompt_of(episodes: Float64[np.ndarray, "E V"], quantile: float) -> Float64[np.ndarray, "V"]:
    """What can be asked for with good hope: the mean return of the episodes about a quantile of the log.

    Episodes are ranked by the sum of their parts, each in its standard deviations. The mean of episodes that happened
    lies inside what the log supports, which a quantile of each part by itself need not do.
    """
    spread = episodes.std(0)
    rank = (episodes / np.where(spread > 0, spread, 1.0)).sum(1)
    low, high = np.quantile(rank, [max(quantile - _NEAR, 0.0), min(quantile + _NEAR, 1.0)])
    mean: np.ndarray = episodes[(rank >= low) & (rank <= high)].mean(0)
    return mean


class Trainer:
    """Windows in, one step of AdamW out.

    Args:
        network: what learns.
        returns: a part of it.
        problem: what is learned.
        config: of the optimiser.
    """

    def __init__(self, network: nn.Module, returns: Returns, problem: Problem, config: OptimiserConfig) -> None:
        assert isinstance(network, SequenceNetwork)
        self.network: SequenceNetwork = network
        self.module, self.returns, self.problem, self.config = network, returns, problem, config
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    def draw(self, store: TransitionStore, generator: Generator) -> tuple[Int64[np.ndarray, "B"], Steps]:
        """Windows that end with steps drawn uniformly: their positions in ``store.steps``, and their steps."""
        rows = to_numpy(integers(generator, len(store.steps), (self.config.batch_size,)))
        return rows, self.windows(store, rows)

    def windows(self, store: TransitionStore, rows: Int64[np.ndarray, "B"]) -> Steps:
        """The windows that end with the given steps."""
        return steps_of(store, rows, self.network.core.window, self.returns.of(store).to_go)

    def step(self, loss: Tensor, number: int) -> None:
        """One update; ``number`` updates came before."""
        rate = self.config.learning_rate * min(1.0, (number + 1) / max(self.config.warmup, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        descend(self.optimiser, loss, self.config.max_grad_norm)

    def policy(self) -> DecisionTransformerPolicy:
        """The policy as it is now, asked for what the log suggests."""
        network: Any = frozen(self.module)
        return DecisionTransformerPolicy(
            network, self.problem, self.returns.weights.clone(), self.returns.prompt[None].clone()
        )
