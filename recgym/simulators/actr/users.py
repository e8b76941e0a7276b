"""People who listen again to what comes to mind, tire of it for a while, and come back sooner if they got something."""

from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.arrays import (
    as_double,
    as_float,
    bernoulli,
    copy,
    device_of,
    from_numpy,
    full,
    integers,
    namespace,
    pick,
    put,
    sum_columns,
    zeros,
)
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema
from recgym.encoders.activation import SHORTEST_AGE_S
from recgym.simulators.actr.making import ACTRConfig, make_world
from recgym.simulators.actr.world import ACTRMemory, ACTRRecords, ACTRWorld
from recgym.simulators.base import Observed, UserModel
from recgym.simulators.choice import repeated_items
from recgym.types import Array, Generator, History, Response

__all__ = ["ACTRState", "ACTRUsers"]

_HEARD = 10
_RECORD = 50
_STEEPEST = 30.0

made = lru_cache(maxsize=8)(make_world)


class ACTRState(NamedTuple):
    """State of a batch of users.

    Attributes:
        items: the newest events that the user remembers, in no order; N where there is none.
        time_s: when each was, relative to the start of the session.
        strength: ``age^-decay`` at the start of the session; 0 for events of this session, which add to no base level.
        tired: how much of each event the user still feels; 1 for those of this session.
        slot: where the next event goes.
        heard: the newest items of this session, newest last; N is padding.
        before: those of the session before.
        context: the sum of their embeddings.
        taste: vector among the embeddings that new items are judged by.
        pace: logarithm of how long the user's gaps are, relative to those of others.
        satisfaction: memory of what the user got out of what was shown.
        remaining: steps until the session ends.
        now_s: seconds since the session began.
        left: whether the session has ended.
        record: items of the user's history from before the episode, right-aligned; N is padding.
        record_s: when they were consumed, not positive.
        record_again: whether each was known then, 0 or 1.
    """

    items: Int64[Array, "B H"]
    time_s: Float64[Array, "B H"]
    strength: Float32[Array, "B H"]
    tired: Float32[Array, "B H"]
    slot: Int64[Array, "B"]
    heard: Int64[Array, "B L"]
    before: Int64[Array, "B L"]
    context: Float32[Array, "B D"]
    taste: Float32[Array, "B D"]
    pace: Float32[Array, "B"]
    satisfaction: Float32[Array, "B"]
    remaining: Float32[Array, "B"]
    now_s: Float64[Array, "B"]
    left: Bool[Array, "B"]
    record: Int64[Array, "B E"]
    record_s: Float64[Array, "B E"]
    record_again: Float32[Array, "B E"]


