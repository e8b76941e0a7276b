"""Training: a list of stages, each with an objective, over all histories of a log; the best epoch wins."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from recgym.encoders.batch import Example
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import EpochHook, Objective, Step
from recgym.encoders.sequences import Sequences
from recgym.seeding import child_seed, make_generator, seeded

__all__ = ["Epoch", "FitConfig", "Stage", "Team", "Transform", "fit"]


@runtime_checkable
class Transform(Protocol):
    """Changes what is trained on, such as masking items for a cloze task."""

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """The changed example."""
        ...


@runtime_checkable
class Team(Protocol):
    """Processes that train copies of one model, each on its share of every batch."""

    def share(self, example: Example, num_items: int) -> tuple[Example, float]:
        """This process's share of a batch, and its part in the loss of the whole."""
        ...

    def add_up(self, loss: Tensor, parameters: Sequence[Tensor]) -> None:
        """Replace a loss and the gradients of the parameters by their sums over all processes, in place."""
        ...


@dataclass(frozen=True)
class FitConfig:
    """Settings of the optimiser.

    Attributes:
        epochs: passes over the log at most.
        batch_size: histories of a batch.
        step_size: of Adam.
        betas: of Adam; SASRec's second one is 0.98.
        weight_decay: L2 of all weights, decoupled.
        clip: largest norm of a gradient; None for no bound.
        warmup: updates over which the step size rises to its full value.
        decay: share of the step size that is left at the end, along a cosine; 1 keeps it.
        patience: epochs without a better validation after which training ends.
        validate_every: epochs between validations.
        newest_only: train on each user's newest window only.
    """

    epochs: int = 30
    batch_size: int = 128
    step_size: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float | None = None
    warmup: int = 0
    decay: float = 1.0
    patience: int = 10
    validate_every: int = 1
    newest_only: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.step_size <= 0:
            raise ValueError(f"step_size must be above 0, found {self.step_size}")


@dataclass(frozen=True)
class Stage:
    """One part of training.

    Attributes:
        objective: what is minimised.
        config: how.
        frozen: names of parameters, or beginnings of them, that stay as they are.
        transform: changes each example; None for none.
    """

    objective: Objective
    config: FitConfig = field(default_factory=FitConfig)
    frozen: tuple[str, ...] = ()
    transform: Transform | None = None


@dataclass(frozen=True)
class Epoch:
    """One pass over the log.

    Attributes:
        stage: from 1.
        number: within the stage, from 1.
        loss: mean over the batches.
        validation: what ``validate`` gave, if it was asked.
        seconds: of training alone.
        best: whether this is the best epoch so far.
    """

    stage: int
    number: int
    loss: float
    validation: float | None
    seconds: float
    best: bool


def fit(
    model: NextItemModel,
    sequences: Sequences,
    stages: Sequence[Stage],
    seed: int,
    validate: Callable[[NextItemModel], float] | None = None,
    progress: Callable[[Epoch], None] | None = None,
    team: Team | None = None,
) -> tuple[Epoch, ...]:
    """Train the model in place; it is left with the weights of the best epoch of the last stage.

    Args:
        model: freshly made, or to be trained on.
        sequences: what is trained on, and nothing else is.
        stages: one after another, each from the best epoch of the one before.
        seed: root seed of the order of batches, of negatives and of dropout.
        validate: how good the model is, higher is better, such as NDCG on held-out events; without it the last epoch
            is kept.
        progress: called after each epoch.
        team: other processes that call this with the same arguments; they end with the same weights.

    Returns:
        What each epoch achieved.

    Raises:
        ValueError: no history has two events, a frozen name is that of no parameter, or the loss is not finite.
    """
    records: list[Epoch] = []
    with seeded(seed, "encoder fit"):
        for number, stage in enumerate(stages, 1):
            _check(model, sequences, stage)
            run = StageRun(model, sequences, stage, number, seed, team)
            records += run.train(validate, progress)
    model.eval()
    return tuple(records)


