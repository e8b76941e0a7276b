"""What users may have passed over, where the log does not say: items sampled for each consumption."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from recgym.data.schema import InteractionLog

__all__ = ["Rows", "first_time_seen", "impute"]


@dataclass(frozen=True)
class Rows:
    """Rows of exposures, sorted by exposure.

    Attributes:
        step: exposure of each row.
        item: item shown.
        position: its position, -1 if unknown.
        labels: feedback, 0 where it was not observed.
        observed: where it was observed.
        real: False for imputed rows.
    """

    step: Int64[np.ndarray, "R"]
    item: Int64[np.ndarray, "R"]
    position: Int64[np.ndarray, "R"]
    labels: Float32[np.ndarray, "R F"]
    observed: Bool[np.ndarray, "R F"]
    real: Bool[np.ndarray, "R"]


def first_time_seen(log: InteractionLog, earlier: np.ndarray | None) -> np.ndarray:
    """When each item was first seen, infinity if never; of a log without times, all have been there from the start."""
    item = log.frame["item"].to_numpy()
    first = np.full(log.n_items, np.inf) if earlier is None else earlier.copy()
    if log.time_unit == "s":
        np.minimum.at(first, item, log.frame["time_s"].to_numpy())
    else:
        first[item] = -np.inf
    return first


def impute(
    rows: Rows,
    gate: int,
    negatives: int,
    first_time: np.ndarray,
    row_time: np.ndarray,
    generator: np.random.Generator,
) -> Rows:
    """Add ``negatives`` items to each row, as passed over: drawn uniformly among those seen before the row's time.

    Those that the user took in the same step fall out. A row in which an item is seen for the first time is not to be
    explained and gets none: no item can be passed over before it is seen, so "never seen" would tell what was taken.
    """
    catalogue = np.flatnonzero(first_time < np.inf)
    catalogue = catalogue[np.argsort(first_time[catalogue], kind="stable")]
    there = np.searchsorted(first_time[catalogue], row_time)
    known = first_time[rows.item] < row_time
    step = np.repeat(rows.step[known], negatives)
    item = catalogue[(generator.random(step.size) * np.repeat(there[known], negatives)).astype(np.int64)]
    span = first_time.size
    keep = ~np.isin(step * span + item, rows.step * span + rows.item)
    step, item = step[keep], item[keep]
    explained = rows.observed & known[:, None]
    labels = np.zeros((step.size, rows.labels.shape[1]), dtype=np.float32)
    observed = np.zeros(labels.shape, dtype=bool)
    observed[:, gate] = True
    order = np.argsort(np.concatenate([rows.step, step]), kind="stable")
    return Rows(
        np.concatenate([rows.step, step])[order], np.concatenate([rows.item, item])[order],
        np.full(order.size, -1), np.concatenate([rows.labels, labels])[order],
        np.concatenate([explained, observed])[order],
        np.concatenate([rows.real, np.zeros(step.size, dtype=bool)])[order],
    )  # fmt: skip
