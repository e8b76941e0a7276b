"""The leakage canary: a sequence model must not know what it is to foretell.

Two checks, for anything that foretells the steps of sequences, agent or encoder:

* :func:`check_no_leak`: changing the action of step t, or anything later, leaves the logits at t and before it
  bit-identical. A model that is shown the true action, or whose mask lets it see the future, does not pass.
* :func:`check_chance`: a model that was trained on shuffled labels foretells fresh ones no better than chance. One that
  counts padding as hits, or is shown the label on another way, does.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recgym.agents.decision_transformer.network import SequenceNetwork, Steps
from recgym.encoders import Batch, ModelConfig, NextItemModel
from recgym.testing.checks import difference
from recgym.testing.encoder import encoder_model, encoder_sequences

__all__ = ["changed_actions", "check_chance", "check_encoder_no_leak", "check_no_leak", "encoder_logits", "step_logits"]

Inputs = TypeVar("Inputs")

SIGMAS = 4.0


def check_no_leak(
    name: str,
    logits: Callable[[Inputs], Tensor],
    inputs: Inputs,
    changed: Callable[[Inputs, int], Inputs],
    steps: int,
) -> None:
    """Change the action of each step and all that is later, and hold the logits up to that step against the old ones.

    Args:
        name: of the model, for messages.
        logits: from inputs to ``[B, L, ...]``: at ``[:, t]`` what foretells the action of step t.
        inputs: some sequences.
        changed: the inputs with the action of step t, and everything after it, replaced; what came before stays.
        steps: L.

    Raises:
        AssertionError: logits changed that must not, or none changed at all, so that nothing was tested.
    """
    with torch.no_grad():
        before, moved = logits(inputs), False
        for step in range(steps):
            after = logits(changed(inputs, step))
            found = difference(before[:, : step + 1], after[:, : step + 1])
            assert found is None, (
                f"{name}: changing the action of step {step} and what is later moves logits up to that step: {found}"
            )
            moved = moved or not torch.equal(before, after)
    assert moved or steps < 2, f"{name}: no logits depend on earlier actions, so nothing was tested"


def check_chance(name: str, scores: Float[np.ndarray, "n"], chance: float) -> None:
    """Hold what a model scored on labels that nothing foretells against chance.

    Args:
        name: of the model, for messages.
        scores: hits (0 or 1) or NDCG, of independent cases, after training on shuffled labels.
        chance: what guessing scores.

    Raises:
        AssertionError: the mean is more than four standard errors above chance, and more than a tenth of it.
    """
    error = float(np.std(scores)) / max(len(scores), 1) ** 0.5
    mean = float(np.mean(scores))
    assert mean <= chance + max(SIGMAS * error, 0.1 * chance), (
        f"{name}: after training on shuffled labels it scores {mean:.4f} on {len(scores)} cases, chance is "
        f"{chance:.4f} and the standard error {error:.4f}: it is shown what it should foretell"
    )


def step_logits(network: SequenceNetwork, candidates: int, slate_size: int = 1) -> Callable[[Steps], Tensor]:
    """What a decision transformer says of every action at each step, for :func:`check_no_leak`; 0 at padding.

    Of slates: the log-probabilities of K neighbouring candidates, beginning with each candidate in turn. Every one of
    them is an action, so no position can be foretold from itself. Of preference vectors, where ``candidates`` is 0: the
    density of a fixed vector.
    """

    def logits(steps: Steps) -> Tensor:
        distribution = network.decide(steps.hidden(network), steps.observation)
        count = len(steps.action)
        if not candidates:
            columns = [distribution.log_prob(torch.full_like(steps.action, 0.5))]
        else:
            columns = []
            for first in range(candidates):
                slate = (first + torch.arange(slate_size)) % candidates
                action = slate.expand(count, -1)
                columns.append(distribution.log_prob(action[:, 0] if slate_size == 1 else action))
        packed = torch.stack(columns, 1)
        padded = packed.new_zeros((*steps.mask.shape, packed.shape[1]))
        padded[steps.mask] = packed
        return padded

    return logits


def changed_actions(candidates: int) -> Callable[[Steps, int], Steps]:
    """A change for :func:`check_no_leak`: other actions from step t on, other observations and returns after it.

    Args:
        candidates: M; 0 for preference vectors.
    """

    def changed(steps: Steps, step: int) -> Steps:
        place = torch.arange(steps.mask.shape[1]).expand(steps.mask.shape)[steps.mask]
        at, later = place >= step, place > step

        def where(mask: Tensor, part: Tensor, other: Tensor) -> Tensor:
            return torch.where(mask.reshape(-1, *(1,) * (part.ndim - 1)), other, part)

        action = steps.action
        other = (action + 1) % candidates if candidates else -action
        seen: Any = steps.observation
        # Other steps' observations stand in for those to come.
        if isinstance(seen, dict):
            seen = {name: where(later, part, part.roll(1, 0)) for name, part in seen.items()}
        else:
            seen = where(later, seen, seen.roll(1, 0))
        return Steps(seen, where(at, action, other), where(later, steps.returns, steps.returns + 1.0), steps.mask)

    return changed


def encoder_logits(model: NextItemModel) -> Callable[[Batch], Tensor]:
    """The scores of all items at each event of an aligned batch: what foretells event t stands at ``[:, t]``.

    Nothing foretells the first event, so the first column is 0. Encoders that are not causal are asked again for each
    event, with the events before it alone, as they are when they serve; so are heads and scorers.
    """

    def logits(batch: Batch) -> Tensor:
        columns = [torch.zeros((len(batch.items), model.num_items))]
        for step in range(1, batch.items.shape[1]):
            columns.append(model.score(batch.map(itemgetter((slice(None), slice(step))))))
        return torch.stack(columns, 1)

    def at_once(batch: Batch) -> Tensor:
        queries = model.head.queries(model.encoder(batch), batch)[:, :-1]
        scores = model.scores_of(queries.flatten(0, 1)).reshape(*queries.shape[:2], -1)
        return torch.cat([torch.zeros_like(scores[:, :1]), scores], 1)

    return at_once if model.encoder.capabilities.causal else logits


def check_encoder_no_leak(config: ModelConfig, seed: int = 0) -> None:
    """:func:`check_no_leak` for a next-item model: its encoder, head and scorer together.

    Args:
        config: settings, with a window of at most 18.
        seed: of the weights and the histories.

    Raises:
        AssertionError: see :func:`check_no_leak`.
    """
    sequences = encoder_sequences(seed)
    model = encoder_model(config, sequences, seed)
    batch = sequences.histories(np.arange(sequences.num_users), config.window)

    def changed(inputs: Batch, step: int) -> Batch:
        fresh = inputs.map(Tensor.clone)
        fresh.items[:, step:] = (inputs.items[:, step:] + 7) % model.num_items
        if fresh.feedback is not None:
            fresh.feedback[:, step:] += 1.0
        if fresh.time_s is not None:
            fresh.time_s[:, step:] += 5e5
        return fresh

    check_no_leak(type(config).__name__, encoder_logits(model), batch, changed, batch.items.shape[1])