def _check(model: NextItemModel, sequences: Sequences, stage: Stage) -> None:
    if len(sequences.stretches(2, 2)) == 0:
        raise ValueError("an encoder is trained on what follows what: expected a history of two events, found none")
    if sequences.num_items != model.num_items:
        raise ValueError(f"the log has {sequences.num_items} items, the model was made for {model.num_items}")
    names = [name for name, _ in model.named_parameters()]
    for frozen in stage.frozen:
        if not any(name.startswith(frozen) for name in names):
            raise ValueError(f"no parameter's name begins with {frozen!r}; there are: {', '.join(names)}")


class StageRun:
    """One stage under way."""

    def __init__(
        self,
        model: NextItemModel,
        sequences: Sequences,
        stage: Stage,
        number: int,
        seed: int,
        team: Team | None = None,
    ) -> None:
        self.team = team
        self.model, self.sequences, self.stage, self.number, self.seed = model, sequences, stage, number, seed
        self.generator = torch.Generator(model.device).manual_seed(child_seed(seed, "negatives", number))
        self.order = make_generator(seed, "batches", number, device="numpy")
        config = stage.config
        self.trained = [
            parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad and not any(name.startswith(frozen) for frozen in stage.frozen)
        ]
        self.optimiser = torch.optim.AdamW(
            self.trained, config.step_size, config.betas, weight_decay=config.weight_decay, fused=True
        )
        pieces = sequences.stretches(model.window + 1, 2, config.newest_only)
        self.updates_an_epoch = -(-len(pieces) // config.batch_size)
        self.updates = 0

    def train(
        self, validate: Callable[[NextItemModel], float] | None, progress: Callable[[Epoch], None] | None
    ) -> list[Epoch]:
        config = self.stage.config
        records: list[Epoch] = []
        best, best_value, best_number = None, -math.inf, 0
        for number in range(1, config.epochs + 1):
            started = time.perf_counter()
            loss = self.epoch(number)
            seconds = time.perf_counter() - started
            value = None
            if validate is not None and (number % config.validate_every == 0 or number == config.epochs):
                self.model.eval()
                value = validate(self.model)
            better = value is not None and value > best_value
            if better and value is not None:
                best, best_value, best_number = copy.deepcopy(self.model.state_dict()), value, number
            records.append(Epoch(self.number, number, loss, value, seconds, better or validate is None))
            if progress is not None:
                progress(records[-1])
            if value is not None and number - best_number >= config.patience:
                break
        if best is not None:
            self.model.load_state_dict(best)
        return records

    def epoch(self, number: int) -> float:
        """One pass; returns the mean loss of a batch."""
        config, model = self.stage.config, self.model
        model.train()
        for _, term in self.stage.objective.terms:
            if isinstance(term, EpochHook):
                term.on_epoch_start(model, self.sequences, number, self.generator)
        assert isinstance(self.order, np.random.Generator)
        batches = self.sequences.examples(model.window, config.batch_size, self.order, config.newest_only, model.device)
        total, count = torch.zeros((), device=model.device), 0
        for example in batches:
            total += self.update(example)
            count += 1
        mean = float(total) / max(count, 1)
        if not math.isfinite(mean):
            raise ValueError(f"the loss became {mean} in epoch {number}; a smaller step size may help")
        return mean

    def update(self, example: Example) -> Tensor:
        """One step of the optimiser; returns the loss."""
        config, model = self.stage.config, self.model
        if self.stage.transform is not None:
            example = self.stage.transform(example, self.generator)
        weight = 1.0
        if self.team is not None:
            example, weight = self.team.share(example, model.num_items)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.zero_grad(set_to_none=True)
        table = model.encoder.items.table()
        states, aux = model.encoder.forward_with_aux(example.inputs, table)
        loss = weight * self.stage.objective(
            Step(model, example, states, table[: model.num_items], self.generator, aux)
        )
        loss.backward()  # type: ignore[no-untyped-call]
        loss = loss.detach()
        if self.team is not None:
            self.team.add_up(loss, self.trained)
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.trained, config.clip)
        self.optimiser.step()
        self.updates += 1
        return loss

    def rate(self) -> float:
        """The step size of the next update."""
        config = self.stage.config
        done = self.updates / max(config.epochs * self.updates_an_epoch, 1)
        cosine = config.decay + (1 - config.decay) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return config.step_size * cosine * min(1.0, (self.updates + 1) / max(config.warmup, 1))
