"""GRU4Rec: recurrent networks for session-based recommendation (arXiv 1511.06939, 1706.03847)."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recgym.encoders.base import Backbone, Capabilities, SequenceEncoder
from recgym.encoders.batch import Where
from recgym.encoders.catalogue import Catalogue, EventConfig
from recgym.encoders.fit import FitConfig, Stage
from recgym.encoders.heads import LastState
from recgym.encoders.items import IdItems
from recgym.encoders.losses import BPRMaxConfig, FullSoftmaxConfig, SampledSoftmaxConfig
from recgym.encoders.model import NextItemModel
from recgym.encoders.objectives import NextItem, Objective
from recgym.encoders.scorers import Dot
from recgym.encoders.sessions import Borders, Pieces, SessionGaps, SessionNumbers, session_starts
from recgym.encoders.transforms import WithinSessions

__all__ = ["GRU4RecConfig", "GRUBackbone"]


class _Memory(NamedTuple):
    """What a recurrent network keeps of each user.

    Attributes:
        hidden: of each layer.
        time_s: of the newest event, 0 where unknown.
        session: of the newest event, -1 where unknown.
    """

    hidden: Float32[Tensor, "B L D"]
    time_s: Float64[Tensor, "B"]
    session: Int64[Tensor, "B"]


class GRUBackbone(Backbone[_Memory]):
    """Gated recurrent units over a history, begun anew with each session if sessions are asked for.

    ``z = sigmoid(W_z x + U_z h)``, ``r = sigmoid(W_r x + U_r h)``, ``c = tanh(W x + r * (U h))``,
    ``h' = (1 - z) * c + z * h``, with biases (arXiv 1511.06939, eqs. 1-4; z and 1 - z are swapped, as PyTorch has it).

    Args:
        width: D, of inputs and states alike.
        layers: one above another.
        dropout: of the states of all layers.
        borders: where the hidden state starts from 0 again; None for never.
    """

    def __init__(self, width: int, layers: int = 1, dropout: float = 0.0, borders: Borders | None = None) -> None:
        super().__init__()
        self.width, self.borders = width, borders
        self.gru = nn.GRU(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.drop = nn.Dropout(dropout)
        timed = borders is not None and borders.needs_time
        self.capabilities = Capabilities(causal=True, incremental=True, needs_time=timed, sliding=True)

    def forward(self, vectors: Float32[Tensor, "B T D"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        if self.borders is None:
            plain: Tensor = self.drop(self.gru(vectors)[0])
            return plain
        if not bool(where.mask.any()):
            return torch.zeros_like(vectors)
        # Sessions side by side as rows, so that all of them start from 0 without a loop over time.
        pieces = Pieces.cut(session_starts(where, self.borders), where.mask)
        states = self.drop(self.gru(pieces.pack(vectors[where.mask]))[0])
        out = torch.zeros_like(vectors)
        out[where.mask] = pieces.unpack(states)
        return out

    def remember(
        self, vectors: Float32[Tensor, "B T D"], where: Where, window: int
    ) -> tuple[_Memory, Float32[Tensor, "B T D"]]:
        """See :class:`recgym.encoders.Backbone`: in one pass over the sessions, of which each user's newest is kept."""
        memory, states = self.init_memory(len(vectors), window, vectors.device), torch.zeros_like(vectors)
        if not bool(where.mask.any()):
            return memory, states
        starts = where.position == 0 if self.borders is None else session_starts(where, self.borders)
        pieces = Pieces.cut(starts & where.mask, where.mask)
        rows = pack_padded_sequence(
            pieces.pack(vectors[where.mask]), pieces.mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        out, hidden = self.gru(rows)
        states[where.mask] = self.drop(pieces.unpack(pad_packed_sequence(out, batch_first=True)[0]))
        newest = torch.ones_like(pieces.owner, dtype=torch.bool)
        newest[:-1] = pieces.owner[1:] != pieces.owner[:-1]
        users, last = pieces.owner[newest], where.mask.sum(1, keepdim=True).clamp(min=1) - 1
        memory.hidden[users] = hidden.transpose(0, 1)[newest]
        if where.time_s is not None:
            memory.time_s[users] = where.time_s.gather(1, last)[users, 0]
        if where.session is not None:
            memory.session[users] = where.session.gather(1, last)[users, 0]
        return memory, states

    def init_memory(self, users: int, window: int, device: torch.device) -> _Memory:
        """See :class:`recgym.encoders.Backbone`."""
        return _Memory(
            torch.zeros((users, self.gru.num_layers, self.width), device=device),
            torch.zeros(users, dtype=torch.float64, device=device),
            torch.full((users,), -1, device=device),
        )

    def step(
        self, memory: _Memory, vectors: Float32[Tensor, "B D"], where: Where
    ) -> tuple[_Memory, Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        hidden = memory.hidden
        if self.borders is not None:
            session = None if where.session is None else memory.session[:, None]
            earlier = Where(where.position - 1, where.mask, memory.time_s[:, None], session=session)
            anew = self.borders.between(earlier, where)[:, 0] & (where.position[:, 0] > 0)
            hidden = hidden * ~anew[:, None, None]
        out, hidden = self.gru(vectors[:, None], hidden.transpose(0, 1).contiguous())
        after = _Memory(
            hidden.transpose(0, 1),
            memory.time_s if where.time_s is None else where.time_s[:, 0],
            memory.session if where.session is None else where.session[:, 0],
        )
        return after, self.drop(out[:, 0])


@dataclass(frozen=True)
class GRU4RecConfig:
    """Gated recurrent units over item ids, tied dot product, cross-entropy with logQ over sampled negatives.

    Differences from the papers: (1) their session-parallel mini-batches, which take one event of each of 32 sessions at
    a time and carry the hidden state over, are served by dense stretches of whole histories, longer ones cut at
    ``window``, with the gradient through all of a stretch instead of one step; hidden states still begin at 0 with each
    session where ``sessions`` says so; (2) input and output share one table ("constrained embedding" of the authors'
    code), so the hidden layer is as wide as an item's vector; (3) scores have no bias an item and no last activation;
    (4) Adam in place of Adagrad with momentum; (5) negatives from the batch are at most ``in_batch`` of the targets,
    and each score is corrected by how often its item is expected among all negatives; (6) without ``sessions`` a
    user's whole history is one session, and the state before its first item is learned.

    Attributes:
        width: D.
        layers: of recurrent units.
        window: T, events of a stretch in training and of a history when served; going step by step has no window.
        dropout: of the states.
        dropout_input: of the inputs.
        sessions: where the hidden state begins anew, by the log's numbers or by pauses; None for never.
        loss: what is trained.
        events: what enters beside item ids.
        fit: settings of training.
    """

    width: int = 100
    layers: int = 1
    window: int = 200
    dropout: float = 0.2
    dropout_input: float = 0.2
    sessions: SessionNumbers | SessionGaps | None = None
    loss: SampledSoftmaxConfig | BPRMaxConfig | FullSoftmaxConfig = field(default_factory=SampledSoftmaxConfig)
    events: EventConfig = field(default_factory=EventConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(betas=(0.9, 0.999)))

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator, see :func:`recgym.encoders.seeded`."""
        if self.sessions is not None and self.sessions.needs_time and not catalogue.timed:
            raise ValueError("sessions were to end by pauses, found a log that knows only the order of events")
        encoder = SequenceEncoder(
            IdItems(catalogue.num_items, self.width),
            catalogue.events(self.events, self.width),
            GRUBackbone(self.width, self.layers, self.dropout, self.sessions),
            self.window,
            dropout=self.dropout_input,
        )
        return NextItemModel(encoder, LastState(), Dot())

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained; with ``sessions``, no target is foretold from an earlier session."""
        objective = Objective(((1.0, NextItem(self.loss.build(catalogue))),))
        transform = None if self.sessions is None else WithinSessions(catalogue.num_items, self.sessions)
        return (Stage(objective, self.fit, transform=transform),)
