"""A network before it has learned anything from answers: its shape, the scale of its inputs, where it begins."""

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from recgym.data.schema import InteractionLog
from recgym.seeding import seeded
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.context import CONTEXT_NAMES
from recgym.simulators.learned.counts import POTENTIALS, start_potentials
from recgym.simulators.learned.lesson import Basis, Lesson
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.network_shape import NetworkShape
from recgym.simulators.learned.steps import Behaviour

__all__ = ["initial_network"]


def initial_network(
    log: InteractionLog, lesson: Lesson, basis: Basis, config: LearnedConfig, seed: int
) -> ResponseNetwork:
    """A network of the right shape that knows the scale of its inputs and which items it will get to know.

    Args:
        log: the log.
        lesson: what it will learn from.
        basis: what is known without a network.
        config: settings.
        seed: root seed of the first weights.
    """
    plan, data, behaviour = basis.plan, lesson.data, lesson.data.behaviour
    table: Float32[np.ndarray, "N I"] = basis.items.encode(log.item_features, log.n_items)
    shape = NetworkShape(
        items=log.n_items, channels=len(plan.schema), parameters=plan.width,
        potentials=POTENTIALS * plan.together, profile=data.profile.shape[1],
        item_features=table.shape[1], context=0 if data.context.shape[1] == 0 else len(CONTEXT_NAMES),
        hidden=config.hidden, item_width=config.item_width, dropout=config.dropout, rivals=log.has_slates,
        gaps=lesson.gaps,
    )  # fmt: skip
    with seeded(seed, "weights"):
        largest = torch.from_numpy(np.abs(behaviour.taken_feedback).max(0, initial=0.0))
        network = ResponseNetwork(shape, plan.schema, torch.where(largest > 0, largest, 1.0))
    _begin_with_rates(network, plan, lesson)
    if shape.context:
        _scale_context(network, lesson)
    network.known[:-1] = torch.from_numpy(_times_met(log, behaviour, lesson.held_out) >= config.min_item_rows)
    network.item_table[:-1] = torch.from_numpy(table)
    return network


@torch.no_grad()
def _begin_with_rates(network: ResponseNetwork, plan: ResponsePlan, lesson: Lesson) -> None:
    """Let the network say of every item what holds for all of them in the training part."""
    data, behaviour, held_out = lesson.data, lesson.data.behaviour, lesson.held_out
    rows = torch.from_numpy(~held_out[behaviour.row_step])
    labels, observed = torch.from_numpy(behaviour.row_labels), torch.from_numpy(behaviour.row_observed)
    start = plan.marginal(labels[rows], observed[rows], data.row_length[rows])
    network.out.bias.copy_(start[: plan.width - network.shape.potentials])
    if plan.together:
        taken = (behaviour.row_labels[:, plan.primary] > 0) & behaviour.row_observed[:, plan.primary]
        numbers = np.bincount(behaviour.row_step, taken, behaviour.n_steps).astype(np.int64)[~held_out]
        potentials = start_potentials(behaviour.step_size[~held_out], numbers)
        network.potentials.copy_(torch.from_numpy(potentials).float())


def _scale_context(network: ResponseNetwork, lesson: Lesson) -> None:
    """Tell the network how what is known of items is spread in the training part."""
    behaviour = lesson.data.behaviour
    use = ~lesson.held_out[behaviour.row_step] & behaviour.row_observed.any(1)
    seen = lesson.data.context[torch.from_numpy(use)]
    spread = seen.std(0, correction=0) if seen.shape[0] else torch.zeros(network.shape.context)
    network.context_mean.copy_(seen.mean(0).nan_to_num(0.0))
    # What never varied has taught nothing: an infinite scale leaves it out where it differs later.
    network.context_sd.copy_(torch.where(spread > 0, spread.clamp(min=0.05), torch.inf))


def _times_met(log: InteractionLog, behaviour: Behaviour, held_out: Bool[np.ndarray, "S"]) -> Int64[np.ndarray, "N"]:
    """How often training meets each item."""
    training = ~held_out[behaviour.row_step]
    counts = np.bincount(behaviour.row_item[training & behaviour.row_real], minlength=log.n_items)
    if log.has_slates:
        before = behaviour.taken_event < _training_end(behaviour, held_out)[behaviour.taken_event]
        counts = counts + np.bincount(behaviour.taken_item[before], minlength=log.n_items)
    return counts


def _training_end(behaviour: Behaviour, held_out: Bool[np.ndarray, "S"]) -> Int64[np.ndarray, "E"]:
    """For each event the end of its user's events that lead up to an exposure that is trained on."""
    users = behaviour.user_event_start.size - 1
    end = np.zeros(users, dtype=np.int64)
    np.maximum.at(end, behaviour.step_user[~held_out], behaviour.step_after[~held_out])
    return np.repeat(end, np.diff(behaviour.user_event_start))
