"""Runs that recgym's commands have written, found in folders and read: what they are and how far they are."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from recgym.files import read_json

__all__ = ["STORY", "Found", "Kind", "Run", "Runs", "State"]

STORY = "story.json"
_STOPPED = "stopped.json"
_FILES: Mapping[str, tuple[type, str]] = {
    "result.json": (dict, "object"), "config.json": (dict, "object"), "sweep.json": (dict, "object"),
    "curve.json": (list, "array"), "losses.json": (list, "array"), "epochs.json": (list, "array"),
    STORY: (dict, "object"), _STOPPED: (dict, "object"),
}  # fmt: skip
"""The files of a run, and what they hold."""
_NO_RUNS_IN = {"checkpoint", "tb", "simulator", "node_modules"}
_DEEPEST = 8
_MOST = 300
_STALE_S = 900.0
"""A run without a result whose files have been still this long has stopped."""


class Kind(StrEnum):
    """What a run is, by what its command wrote."""

    DEMO = "log to policy"
    TRAINING = "training"
    OFFLINE = "training on a log"
    ENCODER = "encoder fit"
    SWEEP = "sweep"
    EVALUATION = "evaluation"
    CHECK = "fidelity check"
    OPE = "off-policy evaluation"
    EXPERIMENT = "A/B test"
    STORY = "user stories"
    UNKNOWN = "unknown"


class State(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: the path of its folder below the folder that was looked through; the folder's own name if it is that one.
        folder: where it lies.
        kind: what it is.
        state: how far it is.
        changed: when a file of it was last written, in seconds since 1970.
        config: what it was told to do; empty where its command writes nothing of that.
        result: what it has found. Of a run that goes on, what there is.
        story: stories of single users; empty if none were recorded.
        why: what broke it off; empty if nothing did, or nobody knows.
    """

    name: str
    folder: Path
    kind: Kind
    state: State
    changed: float
    config: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    story: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def world(self) -> str:
        """What the run was about: an environment, or a log."""
        source = str((self.result.get("dataset") or {}).get("source") or "").rstrip("/")
        known = (
            self.result.get("env"), self.config.get("env"), self.result.get("task"), self.config.get("task"),
            self.result.get("name"), self.story.get("env"), source.rsplit("/", maxsplit=1)[-1], self.result.get("data"),
            self.config.get("data"),
        )  # fmt: skip
        return next((str(value) for value in known if value), "")


@dataclass(frozen=True)
class Found:
    """What a look at folders found.

    Attributes:
        runs: the newest first.
        problems: files that could not be read, and what was left out, one sentence each.
        version: changes when any file of any run does.
    """

    runs: tuple[Run, ...]
    problems: tuple[str, ...]
    version: str


_Stamp = tuple[int, int]


