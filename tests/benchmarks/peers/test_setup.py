from pathlib import Path

import pytest

from benchmarks.peers import setup
from benchmarks.peers.recsim_env import MARKER, python_of, versions
from recgym.files import write_json


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert setup.main(["--root", str(tmp_path)]) == 2
    assert "is not a virtual environment" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("years of work")
    assert setup.main(["--root", str(tmp_path / "root")]) == 2
    assert (tmp_path / "root").read_text() == "years of work"


def test_a_complete_environment_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python_of(tmp_path).parent.mkdir(parents=True)
    python_of(tmp_path).write_text("as it was")
    write_json(tmp_path / MARKER, versions())
    assert setup.main(["--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(python_of(tmp_path))
    assert python_of(tmp_path).read_text() == "as it was"


def test_without_packages_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    root = tmp_path / "root"
    assert setup.main(["--root", str(root)]) == 1
    error = capsys.readouterr().err
    assert "the peer environment was not made: pip could not install recsim==0.2.4" in error
    assert len(error.strip().splitlines()) == 1
    assert not (root / MARKER).exists()
