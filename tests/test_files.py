"""Files appear whole or not at all."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from recgym.files import atomic_file, atomic_folder, check_writable, read_json, write_json


class StopHere(Exception):
    """What goes wrong in the middle of writing."""


def write_half(target: AbstractContextManager[Path]) -> None:
    """Begin to write, and fail."""
    with target as temporary:
        (temporary / "new" if temporary.is_dir() else temporary).write_text("ne")
        raise StopHere


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("all")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "all"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_an_unfinished_file_leaves_the_old_one_and_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(StopHere):
        write_half(atomic_file(path))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for text in ("first", "second"):
        with atomic_folder(folder, "mark.json") as temporary:
            (temporary / "mark.json").write_text(text)
        assert (folder / "mark.json").read_text() == text
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_an_unfinished_folder_leaves_the_old_one_and_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with atomic_folder(folder, "mark.json") as temporary:
        (temporary / "mark.json").write_text("old")
    with pytest.raises(StopHere):
        write_half(atomic_folder(folder, "mark.json"))
    assert [entry.name for entry in folder.iterdir()] == ["mark.json"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None], "ä": "ö"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert (tmp_path / "a.json").read_text().endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_json_has_no_word_for_is_refused_before_anything_is_written(tmp_path: Path, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", {"a": value})
    assert list(tmp_path.iterdir()) == []


def test_reading_what_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.json does not exist, a JSON file was expected there"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(ValueError, match=r"a\.json is not readable as JSON"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"a\.json is not readable as JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match="is not readable as JSON"):
        read_json(tmp_path)
    (tmp_path / "b.json").write_text(json.dumps([1]))
    assert read_json(tmp_path / "b.json") == [1]


def test_a_folder_that_can_be_written_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert check_writable(folder) == folder
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"output folder .*/file/out cannot be written: "):
        check_writable(tmp_path / "file" / "out")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_ours_is_never_replaced(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "thesis"
    if kind == "folder":
        place.mkdir()
        (place / "chapter.txt").write_text("keep")
    else:
        place.write_text("keep")
    with pytest.raises(ValueError, match="is a file" if kind == "file" else "holds other things"):
        write_half(atomic_folder(place, "mark.json"))
    assert (place if kind == "file" else place / "chapter.txt").read_text() == "keep"
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis"]
