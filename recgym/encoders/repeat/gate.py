"""Repeat or explore: a small learned gate over two distributions, after RepeatNet.

Source: Ren et al., RepeatNet: A Repeat Aware Neural Recommendation Machine for Session-based Recommendation (AAAI
2019). Differences from the paper: (1) no recurrent network reads the session: modes and items are scored from a few
counts of the user's past (recency, frequency, base level; popularity and co-occurrence), by small perceptrons; (2) what
is predicted is all items of the next session, not the next click; (3) what counts as a repeat is anything in the user's
history, not in the session; (4) the paper's extra loss on the mode is part of the likelihood here, and not counted
twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.sparse import csr_array
from torch import Tensor, nn

from recgym.encoders.activation import base_level
from recgym.encoders.baselines import popularity
from recgym.encoders.repeat.actr import association_of, session_numbers
from recgym.encoders.repeat.past import Events, check_window, events_of
from recgym.encoders.sequences import Sequences
from recgym.seeding import make_generator, seeded
from recgym.types import Array, History

__all__ = ["RepeatGate", "RepeatGateConfig"]

_OWN, _USER, _ANY = 4, 5, 3
"""How many numbers describe an item of the user's own, the user, and any item at all."""
_NOWHERE = -1e30
"""A logit of what cannot be: finite, so that a row without alternatives stays a number."""


class _Counts:
    """What an item is worth, whether the user knows it or not: popularity, and what it shares sessions with.

    Args:
        shares: popularity of each item.
        association: sparse ``[N, N]`` float32.
    """

    def __init__(self, shares: Float32[Tensor, "N"], association: csr_array) -> None:
        self.num_items = len(shares)
        self.log_shares = (shares + 0.1 / max(len(shares), 1)).log()
        self.association = association

    def of(self, events: Events) -> Float32[Tensor, "B N 3"]:
        """Log popularity; ``ln(1 + N a)`` with a the mean association with the last session, and with all before."""
        last = self._pull(events, events.last_session)
        ever = self._pull(events, events.mask)
        return torch.stack([self.log_shares.expand_as(last), last, ever], 2)

    def _pull(self, events: Events, sources: Bool[Tensor, "B T"]) -> Float32[Tensor, "B N"]:
        row, column = (part.numpy() for part in torch.nonzero(sources, as_tuple=True))
        share = 1 / np.bincount(row, minlength=len(sources))[row]
        shape = (len(sources), self.num_items)
        held = csr_array((share.astype(np.float32), (row, events.items.numpy()[row, column])), shape)
        return torch.from_numpy((held @ self.association).toarray()).mul_(self.num_items).log1p_()


class _Net(nn.Module):
    """The three parts of the likelihood.

    Args:
        width: of the hidden layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(_USER, width), nn.Tanh(), nn.Linear(width, 1))
        self.repeat = nn.Sequential(nn.Linear(_OWN + _ANY, width), nn.Tanh(), nn.Linear(width, 1))
        self.explore = nn.Linear(_ANY, 1, bias=False)
        nn.init.constant_(self.explore.weight, 0.5)

    def forward(
        self, events: Events, reference_s: Float64[Tensor, "B"], counts: Float32[Tensor, "B N 3"]
    ) -> Float32[Tensor, "B N"]:
        """``ln p(item)`` of all items."""
        n = counts.shape[1]
        own, row, item = _own_features(events, reference_s, n)
        known = torch.zeros(len(events.mask), n, dtype=torch.bool)
        known[row, item] = True
        activation = self.repeat(torch.cat([own, counts[row, item]], 1))[:, 0]
        repeat = torch.full(known.shape, _NOWHERE).index_put((row, item), activation)
        explore = self.explore(counts)[:, :, 0].masked_fill(known, _NOWHERE)
        mode = self.gate(_user_features(events, known))
        mode = mode.masked_fill(~known.any(1, keepdim=True), _NOWHERE).masked_fill(
            known.all(1, keepdim=True), -_NOWHERE
        )
        both: Tensor = torch.where(
            known,
            nn.functional.logsigmoid(mode) + repeat.log_softmax(1),
            nn.functional.logsigmoid(-mode) + explore.log_softmax(1),
        )
        return both


def _own_features(
    events: Events, reference_s: Float64[Tensor, "B"], num_items: int
) -> tuple[Float32[Tensor, "e 4"], Int64[Tensor, "e"], Int64[Tensor, "e"]]:
    """Of each item of each user: base level against the user's highest, log frequency, recency; and where it is."""
    base = base_level(*events[:3], reference_s, num_items)
    frequency = base_level(*events[:3], reference_s, num_items, decay=0.0).level
    row, column = torch.nonzero(base.newest, as_tuple=True)
    highest = base.level.amax(1)
    age = events.age[row, column]
    features = [base.level[row, column] - highest[row], frequency[row, column], torch.log1p(age.float()), age == 0]
    return torch.stack([feature.float() for feature in features], 1), row, events.items[row, column]


