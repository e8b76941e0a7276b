"""A log of sessions as choices among what each user remembered, laid out flat for the likelihood of the law of choice.

One choice is one item of one session: the first time that the session holds it. The user chooses among the distinct
items of the ``window`` newest events before the session, less those that the session holds already, and exploring.
Everything is arrays over choices, over (session, remembered item) pairs and over the events behind those pairs; within
a session only what differs from choice to choice is stored by choice.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64

from recgym.encoders.activation import SHORTEST_AGE_S
from recgym.simulators.actr.world import ACTRItems

__all__ = ["Choices", "Sessions", "distinct_items", "expand"]


def expand(first: Int64[np.ndarray, "R"], count: Int64[np.ndarray, "R"]) -> tuple[np.ndarray, np.ndarray]:
    """The row, and ``first[row], first[row] + 1, ...``, of ``count[row]`` numbers for each row, one after another."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count - first, count)


class Sessions(NamedTuple):
    """All events of a log, sorted by user and time, and the sessions they form, in the same order.

    Attributes:
        item: of each event.
        time_s: of each event.
        first: first event of each session, and the number of events at the end.
        user: of each session.
        user_start: first event of the user of each session.
    """

    item: Int64[np.ndarray, "E"]
    time_s: Float64[np.ndarray, "E"]
    first: Int64[np.ndarray, "S_plus_1"]
    user: Int64[np.ndarray, "S"]
    user_start: Int64[np.ndarray, "S"]

    @classmethod
    def of_events(
        cls,
        user: Int64[np.ndarray, "E"],
        session: Int64[np.ndarray, "E"],
        item: Int64[np.ndarray, "E"],
        time_s: Float64[np.ndarray, "E"],
    ) -> "Sessions":
        """From the columns of a log; a new session begins wherever the user or the session number changes."""
        new = np.ones(len(user), dtype=bool)
        new[1:] = (np.diff(user) != 0) | (np.diff(session) != 0)
        first = np.flatnonzero(new)
        owner = user[first]
        return cls(
            item,
            time_s,
            np.append(first, len(user)).astype(np.int64),
            owner,
            np.searchsorted(user, owner).astype(np.int64),
        )

    @property
    def start_s(self) -> Float64[np.ndarray, "S"]:
        """When each session began."""
        start: np.ndarray = self.time_s[self.first[:-1]]
        return start


