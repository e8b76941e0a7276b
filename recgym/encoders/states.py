"""The state of users before each row of a log, for learners that take flat arrays."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Int64

from recgym.data import InteractionLog, consumed_events
from recgym.encoders.base import SequenceEncoder
from recgym.encoders.fitted import FittedEncoder
from recgym.encoders.sequences import Sequences

__all__ = ["encode_log"]

_PAIRS = 2**22
"""Of two events of one history, at most so many in a batch: attention's memory grows with them."""


@torch.no_grad()
def encode_log(
    encoder: SequenceEncoder | FittedEncoder,
    log: InteractionLog,
    rows: Int64[np.ndarray, "Q"] | None = None,
    batch_size: int = 256,
) -> Float32[np.ndarray, "Q D"]:
    """The state of each row's user after all that the user consumed before the time of the row.

    What happened at the same time does not count, so neither the row itself nor its slate can leak into its state. A
    history that has outgrown a window that cannot slide counts by its newest events. The states are those that
    :class:`recgym.envs.EncodedObserver` shows, if the log holds whole episodes.

    Args:
        encoder: of the log's items, in their order; it must not have to know when the next item is asked for.
        log: what counts as consumed is :attr:`recgym.data.InteractionLog.consumed`.
        rows: of ``log.frame``, such as the first one of each slate; all if None.
        batch_size: histories encoded at once, at most.

    Raises:
        ValueError: the encoder was fitted to other items or channels, or needs what the log lacks.
    """
    if isinstance(encoder, FittedEncoder):
        if not encoder.item_ids.equals(log.item_ids) or encoder.channels != log.schema.names:
            raise ValueError(
                f"{log.source}: its items or channels are not those that the encoder was fitted to; "
                "see recgym.evaluation.encoders.with_items_of"
            )
        encoder = encoder.model.encoder
    if encoder.items.num_items != log.n_items:
        raise ValueError(f"{log.source}: it has {log.n_items} items, the encoder knows {encoder.items.num_items}")
    sequences = Sequences.from_log(log)
    user, end = _queries(log, rows)
    # Rows of a slate, and exposures without consumption between them, share a state.
    asked, place = np.unique(np.stack([user, end]), axis=1, return_inverse=True)
    training = encoder.training
    try:
        states = _States(encoder.eval(), sequences, batch_size).after(*asked)
    finally:
        encoder.train(training)
    return states[place.reshape(-1)]


def _queries(
    log: InteractionLog, rows: Int64[np.ndarray, "Q"] | None
) -> tuple[Int64[np.ndarray, "Q"], Int64[np.ndarray, "Q"]]:
    """The user of each row, and where in all consumed events those before the row end."""
    events = consumed_events(log)
    user, time_s = log.frame["user"].to_numpy(), log.frame["time_s"].to_numpy()
    if rows is not None:
        user, time_s = user[rows], time_s[rows]
    # Times become ranks, so that user and time fit one sorted integer key: no float is added to a large number.
    moments = np.unique(events.time_s)
    span = len(moments) + 1
    keys = events.user * span + np.searchsorted(moments, events.time_s)
    return user, np.searchsorted(keys, user * span + np.searchsorted(moments, time_s), side="left")


class _States:
    """States after events ``start..end-1`` of users, each history encoded as few times as it takes.

    Args:
        encoder: in evaluation mode.
        sequences: all events.
        batch_size: histories at once.
    """

    def __init__(self, encoder: SequenceEncoder, sequences: Sequences, batch_size: int) -> None:
        self.encoder, self.sequences, self.batch_size = encoder, sequences, batch_size

    def after(self, user: Int64[np.ndarray, "Q"], end: Int64[np.ndarray, "Q"]) -> Float32[np.ndarray, "Q D"]:
        """One state a query; queries of one user are neighbours, in the order of their ends."""
        encoder, able = self.encoder, self.encoder.capabilities
        first = self.sequences.start[user]
        states = np.tile(encoder.blank.cpu().numpy(), (len(user), 1))
        together = np.zeros(len(user), dtype=bool)
        if able.causal and encoder.probe is None:
            together = (end > first) & (able.sliding | (end - first <= encoder.window))
            self._together(states, np.flatnonzero(together), first, end)
        alone = np.flatnonzero(~together & (end > first))
        for some in self._batches(alone, np.minimum(end - first, encoder.window)[alone]):
            start = np.maximum(end[some] - encoder.window, first[some])
            batch = self.sequences.gather(start, end[some], encoder.blank.device)
            states[some] = encoder.final(batch).cpu().numpy()
        return states

    def _together(
        self,
        states: Float32[np.ndarray, "Q D"],
        queries: Int64[np.ndarray, "n"],
        first: Int64[np.ndarray, "Q"],
        end: Int64[np.ndarray, "Q"],
    ) -> None:
        """Fill in the queries that one pass over each user's history answers."""
        histories, owner = np.unique(first[queries], return_inverse=True)
        longest = np.zeros_like(histories)
        np.maximum.at(longest, owner, end[queries])
        bounds = np.searchsorted(owner, np.arange(len(histories) + 1))
        for some in self._batches(np.arange(len(histories)), longest - histories):
            batch = self.sequences.gather(histories[some], longest[some], self.encoder.blank.device)
            found = self.encoder(batch).cpu().numpy()
            count = bounds[some + 1] - bounds[some]
            line = np.repeat(np.arange(len(some)), count)
            nth = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
            of = queries[np.repeat(bounds[some], count) + nth]
            states[of] = found[line, end[of] - first[of] - 1]

    def _batches(
        self, queries: Int64[np.ndarray, "n"], lengths: Int64[np.ndarray, "n"]
    ) -> Iterator[Int64[np.ndarray, "b"]]:
        """The queries in batches of like length."""
        order = np.argsort(-lengths, kind="stable")
        begin = 0
        while begin < len(order):
            fit = max(1, min(self.batch_size, _PAIRS // int(lengths[order[begin]]) ** 2))
            yield queries[order[begin : begin + fit]]
            begin += fit
