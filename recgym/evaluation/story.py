"""Stories of single users: what they were shown, what they did, how their hidden state moved, what the policy kept.

The recorder looks into the simulation, which policies never may, and runs only where a story is asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import polars as pl

from recgym.agents.base import Policy
from recgym.arrays import to_numpy
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.envs.transition import Transition
from recgym.evaluation.rollout import BLOCK, Begun, PolicyMaker, begin_block
from recgym.simulators.learned import LearnedUsers
from recgym.simulators.moods import moods

__all__ = ["stories"]

_WIDEST = 24
"""Numbers of a part of a state that are kept one by one; of wider parts the length of the vector is."""
_FEATURES = 12
_DIGITS = 5


def stories(
    policies: Mapping[str, Policy[Any] | PolicyMaker],
    task: Task,
    users: int = 1,
    *,
    among: int = BLOCK,
    seed: int = 0,
    greedy: bool = False,
    steps: int = 300,
    device: str = "cpu",
    titles: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Follow the same users under one or several policies, for people to look at; ``story.json`` holds the result.

    The users are the first that :func:`recgym.evaluation.rollout` serves with this seed if it has ``among`` users a
    seed, and what happens to them is what happens there.

    Args:
        policies: name to policy, or to what makes one of a simulation, as for a rollout.
        task: what to simulate.
        users: how many to follow.
        among: users that are simulated side by side, at most :data:`recgym.evaluation.rollout.BLOCK`.
        seed: root seed.
        greedy: whether policies take their most likely action.
        steps: kept of each user, at most.
        device: torch device, or ``"numpy"``.
        titles: of items; those of learned users are named by their ids in the log if None.

    Returns:
        ``env``, ``seed``, ``channels`` (name, kind, unit), ``items`` (id to ``title`` and ``features``, of those that
        were shown), and ``policies``: name to ``users``, each with ``steps``, ``left``, ``cut`` (whether the story was
        cut short), one entry a step of ``time_s``, ``session``, ``slate``, ``reward``, ``propensity`` and of each
        channel in ``feedback``; one more, the first from before any step, of what is hidden: ``mood`` and ``parts`` (a
        number or a short vector each); ``constant`` parts; ``memory`` of the policy (``norm``, ``plane``: the first two
        principal components, ``explained``: their share of the variance, ``width``), or null; and what it ``seen``.

    Raises:
        ValueError: there are no users or no steps, or fewer users than are to be followed.
    """
    if users < 1 or steps < 1:
        raise ValueError(f"a story needs at least 1 user and 1 step, found {users} and {steps}")
    among = min(among, BLOCK)
    if users > among:
        raise ValueError(f"{users} users cannot be followed among {among}; at most {BLOCK} are side by side")
    told = {}
    for name, policy in policies.items():
        told[name] = _follow(begin_block(policy, task, among, seed, 0, device), users, greedy, steps)
    return {
        "format": "recgym-story", "version": 1, "env": task.name, "seed": seed, "num_items": task.model.num_items,
        "channels": [{"name": c.name, "kind": str(c.kind), "unit": c.unit} for c in task.model.schema.channels],
        "items": _items(task, told, _log_ids(task) if titles is None else titles),
        "policies": {name: {"users": followed} for name, followed in told.items()},
    }  # fmt: skip


def _follow(begun: Begun, users: int, greedy: bool, steps: int) -> list[dict[str, Any]]:
    """The first users of a block under one policy, until all of them have ended."""
    simulation, actor, generator, state = begun
    recorder = _Recorder(simulation, users)
    while recorder.length < steps and not recorder.ended.all():
        observation, session = simulation.observation(), to_numpy(simulation.session).copy()
        decision, state = actor.act(observation, state, generator, greedy)
        transition = simulation.step(decision.action)
        recorder.step(session, observation, state, transition, to_numpy(decision.log_propensity))
    return [recorder.told(user) for user in range(users)]