@dataclass(frozen=True)
class Choices:
    """What was chosen, and among what.

    Attributes:
        session: the session (of this table) of each choice.
        chosen: the pair that was taken; -1 where the user explored.
        item: the item that was taken.
        pair_session: the session of each pair, ascending.
        pair_item: the item of each pair.
        count: events behind each pair.
        newest_s: seconds from the newest of them to the start of the session.
        matching: likeness to the session before.
        event_pair: the pair of each event behind one.
        event_age_s: seconds from the event to the start of the session.
        gone_choice: choices at which a pair is no longer on offer, and
        gone_pair: which pair that is.
        spread_choice: choices at which a pair on offer is associated with the session so far,
        spread_pair: which pair that is, and
        spread: how strongly.
        earlier_choice: choices that follow on other items of their session, once for each of these, and
        earlier_item: that item.
    """

    session: Int64[np.ndarray, "C"]
    chosen: Int64[np.ndarray, "C"]
    item: Int64[np.ndarray, "C"]
    pair_session: Int64[np.ndarray, "P"]
    pair_item: Int64[np.ndarray, "P"]
    count: Float64[np.ndarray, "P"]
    newest_s: Float64[np.ndarray, "P"]
    matching: Float64[np.ndarray, "P"]
    event_pair: Int64[np.ndarray, "V"]
    event_age_s: Float64[np.ndarray, "V"]
    gone_choice: Int64[np.ndarray, "G"]
    gone_pair: Int64[np.ndarray, "G"]
    spread_choice: Int64[np.ndarray, "R"]
    spread_pair: Int64[np.ndarray, "R"]
    spread: Float64[np.ndarray, "R"]
    earlier_choice: Int64[np.ndarray, "Q"]
    earlier_item: Int64[np.ndarray, "Q"]

    @property
    def size(self) -> int:
        """C, the number of choices."""
        return len(self.session)

    @property
    def sessions(self) -> int:
        """The number of sessions."""
        return int(self.session[-1]) + 1 if self.size else 0

    @classmethod
    def of(
        cls, sessions: Sessions, which: Int64[np.ndarray, "s"], items: ACTRItems, window: int, longest: int
    ) -> "Choices":
        """The choices of some sessions.

        Args:
            sessions: of the log.
            which: their numbers, ascending.
            items: associations and embeddings.
            window: H, the newest events before a session that are remembered.
            longest: distinct items of a session that count, its first ones.
        """
        n = items.num_items
        number, event = distinct_items(sessions, which, longest)
        item = sessions.item[event]
        first = sessions.first[which]
        remembered = np.minimum(first - sessions.user_start[which], window)
        row, event = expand(first - remembered, remembered)
        keys, event_pair = np.unique(row * (n + 1) + sessions.item[event], return_inverse=True)
        age = np.maximum(sessions.start_s[which][row] - sessions.time_s[event], SHORTEST_AGE_S)
        newest = np.full(len(keys), np.inf)
        np.minimum.at(newest, event_pair, age)
        choice, earlier = _earlier(number)
        gone = _find(keys, number[choice] * (n + 1) + item[earlier])
        spread_choice, spread_pair, spread = _spread(keys, number, item, choice, earlier, items)
        return cls(
            session=number,
            chosen=_find(keys, number * (n + 1) + item),
            item=item,
            pair_session=keys // (n + 1),
            pair_item=keys % (n + 1),
            count=np.bincount(event_pair, minlength=len(keys)).astype(np.float64),
            newest_s=newest,
            matching=_matching(sessions, which, keys // (n + 1), keys % (n + 1), items.embeddings, longest),
            event_pair=event_pair.astype(np.int64),
            event_age_s=age,
            gone_choice=choice[gone >= 0],
            gone_pair=gone[gone >= 0],
            spread_choice=spread_choice,
            spread_pair=spread_pair,
            spread=spread,
            earlier_choice=choice,
            earlier_item=item[earlier],
        )


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted key stands among the sorted ones, -1 if it does not."""
    if len(keys) == 0:
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def distinct_items(
    sessions: Sessions, which: Int64[np.ndarray, "s"], longest: int
) -> tuple[Int64[np.ndarray, "C"], Int64[np.ndarray, "C"]]:
    """The place in ``which``, and the event, of each of the first ``longest`` distinct items of sessions, in order."""
    row, event = expand(sessions.first[which], np.diff(sessions.first)[which])
    _, first = np.unique(row * (int(sessions.item.max()) + 1) + sessions.item[event], return_index=True)
    kept = np.sort(first)
    row, event = row[kept], event[kept]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    return row[place < longest], event[place < longest]


def _earlier(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every choice with every earlier choice of its session."""
    begin = np.searchsorted(number, number)
    return expand(begin, np.arange(len(number)) - begin)


def _spread(
    keys: np.ndarray, number: np.ndarray, item: np.ndarray, choice: np.ndarray, earlier: np.ndarray, items: ACTRItems
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choices, pairs and summed associations with the session so far, where there is any; pairs on offer only."""
    n = items.num_items
    neighbours = items.neighbours[item[earlier]]
    pair = _find(keys, (number[choice][:, None] * (n + 1) + neighbours).ravel()).reshape(neighbours.shape)
    found = (pair >= 0) & (neighbours < n)
    row = np.broadcast_to(choice[:, None], pair.shape)[found]
    total, inverse = np.unique(row * (len(keys) + 1) + pair[found], return_inverse=True)
    value = np.bincount(inverse, weights=items.strengths[item[earlier]][found], minlength=len(total))
    row, pair = total // (len(keys) + 1), total % (len(keys) + 1)
    gone = _find(keys, number[choice] * (n + 1) + item[earlier])
    taken = np.unique(choice[gone >= 0] * (len(keys) + 1) + gone[gone >= 0])
    there = _find(taken, total) < 0
    return row[there], pair[there], value[there]


def _matching(
    sessions: Sessions,
    which: np.ndarray,
    pair_row: np.ndarray,
    pair_item: np.ndarray,
    embeddings: Float32[np.ndarray, "N D"],
    longest: int,
) -> Float64[np.ndarray, "P"]:
    """``sum_j e_i . e_j`` over the items j other than i of the session before."""
    n = len(embeddings)
    has = sessions.first[which] > sessions.user_start[which]
    row, event = distinct_items(sessions, np.maximum(which - 1, 0), longest)
    item = sessions.item[event]
    row, item = row[has[row]], item[has[row]]
    total = np.zeros((len(which), embeddings.shape[1]))
    np.add.at(total, row, embeddings[item].astype(np.float64))
    vectors = embeddings[pair_item].astype(np.float64)
    own = _find(np.sort(row * (n + 1) + item), pair_row * (n + 1) + pair_item) >= 0
    likeness: np.ndarray = (vectors * total[pair_row]).sum(1) - own * (vectors**2).sum(1)
    return likeness
