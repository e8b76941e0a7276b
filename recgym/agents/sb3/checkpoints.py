"""Checkpoints: one JSON file and safetensors, written all or nothing. Reading one never executes code.

======================  ===========================================================================================
file                    content
======================  ===========================================================================================
``agent.json``          algorithm, settings, environment, spaces, counters, learning curve, and how tensors are laid out
``agent.safetensors``   parameters, optimizer states, running scales, states of the generators
``replay.safetensors``  the filled part of the replay buffer, of algorithms that have one
======================  ===========================================================================================
"""

import glob
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recgym.envs.task import Task
from recgym.files import atomic_folder, read_json, write_json

__all__ = [
    "Checkpoint", "State",
    "find_checkpoint", "read_checkpoint", "reading", "write_checkpoint",
    "describe_space", "task_signature", "pack_state", "unpack_state",
]  # fmt: skip

_FORMAT, _VERSION = "recgym-agent", 1
_META, _TENSORS, _REPLAY = "agent.json", "agent.safetensors", "replay.safetensors"
_INNER = "checkpoint"  # of a training's folder

State = dict[str, Any]
"""What ``torch`` calls a state dictionary: of a module, names to tensors; of an optimizer, nested."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        meta: what JSON can hold.
        tensors: by name.
        replay: the replay buffer's arrays, by name; empty if there is none.
    """

    meta: dict[str, Any]
    tensors: dict[str, Tensor]
    replay: dict[str, Tensor]


def write_checkpoint(folder: Path | str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, which takes the place of the one that stands there only when it is complete."""
    folder = Path(folder)
    tensors, aliases = _without_aliases(checkpoint.tensors)
    with atomic_folder(folder, _META) as temporary:
        save_file(tensors, temporary / _TENSORS)
        if checkpoint.replay:
            save_file(checkpoint.replay, temporary / _REPLAY)
        write_json(temporary / _META, {"format": _FORMAT, "version": _VERSION, "aliases": aliases, **checkpoint.meta})
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*"):  # of a process that was killed while it wrote
        shutil.rmtree(leftover, ignore_errors=True)


def read_checkpoint(folder: Path | str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        folder: any that :func:`find_checkpoint` finds one for.

    Raises:
        ValueError: there is none, or a file of it is damaged; the sentence names it.
    """
    found = find_checkpoint(folder)
    if found is None:
        raise ValueError(f"{folder} holds no checkpoint: {_META} does not exist there, nor in its folder {_INNER}")
    folder = found
    meta = read_json(folder / _META)
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
        raise ValueError(f"{folder / _META} does not describe a saved recgym agent")
    if meta.get("version") != _VERSION:
        raise ValueError(f"{folder / _META} has version {meta.get('version')}, this recgym reads version {_VERSION}")
    tensors = _read_tensors(folder / _TENSORS)
    replay = _read_tensors(folder / _REPLAY) if (folder / _REPLAY).exists() else {}
    for alias, name in meta.get("aliases", {}).items():
        if name not in tensors:
            raise ValueError(f"{folder / _TENSORS} lacks the tensor {name!r} that {_META} refers to")
        tensors[alias] = tensors[name]
    return Checkpoint(meta, tensors, replay)


@contextmanager
def reading(folder: Path | str) -> Iterator[None]:
    """Turn what goes wrong while an agent is made from a checkpoint into one ``ValueError`` that names the folder."""
    try:
        yield
    except (KeyError, TypeError, RuntimeError, IndexError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{folder} is not a complete checkpoint: {what}") from error
    except ValueError as error:
        raise ValueError(f"{folder} cannot be used here: {error}") from error


def find_checkpoint(folder: Path | str) -> Path | None:
    """Where the checkpoint is that a folder stands for.

    A process that is killed while it replaces a checkpoint may leave nothing at its place for a moment, and the old
    one, complete, in a hidden folder beside it: that one is found too.

    Args:
        folder: of the checkpoint itself, or of a training, which keeps it in ``checkpoint/``.

    Returns:
        The folder of ``agent.json``, or None if there is no checkpoint.
    """
    folder = Path(folder)
    for place in (folder / _INNER, folder):
        if (place / _META).is_file():
            return place
        moved = sorted(place.parent.glob(f".{glob.escape(place.name)}.old.*/was/{_META}"))
        if moved:
            return moved[-1].parent
    return None


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist, the tensors of a saved agent were expected there") from error
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} is not readable as safetensors: {error}") from error


def _without_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors that share memory once each, and the names of the others with the name they share with."""
    unique: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[Any, str] = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.dtype) if tensor.numel() else name
        if key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            unique[name] = tensor.detach().contiguous()
    return unique, aliases


def pack_state(states: Mapping[str, State]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Flatten state dictionaries of modules and optimizers.

    Returns:
        The tensors, named ``part/name`` (``part/index/name`` for an optimizer), and the optimizers' settings for JSON.
    """
    tensors: dict[str, Tensor] = {}
    settings: dict[str, Any] = {}
    for part, state in states.items():
        if "param_groups" not in state:
            tensors |= {f"{part}/{name}": tensor for name, tensor in state.items()}
            continue
        settings[part] = state["param_groups"]
        for index, entries in state["state"].items():
            tensors |= {f"{part}/{index}/{name}": torch.as_tensor(value) for name, value in entries.items()}
    return tensors, settings


def unpack_state(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], parts: Mapping[str, State]
) -> dict[str, State]:
    """The inverse of :func:`pack_state`.

    Args:
        tensors: as packed; may hold others too.
        settings: as packed.
        parts: state dictionaries of the same parts as they are now, which say what is an optimizer.
    """
    states: dict[str, State] = {}
    for part, now in parts.items():
        mine = {name.removeprefix(f"{part}/"): value for name, value in tensors.items() if name.startswith(f"{part}/")}
        if "param_groups" not in now:
            states[part] = mine
            continue
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in mine.items():
            index, _, entry = name.partition("/")
            entries.setdefault(int(index), {})[entry] = value
        groups = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in settings[part]]
        states[part] = {"state": entries, "param_groups": groups}
    return states


def task_signature(task: Task) -> dict[str, Any]:
    """What must agree between the task of a checkpoint and the one at hand."""
    space = task.observer.space(task.sizes)
    return {"observation": describe_space(space), "slate_size": task.slate_size, "items": task.sizes.num_items,
            "candidates": task.sizes.num_candidates}  # fmt: skip


def describe_space(space: spaces.Space[Any]) -> dict[str, Any]:
    """What must agree between the space of a checkpoint and that of an environment."""
    if isinstance(space, spaces.Dict):
        return {"kind": "Dict", "keys": {key: describe_space(part) for key, part in space.spaces.items()}}
    described: dict[str, Any] = {"kind": type(space).__name__, "shape": list(space.shape or ())}
    if isinstance(space, spaces.Discrete):
        described["n"] = int(space.n)
    elif isinstance(space, spaces.MultiDiscrete):
        described["n"] = space.nvec.tolist()
    elif isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.integer):
        described["high"] = int(space.high.max(initial=0))
    return described
