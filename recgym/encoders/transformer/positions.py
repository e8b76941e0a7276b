"""Position parts of a Transformer: what an attention logit knows of where and when its two events stand."""

import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from recgym.encoders.batch import Where
from recgym.encoders.transformer.pointwise import Lookups

__all__ = ["LearnedPositions", "PositionPart", "RelativePositions", "Rotary", "Summed", "TimeBuckets"]

_QUERIES, _TILE = 64, 130_000
"""As in pointwise attention: what the processor's cache holds is worked on at once."""


class PositionPart(nn.Module):
    """Knows nothing of positions; the base of those that do, each of which replaces one of the three methods.

    A part enters at the input (:meth:`embed`), by turning queries and keys (:meth:`rotate`), or as a term of the logits
    (:meth:`bias`).

    Attributes:
        sliding: only differences of positions count, so that a history may grow beyond any window.
        needs_time: histories must say when events were.
        needs_query_time: histories must say when the next item was asked for.
        biased: whether :meth:`bias` gives anything.
    """

    sliding = True
    needs_time = False
    needs_query_time = False
    biased = False

    def embed(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """The input with positions."""
        return vectors

    def rotate(self, vectors: Float32[Tensor, "B H T d"], where: Where) -> Float32[Tensor, "B H T d"]:
        """Queries or keys with positions."""
        return vectors

    def bias(
        self, queries: Float32[Tensor, "B H Q d"], keys: Float32[Tensor, "B J T d"], at: Where, of: Where
    ) -> Float32[Tensor, "X Y Q T"] | None:
        """A term of the logits, before masking; ``X`` is B or 1, ``Y`` is H or 1.

        Args:
            queries: as they enter the product.
            keys: likewise; J is H or 1.
            at: where the queries stand.
            of: where the keys stand.
        """
        return None

    def prepare(self, where: Where) -> Where:
        """What all blocks need and is worth making once for them; of an aligned history that sees its past alone."""
        return where

    def lookups(self, where: Where) -> Lookups | None:
        """What :meth:`bias` gives in such a history, as entries of tables; None if it is not that."""
        return None if self.biased else Lookups()


class LearnedPositions(PositionPart):
    """A learned vector a position, added to the input.

    Args:
        window: positions.
        width: D.
        spread: standard deviation of the first vectors.
    """

    sliding = False

    def __init__(self, window: int, width: int, spread: float = 0.02) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(window, width) * spread)

    def embed(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`PositionPart`."""
        # Rows beyond the window are encoded anew, and what comes of them here is not used.
        return vectors + functional.embedding(where.position.clamp(max=len(self.table) - 1), self.table)


class Rotary(PositionPart):
    """Rotary positions (arXiv 2104.09864): pairs of coordinates turn by an angle that grows with the position.

    Args:
        head_width: d, even.
        base: of the wavelengths.
    """

    rates: Tensor

    def __init__(self, head_width: int, base: float = 10_000.0) -> None:
        super().__init__()
        if head_width % 2:
            raise ValueError(f"rotary positions need heads of an even width, found {head_width}")
        self.register_buffer("rates", base ** (-torch.arange(0, head_width, 2) / head_width), persistent=False)

    def rotate(self, vectors: Float32[Tensor, "B H T d"], where: Where) -> Float32[Tensor, "B H T d"]:
        """See :class:`PositionPart`."""
        angle = where.position[:, None, :, None] * self.rates
        sine, cosine = angle.sin(), angle.cos()
        first, second = vectors.chunk(2, -1)
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)


class RelativePositions(PositionPart):
    """A learned number for each distance between query and key, in both directions: ``2 window - 1`` of them.

    Args:
        window: distances beyond it count as the largest.
        heads: numbers of its own for each head; 1 shares them.
    """

    biased = True

    def __init__(self, window: int, heads: int = 1) -> None:
        super().__init__()
        self.window = window
        self.table = nn.Parameter(0.02 * torch.randn(heads, 2 * window - 1))

    def bias(
        self, queries: Float32[Tensor, "B H Q d"], keys: Float32[Tensor, "B J T d"], at: Where, of: Where
    ) -> Float32[Tensor, "X Y Q T"]:
        """See :class:`PositionPart`."""
        size, longest = at.position.shape[1], self.window - 1
        if at is of and size and _counts_up(at):  # One matrix serves all users, each row of it the one above moved on.
            distance = torch.arange(size - 1, -size, -1, device=self.table.device).clamp(-longest, longest)
            return self.table[:, distance + longest].unfold(1, size, 1).flip(1)[None]
        distance = at.position[:, :, None] - of.position[:, None, :]
        index = distance.clamp(1 - self.window, self.window - 1) + self.window - 1
        return self.table[:, index].transpose(0, 1)

    def lookups(self, where: Where) -> Lookups | None:
        """See :class:`PositionPart`."""
        distance = torch.arange(where.position.shape[1], device=self.table.device).clamp(max=self.window - 1)
        return Lookups(line=self.table[:, distance + self.window - 1]) if _counts_up(where) else None


class TimeBuckets(PositionPart):
    """A learned number for each order of magnitude of the time between query and key (HSTU, arXiv 2402.17152).

    The bucket is ``floor(ln(max(|dt|, 1)) / 0.301)``, at most 128. The published variant compares a key with the moment
    of the *next* event, the one to be foretold; here that is only done if asked for.

    Args:
        sees_query_time: the time of the query counts in place of that of the event it is asked after.
        buckets: the largest bucket, at most 255.
        heads: numbers of its own for each head; 1 shares them.
    """

    needs_time = True
    biased = True

    def __init__(self, sees_query_time: bool = False, buckets: int = 128, heads: int = 1) -> None:
        super().__init__()
        if not 0 < buckets < 256:
            raise ValueError(f"the largest time bucket must be from 1 to 255, found {buckets}")
        self.sees_query_time = self.needs_query_time = sees_query_time
        self.buckets = buckets
        self.table = nn.Parameter(0.02 * torch.randn(heads, buckets + 1))

    def bias(
        self, queries: Float32[Tensor, "B H Q d"], keys: Float32[Tensor, "B J T d"], at: Where, of: Where
    ) -> Float32[Tensor, "X Y Q T"]:
        """See :class:`PositionPart`."""
        now, then = self._times(at, of)
        bucket = _bucket(now[:, :, None], then[:, None, :], self.buckets).int()
        # Not by an index of brackets, which is ten times slower.
        return self.table.index_select(1, bucket.flatten()).reshape(len(self.table), *bucket.shape).transpose(0, 1)

    def prepare(self, where: Where) -> Where:
        """See :class:`PositionPart`; the time biases of all blocks must look back from the same moment."""
        if where.bucket is not None:
            return where
        now, then = self._times(where, where)
        users, size = then.shape
        found = torch.zeros((users, size, size), dtype=torch.uint8, device=then.device)
        wide = max(1, _TILE // (_QUERIES * max(size, 1)))
        for first in range(0, users, wide):
            for start in range(0, size, _QUERIES):
                some, rows, past = slice(first, first + wide), slice(start, start + _QUERIES), slice(start + _QUERIES)
                found[some, rows, past] = _bucket(now[some, rows, None], then[some, None, past], self.buckets)
        return where._replace(bucket=found)

    def lookups(self, where: Where) -> Lookups | None:
        """See :class:`PositionPart`."""
        return Lookups(table=self.table, bucket=self.prepare(where).bucket)

    def _times(self, at: Where, of: Where) -> tuple[Float64[Tensor, "B Q"], Float64[Tensor, "B T"]]:
        now = at.query_time_s if self.sees_query_time else at.time_s
        if now is None or of.time_s is None:
            what = "the time of the query" if self.sees_query_time else "the times of events"
            raise ValueError(f"a time bias needs {what}, found a history without")
        return now, of.time_s


def _bucket(now: Float64[Tensor, "B Q 1"], then: Float64[Tensor, "B 1 T"], most: int) -> UInt8[Tensor, "B Q T"]:
    apart = (now - then).float().abs_().clamp_(min=1)
    return apart.log_().div_(0.301).clamp_(max=most).to(torch.uint8)


class Summed(PositionPart):
    """Several parts at once."""

    def __init__(self, *parts: PositionPart) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.sliding = all(part.sliding for part in parts)
        self.needs_time = any(part.needs_time for part in parts)
        self.needs_query_time = any(part.needs_query_time for part in parts)
        self.biased = any(part.biased for part in parts)

    def embed(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`PositionPart`."""
        for part in self.parts:
            assert isinstance(part, PositionPart)
            vectors = part.embed(vectors, where)
        return vectors

    def rotate(self, vectors: Float32[Tensor, "B H T d"], where: Where) -> Float32[Tensor, "B H T d"]:
        """See :class:`PositionPart`."""
        for part in self.parts:
            assert isinstance(part, PositionPart)
            vectors = part.rotate(vectors, where)
        return vectors

    def bias(
        self, queries: Float32[Tensor, "B H Q d"], keys: Float32[Tensor, "B J T d"], at: Where, of: Where
    ) -> Float32[Tensor, "X Y Q T"] | None:
        """See :class:`PositionPart`."""
        total: Tensor | None = None
        for part in self.parts:
            assert isinstance(part, PositionPart)
            term = part.bias(queries, keys, at, of)
            if term is not None:
                total = term if total is None else total + term
        return total

    def prepare(self, where: Where) -> Where:
        """See :class:`PositionPart`."""
        for part in self.parts:
            assert isinstance(part, PositionPart)
            where = part.prepare(where)
        return where

    def lookups(self, where: Where) -> Lookups | None:
        """See :class:`PositionPart`."""
        total = Lookups()
        for part in self.parts:
            assert isinstance(part, PositionPart)
            found = part.lookups(where)
            if found is None or any(a is not None and b is not None for a, b in zip(total, found, strict=True)):
                return None
            total = Lookups(*(b if a is None else a for a, b in zip(total, found, strict=True)))
        return total


def _counts_up(where: Where) -> bool:
    """Whether all rows have the positions 0, 1, 2, ..., as an aligned batch has."""
    count = torch.arange(where.position.shape[1], device=where.position.device)
    return bool((where.position == count).all())
