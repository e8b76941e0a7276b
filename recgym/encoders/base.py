"""The one face of every sequence encoder, and the two ways to go step by step: incrementally, or over the window."""

from abc import ABC, abstractmethod
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor, nn

from recgym.arrays import where_rows
from recgym.encoders.batch import Batch, Event, Where, restore
from recgym.encoders.events import EventInputs, gap_s
from recgym.encoders.heads import newest
from recgym.encoders.items import ItemModule, lookup

__all__ = ["Backbone", "Capabilities", "EncoderState", "SequenceEncoder", "Window"]

Memory = TypeVar("Memory")


class Capabilities(NamedTuple):
    """What an encoder can do.

    Attributes:
        causal: the state at an event does not depend on later ones, so all positions are trained at once.
        incremental: a step costs the same however many events came before; otherwise the window is encoded anew.
        needs_time: histories must say when events were.
        sliding: going step by step equals :meth:`SequenceEncoder.forward` over the whole history also once the history
            is longer than the window; otherwise it then equals ``forward`` over the newest events that fit.
    """

    causal: bool
    incremental: bool
    needs_time: bool = False
    sliding: bool = False


class Backbone(nn.Module, ABC, Generic[Memory]):
    """Turns the vectors of a history's events into states.

    Histories are aligned: padding is on the right, so that causal backbones need not look for it.

    Attributes:
        capabilities: what it can do.
    """

    capabilities: Capabilities

    @abstractmethod
    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """The state after each event; anything at padding."""

    def forward_with_aux(self, vectors: Float32[Tensor, "B T W"], where: Where) -> tuple[Float32[Tensor, "B T D"], Any]:
        """The states, and what else came up on the way that terms of an objective look at; None in most backbones."""
        return self(vectors, where), None

    @abstractmethod
    def init_memory(self, users: int, window: int, device: torch.device) -> Memory:
        """What is known of users before their first event: a (nested) tuple of arrays with users along the first axis.

        Called for incremental backbones only.
        """

    @abstractmethod
    def step(
        self, memory: Memory, vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[Memory, Float32[Tensor, "B D"]]:
        """The memory and the state after one more event of each user. ``where`` has T = 1. Incremental ones only."""

    def remember(
        self, vectors: Float32[Tensor, "B T W"], where: Where, window: int
    ) -> tuple[Memory, Float32[Tensor, "B T D"]]:
        """The memory after whole histories, and the states on the way: what a chain of :meth:`step` comes to.

        Incremental backbones only; those that can do it in one pass replace this loop.

        Args:
            vectors: of the events, padding on the right.
            where: of the events.
            window: as in :meth:`init_memory`.
        """
        memory = self.init_memory(len(vectors), window, vectors.device)
        states = []
        for t in range(vectors.shape[1]):
            at = Where(*(None if part is None else part[:, t : t + 1] for part in where))  # type: ignore[arg-type]
            after, state = self.step(memory, vectors[:, t], at)
            memory = where_rows(where.mask[:, t], after, memory)
            states.append(state)
        return memory, torch.stack(states, 1)


class Window(NamedTuple):
    """The newest events of each user, right-aligned: what encoders that are not incremental encode anew.

    Attributes:
        items: item ids.
        mask: where an event is.
        time_s: as in :class:`recgym.encoders.Batch`.
        feedback: likewise.
    """

    items: Int64[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    time_s: Float64[Tensor, "B T"]
    feedback: Float32[Tensor, "B T F"]


class EncoderState(NamedTuple):
    """What an encoder keeps of each user between events.

    Attributes:
        memory: of the backbone; empty if it is not incremental.
        recent: the newest events; empty if they are never encoded anew.
        events: how many so far.
        time_s: of the newest event.
        state: after the newest event; of a user without events, the encoder's ``blank``.
    """

    memory: Any
    recent: Window | tuple[()]
    events: Int64[Tensor, "B"]
    time_s: Float64[Tensor, "B"]
    state: Float32[Tensor, "B D"]


class SequenceEncoder(nn.Module):
    """Histories in, states out: an item module, what else an event brings, and a backbone.

    An item id outside the catalogue raises; a history longer than the window counts by its newest events (unless the
    backbone is sliding, which takes any length); a user without events has the state ``blank``, a learned vector.

    Args:
        items: gives items their vectors.
        events: adds feedback and time.
        backbone: turns vectors into states.
        window: T, events that the encoder looks back on.
        scale: factor of the item vectors at the input, such as sqrt(D).
        dropout: of the input.
        probe: a special id that stands for the item to come, as in cloze models; :meth:`final` puts it after the newest
            event and gives its state. None for the state at the newest event itself.
    """

    def __init__(
        self,
        items: ItemModule,
        events: EventInputs,
        backbone: Backbone[Any],
        window: int,
        scale: float = 1.0,
        dropout: float = 0.0,
        probe: int | None = None,
    ) -> None:
        super().__init__()
        if window < 1 + (probe is not None):
            raise ValueError(f"the window must hold at least one event, and the probe if there is one, found {window}")
        self.items = items
        self.events = events
        self.backbone = backbone
        self.window, self.scale, self.probe = window, scale, probe
        self.dropout = nn.Dropout(dropout)
        self.blank = nn.Parameter(torch.zeros(items.width))

    @property
    def width(self) -> int:
        """D, width of a state."""
        return self.items.width

    @property
    def capabilities(self) -> Capabilities:
        """What the encoder can do."""
        able = self.backbone.capabilities
        return able._replace(needs_time=able.needs_time or self.events.needs_time)

    def forward(self, batch: Batch, table: Float32[Tensor, "R D"] | None = None) -> Float32[Tensor, "B T D"]:
        """The states of :meth:`forward_with_aux`."""
        return self.forward_with_aux(batch, table)[0]

    def forward_with_aux(
        self, batch: Batch, table: Float32[Tensor, "R D"] | None = None
    ) -> tuple[Float32[Tensor, "B T D"], Any]:
        """The state after each event, where the event stands in the batch; 0 at padding.

        Args:
            batch: the histories, with padding on either side.
            table: of :meth:`ItemModule.table`, if the caller has it already.

        Returns:
            The states, and what :meth:`Backbone.forward_with_aux` adds, of the aligned batch.

        Raises:
            ValueError: an item id is outside the catalogue, the encoder needs times, feedback or features that the
                batch lacks, or the histories are longer than a window that cannot slide.
        """
        aligned, order = batch.aligned()
        if not self.capabilities.sliding and aligned.items.shape[1] > self.window:
            longest = int(aligned.lengths.max()) if len(aligned.lengths) else 0
            if longest > self.window:
                raise ValueError(f"a history has {longest} events, the window is {self.window}; see Batch.last")
        states, aux = self.backbone.forward_with_aux(self.inputs(aligned, table), aligned.where())
        return restore(states * aligned.mask[..., None].to(states.dtype), order), aux

    def inputs(self, batch: Batch, table: Float32[Tensor, "R D"] | None = None) -> Float32[Tensor, "B T W"]:
        """What the backbone takes, of an aligned batch; ``table`` as in :meth:`forward`."""
        items = torch.where(batch.mask, batch.items, self.items.num_items)
        vectors = lookup(self.items.table() if table is None else table, items, self.items.num_items)
        if self.scale != 1.0:
            vectors = vectors * self.scale
        gap = gap_s(batch.where()) if self.events.gaps else None
        inputs: Tensor = self.dropout(self.events(vectors, batch.feedback, gap))
        return inputs

    def asked(self, batch: Batch) -> Batch:
        """What is encoded when the next item is asked for: the newest events, aligned, and the probe, if any."""
        if self.probe is None:
            return batch.last(self.window)
        return batch.last(self.window - 1).append(self.probe)

    def final(self, batch: Batch) -> Float32[Tensor, "B D"]:
        """The state from which the item after each history is foretold; ``blank`` for a history without events."""
        asked = self.asked(batch)
        return torch.where(batch.mask.any(1)[:, None], newest(self(asked), asked), self.blank)

    def init_state(self, users: int, device: torch.device | str = "cpu") -> EncoderState:
        """The state of users without events; rows can be reset by ``recgym.arrays.where_rows``."""
        able, device = self.capabilities, torch.device(device)
        recent: Window | tuple[()] = ()
        if not (able.incremental and able.sliding):
            recent = Window(
                torch.full((users, self.window), self.items.num_items, device=device),
                torch.zeros((users, self.window), dtype=torch.bool, device=device),
                torch.zeros((users, self.window), dtype=torch.float64, device=device),
                torch.zeros((users, self.window, self.events.channels), device=device),
            )
        return EncoderState(
            self.backbone.init_memory(users, self.window, device) if able.incremental else (),
            recent,
            torch.zeros(users, dtype=torch.int64, device=device),
            torch.zeros(users, dtype=torch.float64, device=device),
            self.blank.detach().to(device).expand(users, -1).clone(),
        )

    def start(self, batch: Batch) -> EncoderState:
        """The state of users with histories: what a chain of :meth:`step` over their events comes to, in one pass.

        Args:
            batch: the histories, with padding on either side and of any length.
        """
        able, (aligned, _) = self.capabilities, batch.aligned()
        blank = self.init_state(len(batch.items), batch.items.device)
        there = aligned.mask.any(1)
        if not bool(there.any()):
            return blank
        memory, last = blank.memory, (aligned.lengths - 1).clamp(min=0)
        if able.incremental:
            # Of a history that a window cannot slide over, only the newest events count, and those are kept apart.
            fits = aligned if able.sliding else aligned.last(self.window)
            memory, states = self.backbone.remember(self.inputs(fits), fits.where(), self.window)
            rows = torch.arange(len(last), device=last.device)
            state = states[rows, last.clamp(max=states.shape[1] - 1)]
        else:
            state = self.final(aligned)
        time_s = blank.time_s
        if aligned.time_s is not None:
            time_s = torch.where(there, aligned.time_s.gather(1, last[:, None])[:, 0], time_s)
        recent = self._newest(aligned) if isinstance(blank.recent, Window) else blank.recent
        return EncoderState(memory, recent, aligned.lengths, time_s, torch.where(there[:, None], state, blank.state))

    def step(
        self, state: EncoderState, event: Event, active: Bool[Tensor, "B"] | None = None
    ) -> tuple[EncoderState, Float32[Tensor, "B D"]]:
        """One more event of each user.

        Args:
            state: from :meth:`init_state` or the last call.
            event: one event a user.
            active: users who have an event; the others stay as they are. None for all.

        Returns:
            What to pass to the next call, and the state after the newest event of each user.
        """
        after = self._step_all(state, event)
        if active is not None:
            after = where_rows(active, after, state)
        return after, after.state

    def _step_all(self, state: EncoderState, event: Event) -> EncoderState:
        able, memory, recent, new = self.capabilities, state.memory, state.recent, state.state
        if isinstance(recent, Window):
            recent = self._shift(recent, event)
        if able.incremental:
            memory, new = self.backbone.step(memory, *self._one(state, event))
            anew = state.events >= self.window if not able.sliding else torch.zeros_like(state.events, dtype=torch.bool)
        else:
            anew = torch.ones_like(state.events, dtype=torch.bool)
        if isinstance(recent, Window) and bool(anew.any()):
            timed = None if event.time_s is None else recent.time_s[anew]
            feedback = recent.feedback[anew] if self.events.channels else None
            fresh = self.final(Batch(recent.items[anew], recent.mask[anew], timed, feedback))
            new = new.clone()
            new[anew] = fresh
        time_s = state.time_s if event.time_s is None else event.time_s
        return EncoderState(memory, recent, state.events + 1, time_s, new)

    def _one(self, state: EncoderState, event: Event) -> tuple[Tensor, Where]:
        """The input of the backbone for one event a user, and where it stands."""
        where = Where(
            state.events[:, None],
            torch.ones_like(state.events[:, None], dtype=torch.bool),
            None if event.time_s is None else event.time_s[:, None],
            session=None if event.session is None else event.session[:, None],
        )
        vectors = lookup(self.items.table(), event.items[:, None], self.items.num_items) * self.scale
        gap = None
        if self.events.gaps and event.time_s is not None:
            since = (event.time_s - state.time_s).clamp(min=0)
            gap = torch.where(state.events > 0, since, -1.0).float()[:, None]
        feedback = None if event.feedback is None else event.feedback[:, None]
        inputs: Tensor = self.dropout(self.events(vectors, feedback, gap))
        return inputs[:, 0], where

    def _newest(self, batch: Batch) -> Window:
        """The newest events of an aligned batch, right-aligned."""
        column = batch.lengths[:, None] + torch.arange(-self.window, 0, device=batch.items.device)
        mask, column = column >= 0, column.clamp(min=0)

        def take(part: Tensor) -> Tensor:
            index = column if part.ndim == 2 else column[..., None].expand(-1, -1, part.shape[2])
            return part.gather(1, index)

        time_s = torch.zeros_like(mask, dtype=torch.float64)
        if batch.time_s is not None:
            time_s = take(batch.time_s) * mask
        feedback = torch.zeros((*mask.shape, self.events.channels), device=mask.device)
        if self.events.channels and batch.feedback is not None:
            feedback = take(batch.feedback) * mask[..., None]
        return Window(torch.where(mask, take(batch.items), self.items.num_items), mask, time_s, feedback)

    def _shift(self, window: Window, event: Event) -> Window:
        def shift(old: Tensor, new: Tensor | None) -> Tensor:
            newest = torch.zeros_like(old[:, :1]) if new is None else new[:, None]
            return torch.cat([old[:, 1:], newest], 1)

        return Window(
            shift(window.items, event.items),
            shift(window.mask, torch.ones_like(event.items, dtype=torch.bool)),
            shift(window.time_s, event.time_s),
            shift(window.feedback, event.feedback if self.events.channels else None),
        )
