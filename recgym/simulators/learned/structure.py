"""What a log tells of its channels: which one opens the others, which exclude each other, and what values they take."""

import numpy as np

from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.simulators.learned.cells import CellsHead, fit_cells
from recgym.simulators.learned.heads import BinaryHead, RestHead
from recgym.simulators.learned.lengths import UNIT_S, tells_more_as_share
from recgym.types import Array

__all__ = ["behind_gate", "find_exclusive", "find_gate", "fit_head"]

_EXPECTED_TOGETHER = 20.0


def find_gate(schema: FeedbackSchema, labels: np.ndarray, observed: np.ndarray) -> int | None:
    """The first binary channel that varies and without which all other channels are 0 (or not observed)."""
    if len(schema) < 2:
        return None
    for index, channel in enumerate(schema.channels):
        closed = observed[:, index] & (labels[:, index] == 0)
        if channel.kind is not ChannelKind.BINARY or not observed[:, index].all() or not closed.any() or closed.all():
            continue
        others = np.delete(labels[closed] * observed[closed], index, axis=1)
        if not others.any():
            return index
    return None


def behind_gate(gate: int | None, labels: Array, observed: Array) -> Array:
    """Which values ``[R, F]`` are observed and, beside the gate, behind an open one; always a new array."""
    if gate is None:
        return observed & observed
    behind = observed & (labels[:, gate : gate + 1] > 0)
    behind[:, gate] = observed[:, gate]
    return behind


def find_exclusive(
    schema: FeedbackSchema, labels: np.ndarray, behind: np.ndarray, gate: int | None
) -> tuple[tuple[int, ...], ...]:
    """For each binary channel those before it that exclude it and each other.

    Two channels exclude each other if they were never 1 together although chance would have had it 20 times.
    """
    found: list[tuple[int, ...]] = []
    for index, channel in enumerate(schema.channels):
        earlier: list[int] = []
        if channel.kind is ChannelKind.BINARY and index != gate:
            for other in range(index):
                if other == gate or schema.channels[other].kind is not ChannelKind.BINARY:
                    continue
                both = behind[:, index] & behind[:, other]
                one, two = labels[both, index] > 0, labels[both, other] > 0
                expected = one.mean() * two.sum() if both.any() else 0.0
                never = not (one & two).any() and expected >= _EXPECTED_TOGETHER
                if never and all(member in found[other] for member in earlier):
                    earlier.append(other)
        found.append(tuple(earlier))
    return tuple(found)


def fit_head(
    channel: Channel,
    index: int,
    labels: np.ndarray,
    behind: np.ndarray,
    earlier: tuple[int, ...],
    lengths: np.ndarray | None,
) -> BinaryHead | RestHead | CellsHead:
    """The head of a channel, in the shape of the values that it is to model."""
    use = behind[:, index] & (labels[:, list(earlier)] == 0).all(1)
    values = labels[use, index].astype(np.float64)
    if channel.kind is ChannelKind.BINARY:
        return RestHead() if earlier and values.size and values.all() else BinaryHead()
    if channel.kind is ChannelKind.RATING:
        return fit_cells(values, hurdle=False, whole=False, relative=False)
    some = values > 0
    if not some.any():
        return fit_cells(np.ones(1), hurdle=True, whole=False, relative=False)
    whole, relative = channel.kind is ChannelKind.COUNT, False
    numbers = values[some]
    if lengths is not None:
        length = lengths[use][some].astype(np.float64)
        relative = tells_more_as_share(channel, numbers, length)
        numbers = numbers * UNIT_S[channel.unit] / length if relative else numbers
    return fit_cells(numbers, hurdle=True, whole=whole, relative=relative)