def _items(task: Task, told: Mapping[str, list[dict[str, Any]]], titles: Mapping[int, str]) -> dict[str, Any]:
    """Title and features, as far as there are any, of the items that were shown."""
    shown = sorted({item for users in told.values() for user in users for slate in user["slate"] for item in slate})
    features = to_numpy(task.model.item_features)
    items: dict[str, Any] = {}
    for item in shown:
        entry: dict[str, Any] = {"features": _plain(features[item])} if 0 < features.shape[1] <= _FEATURES else {}
        items[str(item)] = entry | ({"title": titles[item]} if item in titles else {})
    return items


def _log_ids(task: Task) -> dict[int, str]:
    """Original ids of the items of learned users; nothing for others."""
    model = task.model
    ids = model.fitted.item_ids.cast(pl.String).to_list() if isinstance(model, LearnedUsers) else []
    return dict(enumerate(ids))


class _Recorder:
    """Keeps what happens to the first users of a simulation.

    Args:
        simulation: that was reset.
        users: how many to follow.
    """

    def __init__(self, simulation: Simulation, users: int) -> None:
        self._simulation = simulation
        self.ended = np.zeros(users, dtype=bool)
        self._rows: list[dict[str, Any]] = []
        self._before = [self._hidden()]

    @property
    def length(self) -> int:
        """Steps so far."""
        return len(self._rows)

    def step(
        self, session: np.ndarray, observation: Any, state: Any, transition: Transition, log_propensity: np.ndarray
    ) -> None:
        """One step was made.

        Args:
            session: which session each user was in, ``[B]``.
            observation: what the policy saw before the step.
            state: what it kept of the users when it had chosen.
            transition: what happened.
            log_propensity: of what was chosen, ``[B]``.
        """
        n = self.ended.size
        memory = list(_floats(state))
        if isinstance(observation, Mapping) and "state" in observation:
            memory.append(to_numpy(observation["state"])[:n].reshape(n, -1))
        row: dict[str, Any] = {
            "alive": ~self.ended,
            "session": session[:n],
            "slate": to_numpy(transition.slate)[:n].copy(),
            "feedback": to_numpy(transition.response.feedback)[:n].copy(),
            "reward": to_numpy(transition.reward)[:n].copy(),
            "time_s": to_numpy(transition.time_s)[:n].copy(),
            "left": to_numpy(transition.terminated)[:n].copy(),
            "propensity": np.exp(log_propensity[:n].astype(np.float64)),
            "seen": _seen(observation, self._simulation, n),
            "memory": np.concatenate([part[:n] for part in memory], axis=1) if memory else np.zeros((n, 0)),
        }
        if transition.return_gap_s is not None:
            row["gap_s"] = to_numpy(transition.return_gap_s)[:n].copy()
        self._rows.append(row)
        self._before.append(self._hidden())
        self.ended = self.ended | row["left"] | to_numpy(transition.truncated)[:n]

    def _hidden(self) -> dict[str, np.ndarray]:
        """Moods, and the parts of the state that are numbers or short vectors, of the followed users."""
        simulation, n = self._simulation, self.ended.size
        named = moods(simulation.model, simulation.users)
        found = {f"mood/{name}": to_numpy(part)[:n].copy() for name, part in named.items()}
        for name, part in _parts(simulation.users):
            rows = to_numpy(part)[:n].reshape(n, -1).astype(np.float64)
            if not rows.shape[1] or f"mood/{name.replace('_', ' ')}" in found:
                continue
            wide = rows.shape[1] > _WIDEST
            found[f"part/{name}"] = np.linalg.norm(rows, axis=1, keepdims=True) if wide else rows
        return found

    def told(self, user: int) -> dict[str, Any]:
        """The story of one user; see :func:`stories`."""
        length = int(sum(row["alive"][user] for row in self._rows))
        rows = self._rows[:length]
        columns = ("time_s", "session", "slate", "reward", "propensity", *(["gap_s"] if "gap_s" in rows[0] else []))
        feedback = np.stack([row["feedback"][user] for row in rows])
        seen = {name: np.stack([row["seen"][name][user] for row in rows]) for name in rows[0]["seen"]}
        return {
            "user": user, "steps": length, "left": bool(rows[-1]["left"][user]), "cut": not bool(self.ended[user]),
            **{name: _plain(np.stack([row[name][user] for row in rows])) for name in columns},
            "feedback": {name: _plain(feedback[:, :, i]) for i, name in enumerate(self._simulation.channels)},
            **self._moved(user, length),
            "memory": _memory(np.stack([row["memory"][user] for row in rows])),
            "seen": {name: _plain(_narrow(values)) for name, values in seen.items()},
        }  # fmt: skip

    def _moved(self, user: int, length: int) -> dict[str, Any]:
        """``mood``, ``parts`` and ``constant`` of a story."""
        moved: dict[str, dict[str, Any]] = {"mood": {}, "parts": {}, "constant": {}}
        for key in self._before[0]:
            kind, _, name = key.partition("/")
            values = _narrow(np.stack([entry[key][user] for entry in self._before[: length + 1]]))
            label = name.replace("_", " ")
            if np.ptp(values, axis=0).max() > 0:
                moved["mood" if kind == "mood" else "parts"][label] = _plain(values)
            elif values.ndim == 1:
                moved["constant"][label] = _plain(values[0])
        return moved