class ACTRUsers(UserModel[ACTRState]):
    """Users with the declarative memory of ACT-R: an item's activation says how likely they are to take it.

    ==================  ========================================================================================
    activation          A_i = ln sum_k age_k^-decay + spreading SPR_i + matching PM_i - satiation S_i, ages at the
                        start of the session; see :class:`ACTRMemory`
    listen, known item  Bernoulli(sigmoid(cue + (A_i - threshold) / noise)), each position by itself
    listen, new item    Bernoulli(sigmoid(novelty + appeal taste . e_i + (A_i without the logarithm) / noise))
    relisten            1 for a listen to an item known from an earlier session
    satiation           each listen adds 1 to S_i, which decays with satiation_s; listens of this session count in full
    end of a session    after a number of steps drawn at its start; each step without a listen takes ``impatience`` more
    satisfaction        s + satisfaction_rate (mean over the slate of 1 for a listen, -boredom for none - s)
    return              a gap drawn from those of the world, times exp(pace - return_pull s)
    ==================  ========================================================================================

    SPR_i is the association of i with the 10 newest items of the session, PM_i its likeness to those of the session
    before. Left to themselves the same people take items by the law of :class:`ACTRMemory`
    (:func:`recgym.simulators.actr.live`), which can be fitted to a log; how they answer what is shown
    (:class:`ACTRManners`) cannot, and is an assumption. Users start with a history, of which a system sees the 50
    newest events, and then what it shows itself; taste, pace, satisfaction and the end of the session are hidden.

    Source: the activation components of "Transformers Meet ACT-R" (arXiv 2408.16578); the choice is ACT-R's.

    Args:
        world: fitted or made up; made by the default :class:`ACTRConfig` if None.
        device: ``"numpy"`` or a torch device.
    """

    hidden_fields: ClassVar[tuple[str, ...]] = ("taste", "pace", "satisfaction", "remaining")
    runs_on_numpy: ClassVar[bool] = True

    def __init__(self, world: ACTRWorld | None = None, device: str = "cpu") -> None:
        self.world = world = world or made(ACTRConfig())
        if len(world.records.pace) == 0:
            raise ValueError("the world has no people to start from")
        items = world.items
        listen, relisten = Channel("listen", ChannelKind.BINARY), Channel("relisten", ChannelKind.BINARY)
        self.schema = FeedbackSchema((listen, relisten))
        self.num_items, self.profile_size = items.num_items, 0
        features = np.concatenate([items.embeddings, _scaled_log(items.popularity)[:, None]], 1)
        self.item_features = from_numpy(features.astype(np.float32), device)
        nothing = np.full((1, items.neighbours.shape[1]), items.num_items)
        self._embeddings = from_numpy(np.pad(items.embeddings, ((0, 1), (0, 0))), device)
        self._lengths = from_numpy((items.embeddings**2).sum(1), device)
        self._neighbours = from_numpy(np.concatenate([items.neighbours, nothing]), device)
        self._strengths = from_numpy(np.pad(items.strengths, ((0, 1), (0, 0))), device)
        self._session_lengths = from_numpy(world.times.lengths.astype(np.float32), device)
        self._gaps = from_numpy(world.times.gaps_s, device)
        self._people = _people(world, device)

    @classmethod
    def of_config(cls, config: ACTRConfig) -> "ACTRUsers":
        """Users of a made-up world; worlds of the same config are made once."""
        return cls(made(config))

    @classmethod
    def load(cls, folder: Path | str) -> "ACTRUsers":
        """Users of a world written by :meth:`ACTRWorld.save`.

        Raises:
            ValueError: the folder does not hold one, or a part of it is missing or damaged.
        """
        return cls(ACTRWorld.load(folder))

    def on(self, device: str) -> "ACTRUsers":
        """See :class:`UserModel`."""
        return ACTRUsers(self.world, device)

    def sample_users(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None = None) -> ACTRState:
        """See :class:`UserModel`. Users are drawn from the people of the world."""
        device = device_of(generator)
        who = integers(generator, len(self.world.records.pace), (n,))
        people = {name: table[who] for name, table in self._people.items()}
        return ACTRState(
            slot=zeros((n,), "int64", device),
            heard=full((n, _HEARD), self.num_items, "int64", device),
            satisfaction=zeros((n,), "float32", device),
            remaining=self._length(n, generator),
            now_s=zeros((n,), "float64", device),
            left=full((n,), False, "bool", device),
            **people,
        )

    def _length(self, n: int, generator: Generator) -> Array:
        return self._session_lengths[integers(generator, self._session_lengths.shape[0], (n,))]

    def _chance(self, state: ACTRState, slate: Array) -> tuple[Array, Array]:
        """Probability of a listen, and whether the item is known, at each position."""
        memory, manners, xp = self.world.memory, self.world.manners, namespace(slate)
        same = state.items[:, None] == slate[:, :, None]
        base = (same * state.strength[:, None]).sum(-1)
        known = base > 0
        extra = (
            memory.spreading * self._spread(state, slate)
            + memory.matching * self._match(state, slate)
            - memory.satiation * (same * state.tired[:, None]).sum(-1)
        ) / memory.noise
        old = manners.cue + (xp.log(xp.where(known, base, 1.0)) - memory.threshold) / memory.noise
        liked = (self._embeddings[slate] * state.taste[:, None]).sum(-1)
        logit = extra + xp.where(known, old, manners.novelty + memory.appeal * liked)
        chance = 1 / (1 + xp.exp(-xp.clip(logit, -_STEEPEST, _STEEPEST)))
        return as_float(chance * ~repeated_items(slate)), known

    def _spread(self, state: ACTRState, slate: Array) -> Array:
        users = slate.shape[0]
        targets, strengths = (table[state.heard].reshape(users, -1) for table in (self._neighbours, self._strengths))
        return ((targets[:, None] == slate[:, :, None]) * strengths[:, None]).sum(-1)

    def _match(self, state: ACTRState, slate: Array) -> Array:
        together = (self._embeddings[slate] * state.context[:, None]).sum(-1)
        own = as_float((state.before[:, None] == slate[:, :, None]).sum(-1))
        return together - own * self._lengths[slate]

    def _answer(self, listen: Array, known: Array) -> Response:
        return Response(namespace(listen).stack([listen, listen * known], -1))

    def respond(self, state: ACTRState, slate: Int64[Array, "B K"], generator: Generator) -> Response:
        """See :class:`UserModel`."""
        chance, known = self._chance(state, slate)
        return self._answer(bernoulli(generator, chance), known)

    def expected(self, state: ACTRState, slate: Int64[Array, "B K"]) -> Response:
        """See :class:`UserModel`."""
        return self._answer(*self._chance(state, slate))

    def advance(
        self, state: ACTRState, slate: Int64[Array, "B K"], response: Response, generator: Generator
    ) -> ACTRState:
        """See :class:`UserModel`."""
        manners, listen = self.world.manners, response.feedback[..., 0]
        now_s = state.now_s + self.step_seconds(state, slate, response)
        state = self._remember(state, slate, listen > 0, now_s)
        share = sum_columns(listen) / slate.shape[1]
        worth = share - manners.boredom * (1 - share)
        remaining = state.remaining - 1.0 - manners.impatience * as_float(share == 0)
        return state._replace(
            satisfaction=state.satisfaction + manners.satisfaction_rate * (worth - state.satisfaction),
            remaining=remaining,
            now_s=now_s,
            left=state.left | (remaining <= 0),
        )

    def _remember(self, state: ACTRState, slate: Array, listened: Array, now_s: Array) -> ACTRState:
        xp = namespace(slate)
        items, time_s, strength, tired = (
            copy(part) for part in (state.items, state.time_s, state.strength, state.tired)
        )
        slot, heard = state.slot, state.heard
        for position in range(slate.shape[1]):
            here, item, column = listened[:, position], slate[:, position], slot[:, None]
            put(items, column, xp.where(here, item, pick(items, slot))[:, None])
            put(time_s, column, xp.where(here, now_s, pick(time_s, slot))[:, None])
            put(strength, column, (pick(strength, slot) * ~here)[:, None])
            put(tired, column, as_float(xp.where(here, 1.0, pick(tired, slot)))[:, None])
            slot = (slot + here) % items.shape[1]
            heard = xp.where(here[:, None], xp.concatenate([heard[:, 1:], item[:, None]], 1), heard)
        return state._replace(items=items, time_s=time_s, strength=strength, tired=tired, slot=slot, heard=heard)

    def has_left(self, state: ACTRState) -> Bool[Array, "B"]:
        """See :class:`UserModel`."""
        return state.left

    def step_seconds(self, state: ACTRState, slate: Int64[Array, "B K"], response: Response) -> Float32[Array, "B"]:
        """See :class:`UserModel`. The time to look, and for each listen the median time from one item to the next."""
        times = self.world.times
        return as_float(times.skip_s + times.listen_s * sum_columns(response.feedback[..., 0]))

    def return_gap(self, state: ACTRState, generator: Generator) -> Float64[Array, "B"]:
        """See :class:`UserModel`."""
        drawn = self._gaps[integers(generator, self._gaps.shape[0], (state.pace.shape[0],))]
        pull = as_double(state.pace - self.world.manners.return_pull * state.satisfaction)
        return drawn * namespace(pull).exp(pull)

    def come_back(self, state: ACTRState, gap_s: Float64[Array, "B"], generator: Generator) -> ACTRState:
        """See :class:`UserModel`. A session in which nothing was heard leaves the one before it in mind."""
        xp = namespace(state.items)
        time_s = state.time_s - (state.now_s + gap_s)[:, None]
        strength, tired = _faded(self.world.memory, time_s, state.items < self.num_items)
        something = (state.heard < self.num_items).any(-1)[:, None]
        return state._replace(
            time_s=time_s,
            strength=strength,
            tired=tired,
            before=xp.where(something, state.heard, state.before),
            context=xp.where(something, self._embeddings[state.heard].sum(1), state.context),
            heard=xp.full_like(state.heard, self.num_items),
            remaining=self._length(state.pace.shape[0], generator),
            now_s=xp.zeros_like(state.now_s),
            left=xp.zeros_like(state.left),
        )

    def mood(self, state: ACTRState) -> dict[str, Float32[Array, "B"]]:
        """See :class:`recgym.simulators.moods.MoodyUsers`."""
        return {"satisfaction": state.satisfaction}

    def observe(self, state: ACTRState) -> Observed:
        """See :class:`UserModel`. The history is the record from before the episode."""
        mask = state.record < self.num_items
        feedback = namespace(mask).stack([as_float(mask), state.record_again], -1)
        return Observed(state.taste[:, :0], History(state.record, feedback, state.record_s, mask))


