"""Two small binary classifiers: a linear one, and boosted trees for whatever is not linear.

Both are deterministic and take a matrix without NaN.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

__all__ = ["boosted_trees", "logistic_regression"]

_BINS = 32


def logistic_regression(
    train: Float64[np.ndarray, "n X"],
    labels: Bool[np.ndarray, "n"],
    test: Float64[np.ndarray, "m X"],
    penalty: float = 1.0,
    steps: int = 25,
) -> Float64[np.ndarray, "m"]:
    """Logits of the test rows: minimises log-loss + penalty / 2 |w|^2 on standardised columns, by Newton's method."""
    mean, sd = train.mean(0), train.std(0)
    sd = np.where(sd > 0, sd, 1.0)
    x = np.column_stack([np.ones(train.shape[0]), np.clip((train - mean) / sd, -5, 5)])
    ridge = np.full(x.shape[1], penalty)
    ridge[0] = 1e-9
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = _sigmoid(x @ weights)
        gradient = x.T @ (p - labels) + ridge * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        move = np.linalg.solve(curvature, gradient)
        weights -= move
        if np.abs(move).max() < 1e-6:
            break
    logits: np.ndarray = np.column_stack([np.ones(test.shape[0]), np.clip((test - mean) / sd, -5, 5)]) @ weights
    return logits


def _sigmoid(x: np.ndarray) -> np.ndarray:
    p: np.ndarray = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return p


@dataclass(frozen=True)
class _Tree:
    """A complete binary tree: inner node i of a level splits ``feature[i] <= threshold[i]``.

    Attributes:
        feature: of the inner nodes, level by level.
        threshold: bins up to this one go left.
        value: of the leaves.
    """

    feature: Int64[np.ndarray, "inner"]
    threshold: Int64[np.ndarray, "inner"]
    value: Float64[np.ndarray, "leaves"]

    def predict(self, bins: Int64[np.ndarray, "n X"]) -> Float64[np.ndarray, "n"]:
        """The leaf values of some rows."""
        rows, node = np.arange(bins.shape[0]), np.zeros(bins.shape[0], dtype=np.int64)
        for _ in range(int(np.log2(self.value.size))):
            node = 2 * node + 1 + (bins[rows, self.feature[node]] > self.threshold[node])
        return self.value[node - self.feature.size]


def boosted_trees(
    train: Float64[np.ndarray, "n X"],
    labels: Bool[np.ndarray, "n"],
    test: Float64[np.ndarray, "m X"],
    rounds: int = 60,
    depth: int = 3,
    rate: float = 0.15,
    penalty: float = 5.0,
    least: float = 4.0,
) -> Float64[np.ndarray, "m"]:
    """Logits of the test rows by gradient boosting with second-order leaf values (XGBoost, arXiv 1603.02754).

    Args:
        train: the training rows.
        labels: of the training rows.
        test: the rows to score.
        rounds: how many trees.
        depth: their depth.
        rate: share of each tree's answer that is kept.
        penalty: added to the curvature in each leaf.
        least: curvature that either side of a split keeps at least; a row that nothing is known of has 1/4.
    """
    edges = [np.unique(np.quantile(column, np.arange(1, _BINS) / _BINS)) for column in train.T]
    binned, asked = (
        np.stack([np.searchsorted(e, column, side="left") for e, column in zip(edges, x.T, strict=True)], 1)
        for x in (train, test)
    )
    share = np.clip(labels.mean(), 1e-3, 1 - 1e-3)
    start = float(np.log(share / (1 - share)))
    logits, answer = np.full(train.shape[0], start), np.full(test.shape[0], start)
    for _ in range(rounds):
        p = _sigmoid(logits)
        tree = _grow(binned, p - labels, p * (1 - p), depth, penalty, least)
        logits += rate * tree.predict(binned)
        answer += rate * tree.predict(asked)
    return answer


def _grow(
    bins: np.ndarray, gradient: np.ndarray, curvature: np.ndarray, depth: int, penalty: float, least: float
) -> _Tree:
    """Grow a tree level by level; a node that no split improves sends everything left."""
    n, width = bins.shape
    inner = 2**depth - 1
    feature, threshold = np.zeros(inner, dtype=np.int64), np.full(inner, _BINS, dtype=np.int64)
    node, cell = np.zeros(n, dtype=np.int64), bins + np.arange(width) * _BINS
    for level in range(depth):
        nodes, first = 2**level, 2**level - 1
        flat = ((node - first)[:, None] * (width * _BINS) + cell).ravel()
        g, h = (
            np.bincount(flat, weights=np.repeat(values, width), minlength=nodes * width * _BINS)
            .reshape(nodes, width, _BINS)
            .cumsum(2)
            for values in (gradient, curvature)
        )
        rest_g, rest_h = (total[:, :, -1:] - total for total in (g, h))
        gain = g**2 / (h + penalty) + rest_g**2 / (rest_h + penalty) - (g + rest_g) ** 2 / (h + rest_h + penalty)
        gain = np.where((h >= least) & (rest_h >= least), gain, 0.0).reshape(nodes, -1)
        best = gain.argmax(1)
        useful = gain[np.arange(nodes), best] > 0
        here = slice(first, first + nodes)
        feature[here] = np.where(useful, best // _BINS, 0)
        threshold[here] = np.where(useful, best % _BINS, _BINS)
        node = 2 * node + 1 + (bins[np.arange(n), feature[node]] > threshold[node])
    leaf = node - inner
    sums = np.bincount(leaf, weights=gradient, minlength=2**depth)
    weight = np.bincount(leaf, weights=curvature, minlength=2**depth)
    return _Tree(feature, threshold, -sums / (weight + penalty))
