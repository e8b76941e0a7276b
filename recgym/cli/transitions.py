"""``recgym data transitions``: a log of real behaviour as steps that agents learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from tyro.conf import EnumChoicesFromValues, Positional, UseAppendAction

from recgym.cli.common import console, print_json, table
from recgym.cli.reading import read_told
from recgym.data.transitions import (
    EventReading,
    LogTransitions,
    PickReading,
    Reading,
    SlateReading,
    transitions_from_log,
)
from recgym.files import check_replaceable

__all__ = ["Shown", "Transitions"]


class Shown(StrEnum):
    """What is a step of a log."""

    SLATE = "slate"
    PICK = "pick"
    EVENT = "event"


@dataclass(frozen=True)
class Transitions:
    """Read a log as steps of users, for recgym train --log and recgym ope.

    Attributes:
        path: the file or folder, as the data set's own download lays it out.
        format: how it is laid out, such as movielens, kuairand, ebnerd, table or recgym.
        out: folder of the steps; older ones there are replaced.
        columns: for the format table, which column is what, such as
            user=user_id,item=video_id,time=time_ms:ms,click=is_click,slate=*. Without a slate each row is something
            taken; slate=* says that each is an item shown by itself, taken or not.
        step: slate: every slate shown is a step, its items the action. pick: every slate that something was taken from
            is one, what was taken the action. event: everything consumed is one, out of the whole catalogue.
        size: items of a slate that counts, the most common size by default; of pick, the most that a slate may have.
        reward: weight of a feedback channel, such as click=1; may be given several times. The first channel by default.
        window: events of the past that an agent sees.
        by_user: an episode is all that is known of a user, and not a session.
        json: print one JSON object in place of a table.
    """

    path: Positional[Path]
    format: str
    out: Path
    columns: str | None = None
    step: EnumChoicesFromValues[Shown] = Shown.SLATE
    size: int | None = None
    reward: UseAppendAction[tuple[str, ...]] = ()
    window: int = 20
    by_user: bool = False
    json: bool = False

    def run(self) -> int:
        """Write the steps, and say what they hold and what was left out; returns the exit status 0."""
        check_replaceable(self.out, "transitions.json")
        log = read_told(self.path, self.format, self.columns, console())
        reward = _weights(self.reward) or {log.schema.names[0]: 1.0}
        read = transitions_from_log(
            log, self._reading(), reward, self.out, window=self.window, by_session=not self.by_user
        )
        if self.json:
            print_json(_described(read, reward) | {"out": str(self.out)})
            return 0
        found = _described(read, reward)
        shown = ("steps", "episodes", "users", "slate_size", "items", "reward_per_step", "propensities")
        table([name.replace("_", " ") for name in shown], [[found[name] for name in shown]], title=str(self.out))
        for entry in read.left_out:
            print(f"left out: {entry.rows:,} rows: {entry.reason}")
        for note in read.notes:
            print(f"note: {note}")
        return 0

    def _reading(self) -> Reading:
        if self.step is Shown.SLATE:
            return SlateReading(self.size)
        if self.step is Shown.PICK:
            return PickReading(self.size)
        if self.size is not None:
            raise ValueError("--size is of slates: with --step event every step has one item")
        return EventReading()


def _weights(words: Sequence[str]) -> dict[str, float]:
    """Weights by channel.

    Raises:
        ValueError: a word is not ``CHANNEL=NUMBER``.
    """
    weights = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            weights[name] = float(value)
        except ValueError as error:
            raise ValueError(f"--reward takes CHANNEL=NUMBER, such as click=1; found {word!r}") from error
        if not (equals and np.isfinite(weights[name])):
            raise ValueError(f"--reward takes CHANNEL=NUMBER, such as click=1; found {word!r}")
    return weights


def _described(read: LogTransitions, reward: dict[str, float]) -> dict[str, Any]:
    store = read.store
    columns, steps = store.columns, store.steps
    return {
        "source": store.problem.name, "steps": len(store), "episodes": len(store.episodes),
        "users": len(np.unique(columns["user"][steps])), "slate_size": store.problem.slate_size,
        "items": store.problem.num_items, "candidates": store.problem.num_candidates, "reward": reward,
        "reward_per_step": float(columns["reward"][steps].mean(dtype=np.float64)),
        "propensities": float(np.isfinite(columns["log_propensity"][steps]).mean()),
        "left_out": [{"rows": entry.rows, "reason": entry.reason} for entry in read.left_out],
        "notes": list(read.notes),
    }  # fmt: skip
