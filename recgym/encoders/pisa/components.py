"""What weighs the items of sessions: base levels, spreading and what partial matching leaves out, made once."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.encoders.activation import Association, TopItems, base_level, item_sums, item_weights, top_items
from recgym.encoders.pisa.config import PISAConfig
from recgym.encoders.pisa.sessions import SessionHistories

__all__ = ["Components", "components", "components_to_train", "recall", "spread_within"]

_CELLS = 1 << 21
"""Events of histories that are laid out at once."""


class Components(NamedTuple):
    """What is known of some sessions, whatever the weights of a network are; 0 for what the settings do not use.

    "After" is the start of the user's next session, or the moment for which a recommendation is asked.

    Attributes:
        items: what the sessions hold; N is padding.
        level: BL of these items after the session, the session itself among what counts.
        known: BL of these items at the start of the session, by what came before; 0 where no targets are needed.
        spread: SPR within the session.
        shared: whether the session before holds the item too.
        favourites: items of the highest base level after the session; N is padding.
        favour: their base levels.
    """

    items: Int64[Tensor, "*rows K"]
    level: Float32[Tensor, "*rows K"]
    known: Float32[Tensor, "*rows K"]
    spread: Float32[Tensor, "*rows K"]
    shared: Bool[Tensor, "*rows K"]
    favourites: Int64[Tensor, "*rows F"]
    favour: Float32[Tensor, "*rows F"]

    def take(self, index: Int64[Tensor, "B C"]) -> "Components":
        """Those of some sessions; the last row, padding, holds nothing."""
        return Components(*(part[index] for part in self))


class Recalled(NamedTuple):
    """What users remember at some moments.

    Attributes:
        levels: base levels of the items asked for, normalised by a softmax over all that the user knows; 0 for others.
        top: the items of the highest base level.
    """

    levels: Float32[Tensor, "M A"]
    top: TopItems


def recall(
    histories: SessionHistories,
    sessions: Int64[Tensor, "M"],
    moment_s: Float64[Tensor, "M"],
    asked: Int64[Tensor, "M A"],
    favourites: int,
    decay: float,
) -> Recalled:
    """What users remember after some of their sessions.

    Args:
        histories: of the users.
        sessions: all up to each of these, and nothing later, is what is remembered.
        moment_s: when.
        asked: item ids; N is padding.
        favourites: F.
        decay: d.
    """
    n = histories.num_items
    begin = histories.first_event[histories.first_session[histories.owner[sessions]]]
    length = histories.first_event[sessions + 1] - begin
    levels = torch.zeros(asked.shape)
    top = TopItems(torch.full((len(sessions), favourites), n), torch.zeros(len(sessions), favourites))
    order = length.argsort(descending=True)  # histories of like length side by side
    done = 0
    while done < len(order):
        longest = int(length[order[done]])
        rows = order[done : done + max(1, _CELLS // max(longest, 1))]
        done += len(rows)
        column = torch.arange(longest)
        mask = column < length[rows, None]
        event = torch.where(mask, begin[rows, None] + column, 0)
        items = torch.where(mask, histories.items[event], n)
        weights = item_weights(base_level(items, histories.time_s[event], mask, moment_s[rows], n, decay))
        # Each item's weight stands at its newest event and nowhere else, so a sum over its events finds it.
        values = torch.cat([weights, torch.zeros(len(rows), asked.shape[1])], 1)
        levels[rows] = item_sums(torch.cat([items, asked[rows]], 1), values, n)[:, longest:]
        best = top_items(items, weights, favourites, n)
        top.items[rows], top.weights[rows] = best
    return Recalled(levels, top)


def components(
    histories: SessionHistories,
    sessions: Int64[Tensor, "M"],
    moment_s: Float64[Tensor, "M"],
    association: Association,
    config: PISAConfig,
    targets: Int64[Tensor, "M"] | None = None,
) -> Components:
    """What is known of some sessions, a row for every session of the histories and one of padding.

    Args:
        histories: of the users.
        sessions: those for which a state is wanted.
        moment_s: when, after each of them.
        association: of the items that were trained on.
        config: what is used.
        targets: the session that follows each of ``sessions``; None where they are not to be foretold.
    """
    n, (count, longest) = histories.num_items, histories.held.shape
    items = torch.cat([histories.held, torch.full((1, longest), n)])
    level, known, spread = (torch.zeros(items.shape) for _ in range(3))
    favourites, favour = torch.full((count + 1, config.favourites), n), torch.zeros(count + 1, config.favourites)
    if config.needs_levels and len(sessions):
        asked = items[sessions] if targets is None else torch.cat([items[sessions], items[targets]], 1)
        levels, top = recall(histories, sessions, moment_s, asked, config.favourites, config.decay)
        level[sessions] = levels[:, :longest]
        if targets is not None:
            known[targets] = levels[:, longest:]
        favourites[sessions], favour[sessions] = top
    if config.spreading:
        used = torch.zeros(count + 1, dtype=torch.bool)
        used[sessions] = True
        if targets is not None:
            used[targets] = True
        spread[used] = spread_within(association, items[used])
    return Components(items, level, known, spread, _shared(histories, items), favourites, favour)


def components_to_train(histories: SessionHistories, association: Association, config: PISAConfig) -> Components:
    """The same for every session and its successor: the moment after a session is the start of the next one."""
    sessions = histories.followed.nonzero()[:, 0]
    return components(histories, sessions, histories.start_s[sessions + 1], association, config, sessions + 1)


def spread_within(association: Association, items: Int64[Tensor, "S K"]) -> Float32[Tensor, "S K"]:
    """``sum_j A_ij`` over the other items j of the same session.

    :func:`recgym.encoders.activation.spreading` gives the same for any sources; within short sessions, looking up the
    few pairs is faster than spreading over all associates.

    Args:
        association: A.
        items: distinct in each session; N is padding.
    """
    n = association.num_items
    row = torch.repeat_interleave(association.start.diff())
    keys = torch.cat([row * (n + 1) + association.items, torch.tensor([(n + 1) ** 2])])  # ascending
    values = torch.cat([association.values, torch.zeros(1)])
    spread = torch.zeros(items.shape)
    for place in range(items.shape[1]):
        wanted = items * (n + 1) + items[:, place, None]
        found = torch.searchsorted(keys, wanted)
        spread += values[found] * (keys[found] == wanted)
    return spread


def _shared(histories: SessionHistories, items: Int64[Tensor, "S_plus_1 K"]) -> Bool[Tensor, "S_plus_1 K"]:
    """Whether the session before of the same user holds the item too."""
    shared = torch.zeros(items.shape, dtype=torch.bool)
    earlier = histories.followed.nonzero()[:, 0]
    for place in range(items.shape[1]):  # one comparison a place keeps memory small
        shared[earlier + 1] |= items[earlier + 1] == items[earlier, place, None]
    return shared & (items < histories.num_items)
