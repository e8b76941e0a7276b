"""Writing a store of transitions, block by block, so that it may be larger than memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float32

from recgym.data.transitions.columns import EVENTS, Problem, point_columns
from recgym.data.transitions.store import TransitionStore
from recgym.files import atomic_folder, write_json

__all__ = ["Block", "TransitionWriter", "check_block", "in_memory", "joined_blocks", "writing"]

Block = Mapping[str, np.ndarray]
"""Whole episodes: every column of :func:`point_columns`, and ``episodes``; events and points are counted from 0."""

_EVENT_INDICES = ("first_event", "last_event")


def check_block(problem: Problem, block: Block) -> None:
    """Make sure that a block is one.

    Raises:
        ValueError: a column is missing, or has another shape than it should have; the sentence says which.
    """
    points, events = len(block["user"]), len(block["event_items"])
    for name, (_, shape) in point_columns(problem).items():
        expected = (events if name in EVENTS else points, *shape)
        if name not in block or block[name].shape != expected:
            found = block[name].shape if name in block else "nothing"
            raise ValueError(f"{problem.name}: column {name!r} of the transitions: found {found}, expected {expected}")


def _moved(block: Block, points: int, events: int) -> dict[str, np.ndarray]:
    """The block as it stands behind so many points and events."""
    moved = dict(block)
    for name in _EVENT_INDICES:
        moved[name] = block[name] + events
    moved["event_point"] = np.where(block["event_point"] < 0, -1, block["event_point"] + points)
    moved["episodes"] = block["episodes"] + points
    return moved


def joined_blocks(blocks: Sequence[Block]) -> Block:
    """Blocks one behind the other, as one."""
    points = np.cumsum([0, *(len(block["user"]) for block in blocks)])
    events = np.cumsum([0, *(len(block["event_items"]) for block in blocks)])
    moved = [_moved(block, int(p), int(e)) for block, p, e in zip(blocks, points[:-1], events[:-1], strict=True)]
    return {name: np.concatenate([block[name] for block in moved]) for name in moved[0]}


class TransitionWriter:
    """Appends blocks of episodes to the columns of a store; made by :func:`writing`.

    Args:
        problem: what is written.
        files: of each column, and of ``episodes``.

    Attributes:
        points: written so far.
        events: written so far.
        episodes: written so far.
    """

    def __init__(self, problem: Problem, files: Mapping[str, BinaryIO]) -> None:
        self.problem, self._files = problem, files
        self.points = self.events = self.episodes = 0

    @property
    def steps(self) -> int:
        """Written so far."""
        return self.points - self.episodes

    def add(self, block: Block) -> None:
        """Append the episodes of a block.

        Raises:
            ValueError: see :func:`check_block`.
        """
        check_block(self.problem, block)
        moved = _moved(block, self.points, self.events)
        types = {**{name: dtype for name, (dtype, _) in point_columns(self.problem).items()}, "episodes": np.int64}
        for name, dtype in types.items():
            self._files[name].write(np.ascontiguousarray(moved[name], dtype=dtype).tobytes())
        self.points += len(block["user"])
        self.events += len(block["event_items"])
        self.episodes += len(block["episodes"])


@contextmanager
def writing(
    folder: Path | str, problem: Problem, item_features: Float32[np.ndarray, "N D"]
) -> Iterator[TransitionWriter]:
    """Write a store into a folder, all or nothing: it stands there when the block ends well.

    Args:
        folder: where; an older store there is replaced.
        problem: what is written.
        item_features: one row an item.

    Raises:
        ValueError: other things stand in the folder.
    """
    with atomic_folder(Path(folder), "transitions.json") as temporary:
        with ExitStack() as stack:
            names = (*point_columns(problem), "episodes")
            files = {name: stack.enter_context((temporary / f"{name}.bin").open("wb")) for name in names}
            writer = TransitionWriter(problem, files)
            yield writer
        features = np.ascontiguousarray(item_features, dtype=np.float32)
        (temporary / "item_features.bin").write_bytes(features.tobytes())
        counts = {"points": writer.points, "events": writer.events, "episodes": writer.episodes}
        meta = {"format": "recgym-transitions", "version": 1, "problem": problem.to_json(), **counts}
        write_json(temporary / "transitions.json", meta)


def in_memory(problem: Problem, item_features: Float32[np.ndarray, "N D"], block: Block) -> TransitionStore:
    """A store of one block that is never written.

    Raises:
        ValueError: see :func:`check_block`.
    """
    check_block(problem, block)
    columns = {
        name: np.ascontiguousarray(block[name], dtype=dtype) for name, (dtype, _) in point_columns(problem).items()
    }
    return TransitionStore(problem, columns, item_features, block["episodes"])