class Runs:
    """The runs below some folders; what has not changed since the last look is not read again.

    Args:
        folders: of runs, or that hold such folders; nothing outside them is read, links to folders are not followed.

    Raises:
        ValueError: a folder does not exist.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise ValueError(f"{folder} is not a folder; the folder of a run, or one that holds some, was expected")
        self._roots = tuple(dict.fromkeys(folder.resolve() for folder in folders))
        self._read: dict[Path, tuple[_Stamp, Any]] = {}

    def look(self) -> Found:
        """Find and read them."""
        problems: list[str] = []
        runs: dict[str, Run] = {}
        stamps: list[str] = []
        for root in self._roots:
            for folder, names in _run_folders(root):
                if len(runs) >= _MOST:
                    problems.append(f"{root} holds more than {_MOST} runs; the others are left out")
                    break
                marks = {name: _stamp(folder / name) for name in names}
                stamps.append(f"{folder}{sorted(marks.items())}")
                name = _name(root, folder, len(self._roots) > 1)
                run = self._run(name, folder, marks, problems)
                if run is not None:
                    runs[name] = run
        kept = [run for run in runs.values() if not _part_of_another(run, runs)]
        newest = tuple(sorted(kept, key=lambda run: (-run.changed, run.name)))
        states = "".join(run.state for run in newest)
        return Found(newest, tuple(problems), f"{hash((tuple(stamps), states)) & 0xFFFFFFFFFFFF:012x}")

    def _run(self, name: str, folder: Path, marks: Mapping[str, _Stamp], problems: list[str]) -> Run | None:
        read = {file: self._file(folder / file, stamp, problems) for file, stamp in marks.items()}
        result, story = (read.get(file) or {} for file in ("result.json", STORY))
        config = read.get("config.json") or read.get("sweep.json") or _trial_config(folder, self._read)
        curve = read.get("curve.json") or read.get("losses.json") or read.get("epochs.json")
        if curve and not result.get("learning_curve"):
            result = {**result, "learning_curve": curve}
        if not (result or story or config.keys() & {"agent", "encoder"}):
            return None
        changed = max(stamp[0] for stamp in marks.values()) / 1e9
        kind = _kind(config, result, story)
        state = _state(marks, config, changed)
        why = str((read.get(_STOPPED) or {}).get("why", "")) if state is State.STOPPED else ""
        return Run(name, folder, kind, state, changed, config, result, story, why)

    def _file(self, path: Path, stamp: _Stamp, problems: list[str]) -> Any:
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            kind, word = _FILES[path.name]
            try:
                value = read_json(path)
                if not isinstance(value, kind):
                    raise ValueError(f"{path} holds a {type(value).__name__}, a JSON {word} was expected")
            except ValueError as error:
                problems.append(str(error))
                return None
            known = self._read[path] = stamp, value
        return known[1]


def _run_folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders that hold a run's files, and which; parents before what they hold."""
    for here, folders, names in os.walk(root):
        folder = Path(here)
        depth = len(folder.relative_to(root).parts)
        folders[:] = sorted(
            name for name in folders if name not in _NO_RUNS_IN and not name.startswith(".") and depth < _DEEPEST
        )
        found = [name for name in _FILES if name in names]
        if found:
            yield folder, found


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:  # gone since the folder was listed
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _name(root: Path, folder: Path, many: bool) -> str:
    below = folder.relative_to(root).as_posix()
    if below == ".":
        return root.name
    return f"{root.name}/{below}" if many else below


def _kind(config: Mapping[str, Any], result: Mapping[str, Any], story: Mapping[str, Any]) -> Kind:
    if "trials" in result or "grid" in config:
        return Kind.SWEEP
    if "encoder" in config:
        return Kind.ENCODER
    if "replications" in result:
        return Kind.EXPERIMENT
    if "logged_return" in result:
        return Kind.OPE
    if "passed" in result and "channels" in result:
        return Kind.CHECK
    if "dataset" in result or "fidelity" in result:
        return Kind.DEMO
    if result.get("policies"):
        return Kind.EVALUATION
    points = result.get("learning_curve")
    if "log" in config or "updates" in result or (points and "updates" in points[0]):
        return Kind.OFFLINE
    if "agent" in config or "learning_curve" in result:
        return Kind.TRAINING
    return Kind.STORY if story else Kind.UNKNOWN


def _state(marks: Mapping[str, _Stamp], config: Mapping[str, Any], changed: float) -> State:
    # A run that was taken up again has written its settings after its last result.
    result, stopped = marks.get("result.json"), marks.get(_STOPPED)
    begun = marks.get("config.json") or marks.get("sweep.json") or (0, 0)
    if result is not None and result >= (begun[0], 0):
        return State.DONE
    if result is None and "agent" not in config and STORY in marks:
        return State.DONE
    if stopped is not None and stopped >= (begun[0], 0):
        return State.STOPPED
    return State.RUNNING if time.time() - changed < _STALE_S else State.STOPPED


def _trial_config(folder: Path, read: Mapping[Path, tuple[_Stamp, Any]]) -> dict[str, Any]:
    """What a trial of a sweep was told, as far as the sweep says so."""
    known = read.get(folder.parent.parent / "sweep.json") if folder.parent.name == "trials" else None
    return {} if known is None else {name: known[1].get(name) for name in ("env", "agent", "steps")}


def _part_of_another(run: Run, runs: Mapping[str, Run]) -> bool:
    """Whether it is the agent of a demo that is done and shows its curve itself."""
    if run.config or "learning_curve" not in run.result or set(run.result) != {"learning_curve"}:
        return False
    parent = next((each for each in runs.values() if each.folder == run.folder.parent), None)
    return parent is not None and "learning_curve" in parent.result