def _user_features(events: Events, known: Bool[Tensor, "B N"]) -> Float32[Tensor, "B 5"]:
    """How much the user has had and repeated: logs of events, items and sessions, share of repeats, of late ones."""
    count = events.mask.sum(1)
    sessions = torch.where(count > 0, events.age.amax(1) + 1, 0)
    again = 1 - known.sum(1) / count.clamp(min=1)
    earlier = torch.zeros(len(known), known.shape[1] + 1, dtype=torch.bool)
    earlier.scatter_(1, torch.where(events.last_session, known.shape[1], events.items), True)
    lately = earlier.gather(1, events.items) & events.last_session
    of_late = lately.sum(1) / events.last_session.sum(1).clamp(min=1)
    logs = [torch.log1p(number.float()) for number in (count, known.sum(1), sessions)]
    return torch.stack([*logs, again, of_late], 1)


@dataclass(frozen=True, eq=False)
class RepeatGate:
    """The probability of each item in the next session, up to how many there are.

    Attributes:
        net: what was learned; not trained any further.
        counts: what is known of items.
        gap_s: the median time between sessions: when a question is put that does not say when.
        config: settings.
    """

    net: _Net
    counts: _Counts
    gap_s: float
    config: "RepeatGateConfig"

    @property
    def num_items(self) -> int:
        """N."""
        return self.counts.num_items

    @property
    def window(self) -> int:
        """T."""
        return self.config.window

    @torch.no_grad()
    def scores(
        self, users: Int64[Array, "B"], history: History, query_time_s: Float64[Array, "B"] | None = None
    ) -> Float32[Tensor, "B N"]:
        """See :class:`recgym.encoders.baselines.Baseline`: ``ln p(item)``.

        Args:
            users: ignored.
            history: right-aligned, of tensors or arrays.
            query_time_s: the start of the session asked for; None for the usual time after the newest event.
        """
        events = events_of(history, self.num_items, self.config.window, self.config.pause_s)
        scores: Tensor = self.net(events, events.reference(query_time_s, self.gap_s), self.counts.of(events))
        return scores


