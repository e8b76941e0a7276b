"""Running the network over a log: over training windows, or over every user from the first event to the last."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork, gap_feature
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.steps import Behaviour, ranges

__all__ = ["Explained", "ItemDropout", "Windows", "explain", "row_blocks", "running_states"]


@dataclass(frozen=True)
class Explained:
    """What the network says of some exposures.

    Attributes:
        rows: their rows.
        owner: which of the exposures each row belongs to.
        parameters: parameters of the heads of each row.
    """

    rows: Int64[np.ndarray, "r"]
    owner: Int64[Tensor, "r"]
    parameters: Float32[Tensor, "r W"]


@dataclass(frozen=True)
class Windows:
    """Training windows: runs of a user's exposures with the events that lead up to them.

    Attributes:
        first_step: first exposure of each window, and the end of the last.
        first_event: first event of each window, warm-up included.
        end_event: the event after its last.
    """

    first_step: Int64[np.ndarray, "W_plus_1"]
    first_event: Int64[np.ndarray, "W"]
    end_event: Int64[np.ndarray, "W"]

    @classmethod
    def of(cls, behaviour: Behaviour, window: int, warm_up: int) -> "Windows":
        """Cut each user's exposures where they span ``window`` events; before each come ``warm_up`` events.

        Events before a user's first exposure cost nothing beyond the warm-up.
        """
        user, before = behaviour.step_user, behaviour.step_events
        fresh_user = np.diff(user, prepend=-1) != 0
        first_of_user = np.flatnonzero(fresh_user)
        base = np.repeat(before[first_of_user], np.diff(np.append(first_of_user, user.size)))
        number = (before - base) // window
        fresh = fresh_user | (np.diff(number, prepend=-1) != 0)
        first = np.flatnonzero(fresh)
        start = np.maximum(base[first] + number[first] * window - warm_up, behaviour.user_event_start[user[first]])
        end = np.maximum.reduceat(behaviour.step_after, first)
        return cls(np.append(first, user.size), start, end)

    def __len__(self) -> int:
        return self.first_event.size

    def batches(self, size: int, generator: np.random.Generator) -> Iterator[Int64[np.ndarray, "w"]]:
        """Windows in random batches, those of like length together, so that little is padded."""
        length = self.end_event - self.first_event
        pool = 16 * size
        order = generator.permutation(len(self))
        batches = []
        for start in range(0, order.size, pool):
            part = order[start : start + pool]
            part = part[np.argsort(length[part], kind="stable")]
            batches += [part[i : i + size] for i in range(0, part.size, size)]
        for index in generator.permutation(len(batches)):
            yield batches[index]

    def explain(
        self,
        network: ResponseNetwork,
        data: Prepared,
        chosen: Int64[np.ndarray, "w"],
        drop: "ItemDropout | None" = None,
    ) -> tuple[Int64[np.ndarray, "s"], Explained, Float32[Tensor, "s"]]:
        """Run the network over some windows.

        Returns:
            Their exposures, what the network says of them, and the logit that the session ends after each. A session
            that began in an earlier window starts there with a temper of 0.
        """
        behaviour = data.behaviour
        first, end = self.first_event[chosen], self.end_event[chosen]
        states = _encode(network, data, first, end, drop)
        steps = ranges(self.first_step[chosen], self.first_step[chosen + 1])
        window = np.repeat(np.arange(chosen.size), self.first_step[chosen + 1] - self.first_step[chosen])
        before = behaviour.step_events[steps] - first[window]
        after = behaviour.step_after[steps] - first[window]
        index = torch.from_numpy(window)
        explained = explain(network, data, steps, states[index, torch.from_numpy(before)], drop)
        leave = Ends.of(network, data, steps).leave(network, states[index, torch.from_numpy(after)])
        return steps, explained, leave


@dataclass(frozen=True)
class ItemDropout:
    """Hides items at random, so that the unknown item's embedding is trained."""

    probability: float
    generator: torch.Generator

    def mask(self, n: int) -> Bool[Tensor, "n"]:
        """Which of n items to hide."""
        return torch.rand(n, generator=self.generator) < self.probability