def _parts(state: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Real numbers of a user state, a (nested) named tuple or dataclass, by name."""
    if is_dataclass(state):
        names = [entry.name for entry in fields(state)]
    else:
        names = list(getattr(state, "_fields", ()))
    for name in names:
        part = getattr(state, name)
        if hasattr(part, "_fields") or is_dataclass(part):
            yield from _parts(part, f"{before}{name}.")
        elif name.endswith("_s"):  # times, which the story tells itself
            continue
        elif "float" in str(getattr(part, "dtype", "")) and 1 <= part.ndim <= 2:
            yield f"{before}{name}", part


def _floats(state: Any) -> Iterator[np.ndarray]:
    """What a policy keeps of users, as rows of real numbers."""
    if isinstance(state, tuple):
        for part in state:
            yield from _floats(part)
    elif "float" in str(getattr(state, "dtype", "")) and state.ndim >= 2:
        yield to_numpy(state).reshape(state.shape[0], -1).copy()


def _seen(observation: Any, simulation: Simulation, n: int) -> dict[str, np.ndarray]:
    """What an observation comes to, in few numbers: ``[n, W]`` each."""
    if not isinstance(observation, Mapping):
        rows = to_numpy(observation)[:n].reshape(n, -1).astype(np.float64)
        return {
            "observation": rows.copy() if rows.shape[1] <= _FEATURES else np.linalg.norm(rows, axis=1, keepdims=True)
        }
    found = {}
    if "history_items" in observation:
        known = to_numpy(observation["history_items"])[:n] != simulation.model.num_items
        found["events in the history"] = known.sum(1, keepdims=True).astype(np.float64)
    for name in ("profile", "progress", "since_s"):
        if name in observation and observation[name].shape[1] <= _FEATURES:
            found[name] = to_numpy(observation[name])[:n].astype(np.float64)
    return found


def _memory(rows: np.ndarray) -> dict[str, Any] | None:
    """The way of a policy's memory through one story: its length, and the plane in which it moves most."""
    steps, width = rows.shape
    if not width or not np.isfinite(rows).all():
        return None
    norm = np.linalg.norm(rows, axis=1)
    centred = rows - rows.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((steps, 2))
    kept = min(2, size.size)
    plane[:, :kept] = left[:, :kept] * size[:kept]
    total = float((size**2).sum())
    explained = float((size[:2] ** 2).sum()) / total if total > 0 else 1.0
    return {"norm": _plain(norm), "plane": _plain(plane), "explained": _plain(explained), "width": width}


def _narrow(values: np.ndarray) -> np.ndarray:
    """Vectors of one number as that number."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _plain(value: Any) -> Any:
    """Numbers as JSON can hold them, to five digits; null where one is not finite."""
    if isinstance(value, np.ndarray):
        return [_plain(entry) for entry in value] if value.ndim > 1 else [_plain(entry) for entry in value.tolist()]
    if isinstance(value, bool | int | np.integer):
        return int(value) if not isinstance(value, bool) else value
    return float(f"{float(value):.{_DIGITS}g}") if np.isfinite(value) else None
