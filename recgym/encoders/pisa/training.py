"""Training PISA: windows of sessions, its loss, and the best epoch."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from scipy import sparse
from scipy.sparse.linalg import svds
from torch import Tensor
from torch.nn import functional

from recgym.data import InteractionLog
from recgym.encoders.activation import Association
from recgym.encoders.fit import Epoch
from recgym.encoders.losses.negatives import Popular
from recgym.encoders.pisa.components import Components, components_to_train
from recgym.encoders.pisa.config import PISAConfig
from recgym.encoders.pisa.network import PISANetwork
from recgym.encoders.pisa.recommender import PISA
from recgym.encoders.pisa.sessions import SessionHistories
from recgym.seeding import child_seed, make_generator, seeded

__all__ = ["Losses", "fit_pisa", "item_factors", "losses", "user_counts"]

_BETAS = (0.9, 0.98)


class Losses(NamedTuple):
    """The terms of the loss, each a mean over the targets.

    Attributes:
        target: BPR of the target session itself.
        short: BPR of the short-term interest.
        long: BPR of the long-term interest; log 2 without one.
        distance: ``1 - cos(short, target)``.
    """

    target: Float32[Tensor, ""]
    short: Float32[Tensor, ""]
    long: Float32[Tensor, ""]
    distance: Float32[Tensor, ""]

    def total(self, config: PISAConfig) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.pisa.PISAConfig`."""
        ranked = config.target * self.target + (1 - config.target) * self.short
        if config.long_term:
            ranked = ranked + config.long * self.long
        return config.task * ranked + (1 - config.task) * self.distance


def losses(network: PISANetwork, sessions: Components, negatives: Int64[Tensor, "B T K"]) -> Losses:
    """The loss of some windows.

    Args:
        network: what is trained.
        sessions: windows of :meth:`SessionHistories.windows`: the session before, T inputs, the last target.
        negatives: an item for each item of the targets; one that its session holds does not count.
    """
    table = network.items.table()
    embedded = network.embed(sessions, table)
    inputs = Components(*(part[:, 1:-1] for part in sessions))
    interests = network.interests(embedded.inputs[:, 1:-1], inputs, table)
    target = functional.normalize(embedded.targets[:, 2:], dim=-1)
    held = sessions.items[:, 2:]
    real = held[..., 0] < network.items.num_items
    counted = (held < network.items.num_items) & ~_among(negatives, held)
    wanted = torch.stack([target, interests.short, interests.long], 2)
    # A product with all columns: to cut two of them off the vectors first would copy them, and their gradient.
    positive = (functional.pad(wanted, (0, 0, 0, 0, 2, 0)) @ embedded.vectors.transpose(2, 3))[:, 2:]
    negative = wanted @ functional.embedding(negatives, table).transpose(2, 3)
    ranked = functional.softplus(negative - positive) * counted[:, :, None]
    means = ranked.sum((0, 1, 3)) / counted.sum().clamp(min=1)
    distance = (1 - (interests.short * target).sum(-1)) * real
    return Losses(means[0], means[1], means[2], distance.sum() / real.sum().clamp(min=1))


def _among(items: Int64[Tensor, "B T K"], held: Int64[Tensor, "B T K"]) -> Bool[Tensor, "B T K"]:
    """Which items stand anywhere in the same session; one comparison a place keeps memory small."""
    found = torch.zeros(items.shape, dtype=torch.bool)
    for place in range(held.shape[2]):
        found |= items == held[:, :, place : place + 1]
    return found


def user_counts(histories: SessionHistories) -> sparse.csr_array:
    """How often each user consumed each item, ``[U, N]``."""
    sizes = histories.first_event.diff().numpy()
    user = np.repeat(histories.owner.numpy(), sizes)
    shape = (len(histories.first_session) - 1, histories.num_items)
    table = sparse.csr_array((np.ones(len(user)), (user, histories.items.numpy())), shape=shape)
    table.sum_duplicates()
    return table


def item_factors(counts: sparse.csr_array, width: int) -> Float32[np.ndarray, "N D"]:
    """Items by the leading singular vectors of ``log(1 + count)``, scaled to length 1.

    Args:
        counts: of :func:`user_counts`.
        width: D; where the table has fewer singular vectors, the last columns are 0.

    Returns:
        One row an item; 0 for items that nobody consumed.
    """
    factors = np.zeros((counts.shape[1], width), dtype=np.float32)
    rank = min(width, min(counts.shape) - 1)
    if rank < 1 or counts.nnz == 0:
        return factors
    # A start vector of our own: svds would draw one from the global generator.
    _, values, right = svds(counts.log1p(), k=rank, v0=np.ones(min(counts.shape)))
    found = right.T * np.sqrt(np.maximum(values, 0.0))
    length = np.linalg.norm(found, axis=1, keepdims=True)
    factors[:, :rank] = np.divide(found, length, out=np.zeros_like(found), where=length > 1e-9)
    return factors


