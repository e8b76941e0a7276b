"""Transforms of what is trained on: pure functions, and their random or configured forms for a stage of training."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from recgym.encoders.batch import Batch, Example, Where
from recgym.encoders.sessions import Borders, Pieces, session_starts

__all__ = [
    "Cloze", "Crop", "OnlyLiked", "Segment", "Sessionise", "WithinSessions",
    "cloze", "crop", "rejoin", "segment", "sessionise", "within_sessions",
]  # fmt: skip


def crop(example: Example, first: Int64[Tensor, "B"], length: Int64[Tensor, "B"], num_items: int) -> Example:
    """Of each history the events ``first`` to ``first + length - 1``, with their targets.

    Args:
        example: with aligned inputs.
        first: at least 0.
        length: at least 0; a crop ends with the history at the latest.
        num_items: N, which stands for "no target".
    """
    end = torch.minimum(first + length, example.inputs.lengths)
    width = int((end - first).max().clamp(min=1)) if len(end) else 1
    column = first[:, None] + torch.arange(width, device=first.device)
    mask = column < end[:, None]
    column = column.clamp(max=example.inputs.items.shape[1] - 1)

    def take(part: Tensor) -> Tensor:
        index = column.reshape(*column.shape, *(1,) * (part.ndim - 2)).expand(*column.shape, *part.shape[2:])
        return part.gather(1, index)

    return example._replace(
        inputs=replace(example.inputs.map(take), mask=mask),
        targets=torch.where(mask, take(example.targets), num_items),
        first=torch.where(first == 0, example.first, num_items),
        target_session=None if example.target_session is None else take(example.target_session),
    )


@dataclass(frozen=True)
class Crop:
    """A random stretch of each history, of a given share of its events (CL4SRec, arXiv 2010.14395, section 3.3).

    Attributes:
        num_items: N.
        share: of the events that are kept, rounded down, at least one.
    """

    num_items: int
    share: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"the share of events kept must be above 0 and at most 1, found {self.share}")

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """See :class:`recgym.encoders.fit.Transform`."""
        lengths = example.inputs.lengths
        length = (lengths * self.share).long().clamp(min=1)
        room = (lengths - length + 1).clamp(min=1)
        draws = torch.rand(len(lengths), generator=generator, device=lengths.device)
        return crop(example, (draws * room).long().clamp(max=room - 1), length, self.num_items)


@dataclass(frozen=True)
class OnlyLiked:
    """Every event is an input, but only those with feedback above a bound are foretold.

    Where users give some feedback to all that they are shown, such as seconds of watch time, what comes next is what
    some policy showed; what they liked of it is up to them. The last target of each example goes too: the feedback to
    it is not among the inputs.

    Attributes:
        num_items: N, which stands for "no target".
        channel: of the feedback.
        above: the bound.
    """

    num_items: int
    channel: int
    above: float = 0.0

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """See :class:`recgym.encoders.fit.Transform`.

        Raises:
            ValueError: the histories are without feedback.
        """
        if example.inputs.feedback is None:
            raise ValueError("what users liked is told by feedback, found histories without")
        liked = (example.inputs.feedback[:, :, self.channel] > self.above) & example.inputs.mask
        follows = torch.cat([liked[:, 1:], torch.zeros_like(liked[:, :1])], 1)
        return example._replace(
            targets=torch.where(follows, example.targets, self.num_items),
            first=torch.where(liked[:, 0], example.first, self.num_items),
        )


def _cut(example: Example, opens: Bool[Tensor, "B T"], num_items: int) -> Example:
    """Every piece as an example of its own."""
    inputs = example.inputs
    pieces = Pieces.cut(opens, inputs.mask)

    def pack(part: Tensor) -> Tensor:
        return pieces.pack(part[inputs.mask])

    leads = torch.ones_like(pieces.owner, dtype=torch.bool)
    leads[1:] = pieces.owner[1:] != pieces.owner[:-1]
    return Example(
        replace(inputs.map(pack), mask=pieces.mask),
        pieces.pack(example.targets[inputs.mask], num_items),
        torch.where(leads, example.first[pieces.owner], num_items),
        example.users[pieces.owner],
        None if example.target_session is None else pack(example.target_session),
    )


def segment(example: Example, length: int, num_items: int) -> Example:
    """Histories cut into pieces of at most ``length`` events, from the end; each keeps its targets.

    Args:
        example: with aligned inputs.
        length: at least 1.
        num_items: N, which stands for "no target".
    """
    where = example.inputs.where()
    opens = ((example.inputs.lengths[:, None] - where.position) % length == 0) | (where.position == 0)
    return _cut(example, opens & where.mask, num_items)


@dataclass(frozen=True)
class Segment:
    """See :func:`segment`.

    Attributes:
        num_items: N.
        length: events of a piece at most.
    """

    num_items: int
    length: int

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"a piece of a history needs at least 1 event, found {self.length}")

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """See :class:`recgym.encoders.fit.Transform`."""
        return segment(example, self.length, self.num_items)


def within_sessions(example: Example, borders: Borders, num_items: int) -> Example:
    """Without the targets that lie in a later session than the event they would be foretold from.

    Args:
        example: with aligned inputs.
        borders: where sessions end.
        num_items: N, which stands for "no target".
    """
    where = example.inputs.where()
    asked = Where(where.position + 1, where.mask, where.query_time_s, session=example.target_session)
    return example._replace(targets=torch.where(borders.between(where, asked), num_items, example.targets))


@dataclass(frozen=True)
class WithinSessions:
    """See :func:`within_sessions`.

    Attributes:
        num_items: N.
        borders: where sessions end.
    """

    num_items: int
    borders: Borders

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """See :class:`recgym.encoders.fit.Transform`."""
        return within_sessions(example, self.borders, self.num_items)


def sessionise(example: Example, borders: Borders, num_items: int) -> Example:
    """Every session as a history of its own, without targets in another session.

    Args:
        example: with aligned inputs.
        borders: where sessions end.
        num_items: N, which stands for "no target".
    """
    opens = session_starts(example.inputs.where(), borders)
    return _cut(within_sessions(example, borders, num_items), opens, num_items)


@dataclass(frozen=True)
class Sessionise:
    """See :func:`sessionise`.

    Attributes:
        num_items: N.
        borders: where sessions end.
    """

    num_items: int
    borders: Borders

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """See :class:`recgym.encoders.fit.Transform`."""
        return sessionise(example, self.borders, self.num_items)


def rejoin(example: Example, num_items: int) -> Batch:
    """The histories together with each row's newest target: what the example was made from.

    The feedback of that last event is not known to an example; it is blank.

    Args:
        example: with aligned inputs, each event the target of the one before.
        num_items: N, which stands for "no target".
    """
    inputs = example.inputs
    end, newest = inputs.lengths[:, None], (inputs.lengths[:, None] - 1).clamp(min=0)
    target = example.targets.gather(1, newest)
    there = (target != num_items) & (end > 0)
    whole = inputs.append(num_items)
    changed = replace(
        whole,
        items=whole.items.scatter(1, end, target),
        mask=whole.mask.scatter(1, end, there),
        query_time_s=None,
    )
    if whole.time_s is not None and inputs.query_time_s is not None:
        changed = replace(changed, time_s=whole.time_s.scatter(1, end, inputs.query_time_s.gather(1, newest)))
    if whole.session is not None and example.target_session is not None:
        changed = replace(changed, session=whole.session.scatter(1, end, example.target_session.gather(1, newest)))
    return changed


def cloze(batch: Batch, hidden: Bool[Tensor, "B T"], token: int) -> Batch:
    """Some events hidden: a token stands for the item, there is no feedback, the time is that of the last event seen.

    So a hidden event looks just as the one that :attr:`recgym.encoders.SequenceEncoder.probe` puts at the end.

    Args:
        batch: aligned.
        hidden: which events.
        token: special id.
    """
    changed = replace(batch, items=torch.where(hidden, token, batch.items))
    if batch.feedback is not None:
        changed = replace(changed, feedback=batch.feedback.masked_fill(hidden[..., None], 0.0))
    if batch.time_s is not None:
        column = torch.arange(hidden.shape[1], device=hidden.device).expand_as(hidden)
        seen = torch.where(hidden, 0, column).cummax(1).values
        changed = replace(changed, time_s=batch.time_s.gather(1, seen))
    return changed


@dataclass(frozen=True)
class Cloze:
    """Hides random items, which are then the targets (BERT4Rec, arXiv 1904.06690, section 3.6).

    Of each history ``max(1, round(ratio * events))`` events are hidden. A share of the histories hides its last event
    alone, as at inference.

    Attributes:
        num_items: N.
        token: special id that stands for a hidden item.
        window: events of a history at most; the newest count.
        ratio: of events hidden.
        last_only: share of the histories that hide their last event alone; 1 for all.
    """

    num_items: int
    token: int
    window: int
    ratio: float = 0.2
    last_only: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"the ratio of hidden events must be above 0 and at most 1, found {self.ratio}")
        if not 0 <= self.last_only <= 1:
            raise ValueError(f"last_only is a share of histories, 0 to 1, found {self.last_only}")

    def __call__(self, example: Example, generator: torch.Generator) -> Example:
        """See :class:`recgym.encoders.fit.Transform`."""
        whole = rejoin(example, self.num_items).last(self.window)
        hidden = self.choose(whole.mask, generator)
        targets = torch.where(hidden, whole.items, self.num_items)
        return example._replace(inputs=cloze(whole, hidden, self.token), targets=targets, target_session=whole.session)

    def choose(self, mask: Bool[Tensor, "B T"], generator: torch.Generator) -> Bool[Tensor, "B T"]:
        """Which events to hide, of aligned histories."""
        lengths = mask.sum(1, keepdim=True)
        draws = torch.rand(mask.shape, generator=generator, device=mask.device).masked_fill(~mask, 2.0)
        rank = draws.argsort(1).argsort(1)
        anywhere = rank < (self.ratio * lengths).round().clamp(min=1)
        last = torch.arange(mask.shape[1], device=mask.device) == lengths - 1
        only = torch.rand((len(mask), 1), generator=generator, device=mask.device) < self.last_only
        return torch.where(only, last, anywhere) & mask