def _faded(memory: ACTRMemory, time_s: Array, mask: Array) -> tuple[Array, Array]:
    """Strength and felt satiation of events at the start of a session."""
    xp = namespace(time_s)
    age = xp.clip(-time_s, SHORTEST_AGE_S, None)
    return as_float(age**-memory.decay * mask), as_float(xp.exp(-age / memory.satiation_s) * mask)


def _scaled_log(popularity: Float32[np.ndarray, "N"]) -> Float32[np.ndarray, "N"]:
    """Logarithms of mean 0 and spread 1; of items that nobody took, the least of the others."""
    positive = popularity > 0
    logs = np.log(np.where(positive, popularity, popularity[positive].min()))
    spread = float(logs.std())
    scaled: np.ndarray = (logs - logs.mean()) / (spread if spread > 0 else 1.0)
    return scaled.astype(np.float32)


def _people(world: ACTRWorld, device: str) -> dict[str, Array]:
    """The fields of :class:`ACTRState` that a person brings along, one row a person."""
    records, n = world.records, world.items.num_items
    strength, tired = _faded(world.memory, records.time_s, records.items < n)
    before = _last_session(records, n)
    context = np.pad(world.items.embeddings, ((0, 1), (0, 0)))[before].sum(1)
    tables = {
        "items": records.items, "time_s": records.time_s, "strength": strength, "tired": tired, "before": before,
        "context": context, "taste": records.taste, "pace": records.pace,
        "record": records.items[:, -_RECORD:], "record_s": records.time_s[:, -_RECORD:],
        "record_again": _again(records, n)[:, -_RECORD:],
    }  # fmt: skip
    return {name: from_numpy(np.ascontiguousarray(table), device) for name, table in tables.items()}


def _last_session(records: ACTRRecords, n: int) -> Int64[np.ndarray, "S L"]:
    """The newest items of each person's last session, right-aligned."""
    recent = np.where(records.time_s >= records.previous_s[:, None], records.items, n)[:, -_HEARD:]
    return np.pad(recent, ((0, 0), (_HEARD - recent.shape[1], 0)), constant_values=n)


def _again(records: ACTRRecords, n: int) -> Float32[np.ndarray, "S H"]:
    """1 where the item stands earlier in the record, 0 elsewhere."""
    people, events = records.items.shape
    keys = (np.arange(people)[:, None] * (n + 1) + records.items).ravel()
    again = np.ones(people * events, dtype=np.float32)
    again[np.unique(keys, return_index=True)[1]] = 0.0
    found: np.ndarray = again.reshape(people, events) * (records.items < n)
    return found.astype(np.float32)