def _encode(
    network: ResponseNetwork, data: Prepared, first: np.ndarray, end: np.ndarray, drop: ItemDropout | None
) -> Float32[Tensor, "B L_plus_1 H"]:
    """States before and after each event of the given runs of events; each run starts from the zero state."""
    behaviour = data.behaviour
    events = ranges(first, end)
    lengths = end - first
    width = max(int(lengths.max()), 1)
    slot = np.repeat(np.arange(first.size) * width, lengths) + ranges(np.zeros_like(first), lengths)
    counts = behaviour.event_start[events + 1] - behaviour.event_start[events]
    taken = ranges(behaviour.event_start[events], behaviour.event_start[events + 1])
    index = torch.from_numpy(taken)
    hidden = None if drop is None else drop.mask(taken.size)
    vectors = network.item_vectors(data.taken_item[index], hidden)
    brought = network.consumption(vectors, torch.from_numpy(behaviour.taken_feedback)[index])
    brought = brought / torch.from_numpy(np.repeat(counts, counts)).float()[:, None]
    total = torch.zeros(first.size * width, brought.shape[1]).index_add(
        0, torch.from_numpy(np.repeat(slot, counts)), brought
    )
    gaps = torch.zeros(first.size * width)
    gaps[torch.from_numpy(slot)] = gap_feature(torch.from_numpy(behaviour.event_gap[events]))
    inputs = torch.cat([total, gaps[:, None]], 1)
    return network.encode(inputs.reshape(first.size, width, -1))


def explain(
    network: ResponseNetwork,
    data: Prepared,
    steps: Int64[np.ndarray, "s"],
    before: Float32[Tensor, "s H"],
    drop: ItemDropout | None = None,
) -> Explained:
    """What the network says of exposures, given the user state before each."""
    behaviour = data.behaviour
    rows = behaviour.rows_of(steps)
    owner = data.owner(steps)
    row = torch.from_numpy(rows)
    part, interest = network.step_part(before, data.profiles(steps), data.log_sizes(steps))
    hidden = None if drop is None else drop.mask(rows.size)
    vectors = network.item_vectors(data.row_item[row], hidden)
    item = network.item_part(vectors, network.context(data.context[row]))
    counts = torch.zeros(steps.size).index_add(0, owner, torch.ones(owner.shape[0]))
    together = torch.zeros(steps.size, item.shape[1]).index_add(0, owner, item) / counts[:, None]
    part = network.compete(part, together)
    position = torch.from_numpy(behaviour.row_position)[row]
    parameters = network.respond(part[owner], interest[owner], item, vectors, data.repeats[row], position)
    return Explained(rows, owner, parameters)


@torch.no_grad()
def running_states(
    network: ResponseNetwork, data: Prepared, drop: ItemDropout | None = None, budget: int = 200_000
) -> tuple[Tensor, Tensor]:
    """States before and after every exposure, each user encoded from their first event on; two ``[S, H]``.

    Args:
        network: the network, in evaluation mode.
        data: the log.
        drop: items to hide.
        budget: events, padding included, that are encoded at a time.
    """
    behaviour = data.behaviour
    start, end = behaviour.user_event_start[:-1], behaviour.user_event_start[1:]
    before = torch.zeros(behaviour.n_steps, network.shape.hidden)
    after = torch.zeros_like(before)
    step_start = np.searchsorted(behaviour.step_user, np.arange(start.size + 1))
    users = np.flatnonzero(np.diff(step_start) > 0)
    users = users[np.argsort((end - start)[users], kind="stable")[::-1]]
    while users.size:
        longest = max(int(end[users[0]] - start[users[0]]), 1)
        block, users = np.split(users, [max(budget // longest, 1)])
        states = _encode(network, data, start[block], end[block], drop)
        steps = ranges(step_start[block], step_start[block + 1])
        row = torch.from_numpy(np.repeat(np.arange(block.size), step_start[block + 1] - step_start[block]))
        first = torch.from_numpy(start[behaviour.step_user[steps]])
        index = torch.from_numpy(steps)
        before[index] = states[row, torch.from_numpy(behaviour.step_events[steps]) - first]
        after[index] = states[row, torch.from_numpy(behaviour.step_after[steps]) - first]
    return before, after


def row_blocks(behaviour: Behaviour, steps: Int64[np.ndarray, "s"], rows: int = 200_000) -> Iterator[np.ndarray]:
    """Exposures in blocks of about so many rows, as indices into ``steps``."""
    counts = np.cumsum(behaviour.step_rows[steps + 1] - behaviour.step_rows[steps])
    if counts.size:
        yield from np.split(np.arange(steps.size), np.flatnonzero(np.diff(counts // rows)) + 1)
