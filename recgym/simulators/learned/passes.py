"""Running the network over a log: over training windows, or over every user from the first event to the last."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.simulators.learned.network import ResponseNetwork, gap_feature
from recgym.simulators.learned.steps import Behaviour, ranges

__all__ = ["Explained", "Prepared", "Windows", "explain", "leave_logits", "row_blocks", "running_states"]


@dataclass(frozen=True)
class Prepared:
    """A log with everything the network looks at.

    Attributes:
        behaviour: the log as arrays.
        profile: user features, one row a user.
        context: raw item context, one row a row.
        repeats: how often the user consumed a row's item lately.
        row_item: the network's id of each row's item (N if unknown).
        taken_item: the network's id of each consumption's item.
    """

    behaviour: Behaviour
    profile: Float32[Tensor, "U P"]
    context: Float32[Tensor, "R X"]
    repeats: Float32[Tensor, "R"]
    row_item: Int64[Tensor, "R"]
    taken_item: Int64[Tensor, "C"]


@dataclass(frozen=True)
class Explained:
    """What the network says of some exposures.

    Attributes:
        rows: their rows.
        parameters: parameters of the heads of each row.
        leave: logit that the session ends after each exposure.
    """

    rows: Int64[np.ndarray, "r"]
    parameters: Float32[Tensor, "r W"]
    leave: Float32[Tensor, "s"]


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
    ) -> tuple[Int64[np.ndarray, "s"], Explained]:
        """Run the network over some windows; returns their exposures and what it says of them."""
        behaviour = data.behaviour
        first, end = self.first_event[chosen], self.end_event[chosen]
        states = _encode(network, data, first, end, drop)
        steps = ranges(self.first_step[chosen], self.first_step[chosen + 1])
        window = np.repeat(np.arange(chosen.size), self.first_step[chosen + 1] - self.first_step[chosen])
        before = behaviour.step_events[steps] - first[window]
        after = behaviour.step_after[steps] - first[window]
        index = torch.from_numpy(window)
        return steps, explain(
            network, data, steps, states[index, torch.from_numpy(before)], states[index, torch.from_numpy(after)], drop
        )


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


@dataclass(frozen=True)
class _Shown:
    """Some exposures and what both heads need of them.

    Attributes:
        steps: the exposures.
        rows: their rows.
        owner: which of the exposures each row belongs to.
        profile: features of their users.
        log_size: logarithm of their slates' size.
    """

    steps: Int64[np.ndarray, "s"]
    rows: Int64[np.ndarray, "r"]
    owner: Int64[Tensor, "r"]
    profile: Float32[Tensor, "s P"]
    log_size: Float32[Tensor, "s"]

    @classmethod
    def of(cls, data: Prepared, steps: Int64[np.ndarray, "s"]) -> "_Shown":
        behaviour = data.behaviour
        counts = behaviour.step_rows[steps + 1] - behaviour.step_rows[steps]
        return cls(
            steps,
            behaviour.rows_of(steps),
            torch.from_numpy(np.repeat(np.arange(steps.size), counts)),
            data.profile[torch.from_numpy(behaviour.step_user[steps])],
            torch.from_numpy(np.log(np.maximum(behaviour.step_size[steps], 1))).float(),
        )


def explain(
    network: ResponseNetwork,
    data: Prepared,
    steps: Int64[np.ndarray, "s"],
    before: Float32[Tensor, "s H"],
    after: Float32[Tensor, "s H"],
    drop: ItemDropout | None = None,
) -> Explained:
    """What the network says of exposures, given the user state before and after each."""
    shown = _Shown.of(data, steps)
    rows, owner, profile, log_size = shown.rows, shown.owner, shown.profile, shown.log_size
    row = torch.from_numpy(rows)
    part, interest = network.step_part(before, profile, log_size)
    hidden = None if drop is None else drop.mask(rows.size)
    vectors = network.item_vectors(data.row_item[row], hidden)
    item = network.item_part(vectors, network.context(data.context[row]))
    counts = torch.zeros(steps.size).index_add(0, owner, torch.ones(owner.shape[0]))
    together = torch.zeros(steps.size, item.shape[1]).index_add(0, owner, item) / counts[:, None]
    part = network.compete(part, together)
    position = torch.from_numpy(data.behaviour.row_position)[row]
    parameters = network.respond(part[owner], interest[owner], item, vectors, data.repeats[row], position)
    return Explained(rows, parameters, _leave_logits(network, data, shown, after))


def leave_logits(
    network: ResponseNetwork, data: Prepared, steps: Int64[np.ndarray, "s"], after: Float32[Tensor, "s H"]
) -> Float32[Tensor, "s"]:
    """Logit that the session ends after each exposure, given the user state after it."""
    return _leave_logits(network, data, _Shown.of(data, steps), after)


def _leave_logits(network: ResponseNetwork, data: Prepared, shown: "_Shown", after: Tensor) -> Tensor:
    behaviour, steps = data.behaviour, shown.steps
    summary = _summary(network, behaviour, shown.rows, shown.owner, shown.log_size)
    first = steps - behaviour.step_index[steps]
    minutes = torch.from_numpy((behaviour.step_time[steps] - behaviour.step_time[first]) / 60).float()
    number = torch.from_numpy(behaviour.step_index[steps] + 1).float()
    return network.leave(after, shown.profile, summary, number, minutes)


def _summary(
    network: ResponseNetwork, behaviour: Behaviour, rows: np.ndarray, owner: Tensor, log_size: Tensor
) -> Tensor:
    """What each step brought; blank where exposures are imputed, as every step would look alike."""
    steps, channels = log_size.shape[0], len(behaviour.schema)
    if not behaviour.row_real.all():
        blank = torch.zeros(steps, channels)
        return network.summary(blank, blank, torch.zeros(steps), log_size)
    feedback = torch.from_numpy(behaviour.row_labels[rows])
    scaled = network.scale(feedback)
    counts = torch.zeros(steps).index_add(0, owner, torch.ones(owner.shape[0]))
    mean = torch.zeros(steps, channels).index_add(0, owner, scaled) / counts[:, None]
    top = torch.zeros(steps, channels).scatter_reduce(
        0, owner[:, None].expand_as(scaled), scaled, "amax", include_self=False
    )
    taken = torch.zeros(steps).index_add(0, owner, (feedback != 0).any(-1).float())
    return network.summary(mean, top, taken, log_size)


@torch.no_grad()
def running_states(network: ResponseNetwork, data: Prepared, budget: int = 200_000) -> tuple[Tensor, Tensor]:
    """States before and after every exposure, each user encoded from their first event on; two ``[S, H]``.

    Args:
        network: the network, in evaluation mode.
        data: the log.
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
        states = _encode(network, data, start[block], end[block], None)
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