def fit_pisa(
    config: PISAConfig,
    log: InteractionLog,
    seed: int,
    validate: Callable[[PISA], float] | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> PISA:
    """Fit PISA, or what its settings make of it, to the sessions of a log.

    Args:
        config: settings.
        log: what is trained on, with sessions, such as :func:`recgym.data.distinct_sessions` makes; associations,
            popularity and the first item vectors are taken from it too.
        seed: root seed of weights, batches, negatives and dropout.
        validate: how good the model is, higher is better, such as NDCG on held-out sessions; without it the last epoch
            is kept. Models that it gets have no ``times``, see :meth:`PISA.with_sessions`.
        progress: called after each epoch.

    Returns:
        The model with the weights of the best epoch.

    Raises:
        ValueError: something was consumed in no session, nobody has two sessions, or the loss is not finite.
    """
    histories = SessionHistories.from_log(log, config.session)
    if not bool(histories.followed.any()):
        raise ValueError(f"{log.source}: PISA is trained on what session follows what, found no user of two sessions")
    held = histories.held < log.n_items
    session = torch.arange(len(held))[:, None].expand(held.shape)[held]
    association = Association.of_sessions(histories.held[held].numpy(), session.numpy(), log.n_items)
    counts = user_counts(histories)
    with seeded(seed, "pisa"):
        network = PISANetwork(config, log.n_items)
        _warm_start(network, counts)
        users = torch.from_numpy(np.bincount(counts.indices, minlength=log.n_items))
        model = PISA(config, network, association, users, log.item_ids)
        _Run(model, histories, seed).train(validate, progress)
    network.eval()
    return model


@torch.no_grad()
def _warm_start(network: PISANetwork, counts: sparse.csr_array) -> None:
    """Begin from factors; items that nobody consumed, and spare columns, keep what was drawn, made small."""
    factors = torch.from_numpy(item_factors(counts, network.config.width))
    drawn = network.items.weight[: len(factors)]
    network.items.warm_start(torch.where(factors != 0, factors, 0.1 * drawn))


class _Run:
    """Training under way."""

    def __init__(self, model: PISA, histories: SessionHistories, seed: int) -> None:
        self.model, self.network, self.config = model, model.network, model.config
        self.sessions = components_to_train(histories, model.association, model.config)
        self.windows = histories.windows(self.config.window, self.config.stride)
        self.negatives = Popular(model.counts, self.config.negatives)
        self.generator = torch.Generator().manual_seed(child_seed(seed, "negatives"))
        self.order = make_generator(seed, "batches", device="numpy")
        items = self.network.items.weight
        others = [part for part in self.network.parameters() if part is not items]
        # Adam's decay adds its product with the weight to the gradient: that of l2 |e|^2 is twice as much.
        groups: list[dict[str, Any]] = [{"params": [items], "weight_decay": 2 * self.config.l2}, {"params": others}]
        self.optimiser = torch.optim.Adam(groups, self.config.step_size, _BETAS, fused=True)

    def train(self, validate: Callable[[PISA], float] | None, progress: Callable[[Epoch], None] | None) -> None:
        """All epochs; leaves the network with the weights of the best one."""
        best, best_value, best_number = None, -math.inf, 0
        for number in range(1, self.config.epochs + 1):
            started = time.perf_counter()
            loss = self.epoch(number)
            seconds = time.perf_counter() - started
            value = None
            if validate is not None:
                self.network.eval()
                value = validate(self.model)
            better = value is not None and value > best_value
            if better and value is not None:
                best, best_value, best_number = copy.deepcopy(self.network.state_dict()), value, number
            if progress is not None:
                progress(Epoch(1, number, loss, value, seconds, better or validate is None))
            if value is not None and number - best_number >= self.config.patience:
                break
        if best is not None:
            self.network.load_state_dict(best)

    def epoch(self, number: int) -> float:
        """One pass over the windows; returns the mean loss of a batch."""
        self.network.train()
        total, count = torch.zeros(()), 0
        for index in self.batches():
            sessions = self.sessions.take(index)
            negatives = self.negatives.draw(tuple(sessions.items[:, 2:].shape), self.generator)
            self.optimiser.zero_grad(set_to_none=True)
            loss = losses(self.network, sessions, negatives).total(self.config)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            total += loss.detach()
            count += 1
        mean = float(total) / max(count, 1)
        if not math.isfinite(mean):
            raise ValueError(f"the loss became {mean} in epoch {number}; a smaller step size may help")
        return mean

    def batches(self) -> Iterator[Int64[Tensor, "B C"]]:
        """Windows in random order, as wide as the longest of the batch."""
        assert isinstance(self.order, np.random.Generator)
        order = torch.from_numpy(self.order.permutation(len(self.windows)))
        for first in range(0, len(order), self.config.batch_size):
            index = self.windows[order[first : first + self.config.batch_size]]
            longest = int((index[:, 1:] < len(self.sessions.items) - 1).sum(1).max())
            yield index[:, : longest + 1]
