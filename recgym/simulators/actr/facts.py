"""What a log says of its items and of its users' time: everything of a world but the law of choice."""

import numpy as np
from jaxtyping import Float32, Int64
from scipy import sparse
from scipy.sparse.linalg import eigsh

from recgym.encoders.activation import Association
from recgym.simulators.actr.choices import Sessions, expand
from recgym.simulators.actr.world import ACTRItems, ACTRRecords, ACTRTimes

__all__ = ["items_of", "records_before", "tastes_before", "times_of"]

_QUANTILES = 10_000
_PRIOR_GAPS = 5.0
_LEAST_S = 1.0
_DENSE = 500


def items_of(sessions: Sessions, until: int, num_items: int, neighbours: int, width: int) -> ACTRItems:
    """Associations, embeddings and popularity by the first sessions of a log.

    Associations are the strongest normalised co-occurrences; embeddings are the leading eigenvectors of their table,
    scaled to unit length (0 for items that share no session); popularity counts users.

    Args:
        sessions: of the log.
        until: only sessions that begin before this time count; given as the number of sessions in order of time.
        num_items: N.
        neighbours: L.
        width: D; fewer where the catalogue is as small.
    """
    which = np.sort(np.argsort(sessions.start_s, kind="stable")[:until])
    row, event = expand(sessions.first[which], np.diff(sessions.first)[which])
    item = sessions.item[event]
    pairs = np.unique(sessions.user[which][row] * num_items + item)
    popularity = np.bincount(pairs % num_items, minlength=num_items).astype(np.float32)
    whole = Association.of_sessions(item, row, num_items)
    best = whole.strongest(neighbours)
    start, count = best.start.numpy()[:-1], np.diff(best.start.numpy())
    ids = np.full((num_items, neighbours), num_items)
    strengths = np.zeros((num_items, neighbours), dtype=np.float32)
    owner, entry = expand(start, count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    ids[owner, place], strengths[owner, place] = best.items.numpy()[entry], best.values.numpy()[entry]
    return ACTRItems(_embeddings(whole, min(width, num_items - 2)), popularity, ids, strengths)


def _embeddings(association: Association, width: int) -> Float32[np.ndarray, "N D"]:
    n = association.num_items
    table = sparse.csr_array(
        (association.values.numpy().astype(np.float64), association.items.numpy(), association.start.numpy()), (n, n)
    )
    if width < 1 or table.nnz == 0:
        return np.zeros((n, max(width, 1)), dtype=np.float32)
    if n <= _DENSE:
        values, vectors = (part[..., -width:] for part in np.linalg.eigh(table.toarray()))
    else:  # with a start vector of our own: eigsh would draw one from the global generator
        values, vectors = eigsh(table, k=width, which="LA", v0=np.ones(n))
    vectors = vectors * np.sqrt(np.maximum(values, 0.0))
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: np.ndarray = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9)
    return found.astype(np.float32)


def times_of(sessions: Sessions, until: int, longest: int) -> tuple[ACTRTimes, Float32[np.ndarray, "U"]]:
    """Lengths, gaps and pauses of the first sessions of a log, and each user's pace.

    A pace is the mean logarithm of the user's gaps relative to everybody's, shrunken as if by 5 average gaps more; the
    gaps to draw from are those that are left when paces are taken out.

    Args:
        sessions: of the log.
        until: see :func:`items_of`.
        longest: distinct items of a session that count.

    Raises:
        ValueError: no user has two sessions, so nothing is known of gaps.
    """
    early = np.zeros(len(sessions.user), dtype=bool)
    early[np.argsort(sessions.start_s, kind="stable")[:until]] = True
    end = sessions.time_s[sessions.first[1:] - 1]
    follows = early[1:] & (sessions.user[1:] == sessions.user[:-1])
    if not follows.any():
        raise ValueError("no user has two sessions, so nothing is known of the gaps between them")
    log_gap = np.log(np.maximum(sessions.start_s[1:] - end[:-1], _LEAST_S)[follows])
    user, users = sessions.user[1:][follows], int(sessions.user.max()) + 1
    away = np.bincount(user, weights=log_gap - log_gap.mean(), minlength=users)
    pace = away / (np.bincount(user, minlength=users) + _PRIOR_GAPS)
    which = np.flatnonzero(early)
    row, event = expand(sessions.first[which], np.diff(sessions.first)[which])
    distinct = np.unique(row * (sessions.item.max() + 1) + sessions.item[event]) // (sessions.item.max() + 1)
    lengths = np.minimum(np.bincount(distinct), longest)
    inside = np.diff(row) == 0
    pauses = np.diff(sessions.time_s[event])[inside]
    listen = float(np.median(pauses)) if len(pauses) else 0.0
    times = ACTRTimes(
        _quantiles(lengths).astype(np.int64), np.exp(_quantiles(log_gap - pace[user])),
        _quantiles(pauses) if len(pauses) else np.zeros(1), listen, listen / 10,
    )  # fmt: skip
    return times, pace.astype(np.float32)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """At most 10,000 evenly spaced quantiles; all values where there are fewer."""
    ordered = np.sort(values).astype(np.float64)
    if len(ordered) <= _QUANTILES:
        return ordered
    places = ((np.arange(_QUANTILES) + 0.5) / _QUANTILES * len(ordered)).astype(np.int64)
    found: np.ndarray = ordered[places]
    return found


def tastes_before(
    sessions: Sessions, which: Int64[np.ndarray, "s"], embeddings: Float32[np.ndarray, "N D"], window: int
) -> Float32[np.ndarray, "s D"]:
    """The mean embedding of what each user consumed last before some sessions; 0 for nothing."""
    first = sessions.first[which]
    count = np.minimum(first - sessions.user_start[which], window)
    sums = np.concatenate(
        [np.zeros((1, embeddings.shape[1])), np.cumsum(embeddings[sessions.item], 0, dtype=np.float64)]
    )
    mean: np.ndarray = (sums[first] - sums[first - count]) / np.maximum(count, 1)[:, None]
    return mean.astype(np.float32)


def records_before(
    sessions: Sessions,
    which: Int64[np.ndarray, "s"],
    now_s: np.ndarray,
    window: int,
    embeddings: Float32[np.ndarray, "N D"],
    pace: Float32[np.ndarray, "U"],
) -> ACTRRecords:
    """Users as they stood before some sessions, each of which has one before it.

    Args:
        sessions: of the log.
        which: their numbers.
        now_s: the moment that becomes 0; not before the last event of the session before.
        window: H, the newest events that are kept.
        embeddings: of the items.
        pace: of each user.
    """
    n, first = len(embeddings), sessions.first[which]
    index = first[:, None] - window + np.arange(window)
    there = index >= sessions.user_start[which][:, None]
    index = np.where(there, index, 0)
    return ACTRRecords(
        np.where(there, sessions.item[index], n),
        np.where(there, sessions.time_s[index] - now_s[:, None], 0.0),
        sessions.start_s[which - 1] - now_s,
        tastes_before(sessions, which, embeddings, window),
        pace[sessions.user[which]],
    )
