"""Writing results so that nothing half-written is ever seen: to a temporary name, then rename."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["atomic_file", "atomic_folder", "check_replaceable", "check_writable", "read_json", "write_json"]


def check_writable(folder: Path | str) -> Path:
    """Make sure that a folder exists and can be written, before any work is done for it.

    Raises:
        ValueError: the folder cannot be made or written; the sentence names it and the reason.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe"):
            pass
    except OSError as error:
        raise ValueError(f"output folder {folder} cannot be written: {error.strerror or error}") from error
    return folder


@contextmanager
def atomic_file(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends well, remove it otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path | str, *markers: str) -> Path:
    """Make sure that writing a folder at ``path`` would replace nothing but an older one of its kind.

    Args:
        path: where the folder is to stand.
        markers: files of which every folder of its kind holds one at least, such as ``log.json``.

    Raises:
        ValueError: a file stands there, or a folder that holds other things.
    """
    path = Path(path).absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file, a folder was to be written there; move it or name another place")
    if path.is_dir() and any(path.iterdir()) and not any((path / marker).is_file() for marker in markers):
        raise ValueError(
            f"the folder {path} holds other things (no {' or '.join(markers)} among them) and would be replaced; "
            "name another place"
        )
    return path


@contextmanager
def atomic_folder(path: Path | str, *markers: str) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it takes the place of ``path`` when the block ends well.

    A folder that already stands at ``path`` is kept until the new one is complete.

    Args:
        path: where the folder is to stand.
        markers: files of which every folder of its kind holds one at least; see :func:`check_replaceable`.

    Raises:
        ValueError: something else stands there.
    """
    path = check_replaceable(path, *markers)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            path.replace(old / "was")
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinities are refused: JSON has no word for them."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: the file is absent or is not JSON; the sentence names it.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path} does not exist, a JSON file was expected there") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not readable as JSON: {error}") from error