@dataclass(frozen=True)
class RepeatGateConfig:
    """``p(i) = g rep(i)`` for items that the user has had, ``(1 - g) new(i)`` for all others.

    The gate g looks at how much the user has had and repeated. rep is a softmax over the user's items of a perceptron
    on their base level, frequency and recency and on what new looks at. new is a softmax over all other items,
    log-linear in popularity and in how often they share sessions with what the user had. Loss: the mean of ``-ln p``
    over the items of a session, over the newest sessions of every user; Adam.

    Attributes:
        width: of the hidden layers.
        sessions: newest sessions of a user to learn from.
        epochs: passes over them.
        batch_size: sessions of a step.
        step_size: of Adam.
        associates: of an item, the strongest that count.
        seed: of the first weights and the order of sessions.
        window: T, events of a user that count.
        pause_s: a longer pause begins a new session, in seconds.
    """

    width: int = 16
    sessions: int = 5
    epochs: int = 5
    batch_size: int = 128
    step_size: float = 0.01
    associates: int = 100
    seed: int = 0
    window: int = 1000
    pause_s: float = 1200.0

    def __post_init__(self) -> None:
        check_window(self.window, self.pause_s)
        for name in ("width", "sessions", "epochs", "batch_size", "associates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if not self.step_size > 0:
            raise ValueError(f"the step size must be above 0, found {self.step_size}")

    def fit(self, sequences: Sequences) -> RepeatGate:
        """See :class:`recgym.encoders.baselines.BaselineConfig`; trains on the processor."""
        table = association_of(sequences, self.pause_s, self.associates)
        n = sequences.num_items
        matrix = csr_array((table.values.numpy(), table.items.numpy(), table.start.numpy()), (n, n))
        counts = _Counts(popularity(sequences), matrix)
        with seeded(self.seed, "repeat gate"):
            net = _Net(self.width)
        questions = _Questions.of(sequences, self)
        generator = make_generator(self.seed, "repeat gate order", device="numpy")
        assert isinstance(generator, np.random.Generator)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.step_size)
        for _ in range(self.epochs):
            for events, reference_s, row, item in questions.batches(sequences, self, generator):
                scores = net(events, reference_s, counts.of(events))
                loss = -scores[row, item].mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return RepeatGate(net.requires_grad_(False).eval(), counts, questions.gap_s(sequences), self)


@dataclass(frozen=True)
class _Questions:
    """Sessions to learn from: the history of each, and its items.

    Attributes:
        start: first event of the history, by its place among all events.
        first: first event of the session.
        end: the event after its last.
    """

    start: Int64[np.ndarray, "Q"]
    first: Int64[np.ndarray, "Q"]
    end: Int64[np.ndarray, "Q"]

    @classmethod
    def of(cls, sequences: Sequences, config: RepeatGateConfig) -> "_Questions":
        """Each user's newest sessions, without the very first."""
        number = session_numbers(sequences, config.pause_s)
        first = np.flatnonzero(np.append(True, np.diff(number) > 0)[: len(number)])
        end = np.append(first[1:], len(number))
        user = np.searchsorted(sequences.start, first, side="right") - 1
        count = np.bincount(user, minlength=sequences.num_users)
        nth = np.arange(len(user)) - (np.cumsum(count) - count)[user]
        asked = (nth > 0) & (nth >= count[user] - config.sessions)
        first, end, user = first[asked], end[asked], user[asked]
        return cls(np.maximum(sequences.start[user], first - config.window), first, end)

    def gap_s(self, sequences: Sequences) -> float:
        """The median time from the end of a history to the session that follows, in seconds; 1 where it is unknown."""
        if sequences.time_s is None or len(self.first) == 0:
            return 1.0
        return float(np.median(sequences.time_s[self.first] - sequences.time_s[self.first - 1]))

    def batches(
        self, sequences: Sequences, config: RepeatGateConfig, generator: np.random.Generator
    ) -> Iterator[tuple[Events, Float64[Tensor, "B"], Int64[Tensor, "e"], Int64[Tensor, "e"]]]:
        """In random order: histories, when each session began, and the row and id of each of its items."""
        order = generator.permutation(len(self.start))
        for begin in range(0, len(order), config.batch_size):
            rows = order[begin : begin + config.batch_size]
            batch = sequences.gather(self.start[rows], self.first[rows])
            events = Events.of_batch(batch, sequences.num_items, config.pause_s)
            asked = sequences.gather(self.first[rows], self.end[rows])
            row, column = torch.nonzero(asked.mask, as_tuple=True)
            times = asked.time_s
            reference_s = events.newest_s + 1.0 if times is None else times[:, 0]
            yield events, reference_s, row, asked.items[row, column]
