"""Activation of what is remembered, after ACT-R: base level, spreading, partial matching, noise and a threshold.

The declarative memory of ACT-R (Anderson et al., An Integrated Theory of the Mind, 2004) says how readily a memory
comes to mind. "Transformers Meet ACT-R" (arXiv 2408.16578) applies it to items that people come back to:

* base level: ``ln sum_k (t_ref - t_k)^-d`` over the times at which the item was consumed, d = 0.5;
* spreading: ``sum_j A_ij`` over the other items j of a session, A the normalised co-occurrence in sessions;
* partial matching: ``sum_j e_i . e_j`` over the other items j of the session before;
* noise is logistic, and what stays below the retrieval threshold is not remembered. Both are off by default.

Everything works on batches of users. Times are subtracted in double precision before anything is rounded; sums over an
item's events are kept in a table of as many rows as fit the cache and are never [B, N] at once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from scipy import sparse
from torch import Tensor

__all__ = [
    "Association", "BaseLevel", "TopItems",
    "base_level", "item_sums", "item_weights", "top_items",
    "partial_matching", "retrieval_chance", "retrieve", "spreading",
]  # fmt: skip

SHORTEST_AGE_S = 1.0
"""An event counts as at least this old, in seconds: at age 0 the base level would be infinite."""

_CELLS = 1 << 18  # 1 MB of float32: what a core keeps close
_ROWS, _FEW = 128, 8


class BaseLevel(NamedTuple):
    """The base level of the item of each event in a history.

    Attributes:
        level: ``ln sum_k age_k^-d`` over all events of the same user and item; -inf at padding.
        newest: the newest event of each item: one True for every item that the user consumed.
    """

    level: Float32[Tensor, "B T"]
    newest: Bool[Tensor, "B T"]


class TopItems(NamedTuple):
    """The items that come to mind first.

    Attributes:
        items: item ids, most active first; N where the user knows fewer.
        weights: the weight of each; 0 at padding.
    """

    items: Int64[Tensor, "B k"]
    weights: Float32[Tensor, "B k"]


def _block_rows(rows: int, num_items: int) -> int:
    """How many rows to work on at once, so that a table of N + 1 columns for each fits the cache."""
    return max(1, min(rows, _ROWS, max(_FEW, _CELLS // (num_items + 1))))


def base_level(
    items: Int64[Tensor, "B T"],
    time_s: Float64[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    reference_s: Float64[Tensor, "B"],
    num_items: int,
    decay: float = 0.5,
) -> BaseLevel:
    """``ln sum_k (t_ref - t_k)^-decay`` of every item in each user's history.

    Args:
        items: item ids, ``0..N-1``; anything at padding.
        time_s: when each event was, in seconds; anything finite at padding. Events must stand in order of time.
        mask: where an event is.
        reference_s: t_ref, the moment of remembering, such as the start of the target session. Events less than a
            second before it, or after it, count as a second old.
        num_items: N.
        decay: d, not negative. At 0 the base level is the logarithm of the number of events.

    Raises:
        ValueError: the decay is negative.
    """
    if not decay >= 0:
        raise ValueError(f"the decay must not be negative, found {decay}")
    level = torch.empty(items.shape, device=items.device)
    newest = torch.empty_like(mask)
    order = torch.arange(items.shape[1], device=items.device, dtype=torch.int32)
    rows = _block_rows(items.shape[0], num_items)
    sums = torch.zeros((rows, num_items + 1), device=items.device)
    last = torch.full((rows, num_items + 1), -1, device=items.device, dtype=torch.int32)
    nothing = torch.zeros((rows, items.shape[1]), device=items.device)
    for first in range(0, items.shape[0], rows):
        block = slice(first, min(first + rows, items.shape[0]))
        used = block.stop - first
        index = torch.where(mask[block], items[block], num_items)
        age, strength = _strength(time_s[block], mask[block], reference_s[block], decay)
        sums[:used].scatter_add_(1, index, strength)
        torch.gather(sums[:used], 1, index, out=level[block])
        level[block].log_().sub_((decay * age.log())[:, None])
        sums[:used].scatter_(1, index, nothing[:used])  # only what was touched: the table may be much wider
        # Numbers grow from block to block, so what earlier ones left behind is never the largest.
        number = (order + first // rows * items.shape[1]).expand(used, -1)
        last[:used].scatter_reduce_(1, index, number, "amax")
        torch.eq(last[:used].gather(1, index), number, out=newest[block])
    return BaseLevel(level.masked_fill_(~mask, -torch.inf), newest.logical_and_(mask))


def _strength(
    time_s: Tensor, mask: Tensor, reference_s: Tensor, decay: float
) -> tuple[Float32[Tensor, "B"], Float32[Tensor, "B T"]]:
    """Each user's newest age in seconds, and each event's ``(age / newest age)^-decay``, 0 at padding.

    Relative to the newest event strengths lie in (0, 1], whatever the unit and the length of the record.
    """
    age = (reference_s[:, None] - time_s).float().clamp_(min=SHORTEST_AGE_S)
    newest = torch.where(mask, age, torch.inf).amin(1) if age.shape[1] else torch.ones_like(age).sum(1)
    newest = newest.masked_fill_(newest.isinf(), 1.0)
    return newest, age.div_(newest[:, None]).pow_(-decay).mul_(mask)


def item_sums(items: Int64[Tensor, "B T"], values: Float32[Tensor, "B T"], num_items: int) -> Float32[Tensor, "B T"]:
    """The sum of a value over all events of the same user and item, at each of these events.

    Args:
        items: item ids; N is padding.
        values: a value for each event.
        num_items: N.
    """
    sums = torch.empty_like(values)
    rows = _block_rows(items.shape[0], num_items)
    for first in range(0, items.shape[0], rows):
        block = slice(first, first + rows)
        table = torch.zeros((items[block].shape[0], num_items + 1), device=items.device)
        torch.gather(table.scatter_add_(1, items[block], values[block]), 1, items[block], out=sums[block])
    return sums


def item_weights(base: BaseLevel, temperature: float = 1.0) -> Float32[Tensor, "B T"]:
    """Softmax of the base level over the items that each user knows.

    Args:
        base: of :func:`base_level`.
        temperature: the noise of ACT-R's choice: larger values level the weights.

    Returns:
        The weight of each item at its newest event, 0 elsewhere; rows sum to 1, or are 0 for users without events.
    """
    level = torch.where(base.newest, base.level / temperature, -torch.inf)
    highest = level.amax(1, keepdim=True) if level.shape[1] else level.sum(1, keepdim=True)
    weight = torch.exp(level - torch.where(highest.isinf(), 0.0, highest))
    weights: Tensor = weight / weight.sum(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    return weights


def top_items(items: Int64[Tensor, "B T"], weights: Float32[Tensor, "B T"], k: int, num_items: int) -> TopItems:
    """The k items of the largest weight of each user.

    Args:
        items: as given to :func:`base_level`.
        weights: of :func:`item_weights`; they are not normalised again.
        k: how many.
        num_items: N, the padding.
    """
    found = torch.topk(weights, min(k, weights.shape[1]), dim=1)
    ids = torch.where(found.values > 0, items.gather(1, found.indices), num_items)
    short = k - ids.shape[1]
    return TopItems(
        torch.nn.functional.pad(ids, (0, short), value=num_items), torch.nn.functional.pad(found.values, (0, short))
    )


@dataclass(frozen=True)
class Association:
    """How strongly items bring each other to mind: a sparse, symmetrically normalised table of co-occurrence.

    ``A_ij = c_ij / sqrt(d_i d_j)`` with c_ij the number of sessions that hold both, ``d_i = sum_j c_ij``, and nothing
    on the diagonal. Rows are stored one after another.

    Attributes:
        start: row i has the entries ``start[i]`` to ``start[i + 1] - 1``.
        items: the other item of each entry, ascending within a row.
        values: A_ij.
    """

    start: Int64[Tensor, "N_plus_1"]
    items: Int64[Tensor, "entries"]
    values: Float32[Tensor, "entries"]

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.start) - 1

    @classmethod
    def of_sessions(
        cls,
        items: Int64[np.ndarray, "E"],
        session: Int64[np.ndarray, "E"],
        num_items: int,
        keep: int | None = None,
        following: Int64[np.ndarray, "S"] | None = None,
    ) -> "Association":
        """Count which items share a session.

        Args:
            items: item ids.
            session: the session of each, from 0; an item that a session holds twice counts once.
            num_items: N.
            keep: the most entries of a row; the strongest stay. None for all.
            following: for each session the one before it of the same user, -1 for none. If given, items of a session
                are counted together with those of the session before it, as in the published code of the source,
                instead of with each other; the counts of (i, j) and (j, i) are added.
        """
        sessions = int(session.max()) + 1 if len(session) else 0
        ones = np.ones(len(items), dtype=np.float64)
        held = sparse.csr_array((ones, (session, items)), shape=(max(sessions, 1), num_items))
        held.data[:] = 1.0  # duplicates were added up
        held.sum_duplicates()
        held.data[:] = 1.0
        if following is None:
            count = held.T @ held
        else:
            later = np.flatnonzero(following >= 0)
            count = held[following[later]].T @ held[later]
            count = count + count.T
        count = sparse.csr_array(count)
        count.setdiag(0)
        count.eliminate_zeros()
        degree = np.asarray(count.sum(1)).ravel()
        scale = 1.0 / np.sqrt(np.where(degree > 0, degree, 1.0))
        row = np.repeat(np.arange(num_items), np.diff(count.indptr))
        count.data *= scale[row] * scale[count.indices]
        count.sort_indices()
        whole = cls(
            torch.from_numpy(count.indptr.astype(np.int64)), torch.from_numpy(count.indices.astype(np.int64)),
            torch.from_numpy(count.data.astype(np.float32)),
        )  # fmt: skip
        return whole if keep is None else whole.strongest(keep)

    def strongest(self, keep: int) -> "Association":
        """The same with at most ``keep`` entries a row, the largest; of equal ones those of the lower item ids."""
        counts = self.start.diff()
        row = torch.repeat_interleave(counts)
        order = torch.from_numpy(np.lexsort((-self.values.numpy(), row.numpy())))  # stable, so ids decide ties
        rank = torch.arange(len(row)) - self.start[row]
        kept = order[rank < keep].sort().values
        start = torch.nn.functional.pad(counts.clamp(max=keep).cumsum(0), (1, 0))
        return Association(start, self.items[kept], self.values[kept])

    def to(self, device: torch.device | str) -> "Association":
        """The same table on a device."""
        return Association(self.start.to(device), self.items.to(device), self.values.to(device))


def spreading(
    association: Association,
    targets: Int64[Tensor, "B I"],
    sources: Int64[Tensor, "B J"],
    mask: Bool[Tensor, "B J"],
) -> Float32[Tensor, "B I"]:
    """``sum_j A_ji`` over the source items j other than i: how much a session brings each target to mind.

    With the items of a session as targets and as sources, this is the spreading component of the session.

    Args:
        association: A.
        targets: item ids; N is padding and gets 0.
        sources: item ids; an item that stands there twice counts twice.
        mask: which sources count.
    """
    n = association.num_items
    found = torch.empty(targets.shape, device=targets.device)
    rows = _block_rows(targets.shape[0], n)
    for begin in range(0, targets.shape[0], rows):
        block = slice(begin, begin + rows)
        row, column = torch.nonzero(mask[block], as_tuple=True)
        item = sources[block][row, column]
        first = association.start[item]
        count = association.start[item + 1] - first
        owner = torch.repeat_interleave(count)
        entry = torch.arange(len(owner), device=owner.device) - (count.cumsum(0) - count - first)[owner]
        table = torch.zeros((targets[block].shape[0], n + 1), device=targets.device)
        table.view(-1).index_add_(0, row[owner] * (n + 1) + association.items[entry], association.values[entry])
        table[:, n] = 0.0
        torch.gather(table, 1, targets[block], out=found[block])
    return found


def partial_matching(
    embeddings: Float32[Tensor, "N D"],
    targets: Int64[Tensor, "B I"],
    sources: Int64[Tensor, "B J"],
    mask: Bool[Tensor, "B J"],
) -> Float32[Tensor, "B I"]:
    """``sum_j e_i . e_j`` over the source items j other than i: how much each target is like the session before.

    Args:
        embeddings: e.
        targets: item ids; N is padding and gets 0.
        sources: the items of the previous session.
        mask: which sources count.
    """
    n = embeddings.shape[0]
    table = torch.cat([embeddings, torch.zeros_like(embeddings[:1])])
    of_sources = table[torch.where(mask, sources, n)]
    of_targets = table[targets]
    together = (of_targets @ of_sources.sum(1)[:, :, None])[:, :, 0]
    same = ((targets[:, :, None] == sources[:, None]) & mask[:, None]).sum(2)
    found: Tensor = together - same * of_targets.square().sum(2)
    return found


def retrieve(
    activation: Float32[Tensor, "*shape"],
    generator: torch.Generator,
    noise: float = 0.0,
    threshold: float | None = None,
) -> Float32[Tensor, "*shape"]:
    """Activation with logistic noise; -inf where it stays below the retrieval threshold.

    Args:
        activation: the sum of the components.
        generator: the source of randomness; nothing is drawn without noise.
        noise: s, scale of the noise; its variance is ``s^2 pi^2 / 3``.
        threshold: tau; None for none.

    Raises:
        ValueError: the noise is negative.
    """
    if noise < 0:
        raise ValueError(f"the noise must not be negative, found {noise}")
    if noise:
        draw = torch.rand(activation.shape, generator=generator, device=activation.device)
        activation = activation + noise * torch.logit(draw, eps=1e-7)
    return activation if threshold is None else torch.where(activation >= threshold, activation, -torch.inf)


def retrieval_chance(
    activation: Float32[Tensor, "*shape"], noise: float, threshold: float
) -> Float32[Tensor, "*shape"]:
    """Probability that noisy activation reaches the threshold: ``1 / (1 + exp(-(A - tau) / s))``.

    Raises:
        ValueError: the noise is not positive.
    """
    if not noise > 0:
        raise ValueError(f"the noise must be positive, found {noise}")
    return torch.sigmoid((activation - threshold) / noise)
