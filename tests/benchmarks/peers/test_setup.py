from pathlib import Path

import pytest

from benchmarks.peers import setup
from benchmarks.peers.environments import ENVIRONMENTS, MARKER, RECSIM, python_of
from recgym.files import write_json


def _fake_environment(root: Path, content: object) -> None:
    folder = root / RECSIM.name
    python_of(folder).parent.mkdir(parents=True)
    python_of(folder).write_text("as it was")
    write_json(folder / MARKER, content)


def test_a_complete_environment_is_found_and_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _fake_environment(tmp_path, RECSIM.versions())
    python = python_of(tmp_path / "recsim")
    assert RECSIM.find(tmp_path) == python
    assert setup.main(["--root", str(tmp_path), "recsim"]) == 0
    assert capsys.readouterr().out.strip() == str(python)
    assert python.read_text() == "as it was"


def test_other_versions_are_not_taken(tmp_path: Path) -> None:
    _fake_environment(tmp_path, RECSIM.versions() | {"recsim": "0.2.3"})
    assert RECSIM.find(tmp_path) is None


def test_an_interrupted_environment_is_not_taken(tmp_path: Path) -> None:
    _fake_environment(tmp_path, RECSIM.versions())
    (tmp_path / "recsim" / MARKER).unlink()
    assert RECSIM.find(tmp_path) is None


def test_every_requirement_has_its_version() -> None:
    for environment in ENVIRONMENTS:
        assert all(environment.versions().values())


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recsim").mkdir()
    (tmp_path / "recsim" / "thesis.txt").write_text("years of work")
    assert setup.main(["--root", str(tmp_path), "recsim"]) == 2
    assert "is not a virtual environment" in capsys.readouterr().err
    assert (tmp_path / "recsim" / "thesis.txt").read_text() == "years of work"


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "recsim").write_text("years of work")
    assert setup.main(["--root", str(tmp_path), "recsim"]) == 2
    assert (tmp_path / "recsim").read_text() == "years of work"


def test_an_unknown_name_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        setup.main(["--root", str(tmp_path), "recsin"])
    assert "there is no environment recsin; there are recsim, recogym, bandits, recbole" in capsys.readouterr().err


def test_without_packages_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert setup.main(["--root", str(tmp_path), "recsim"]) == 1
    error = capsys.readouterr().err
    assert "the peer environment recsim was not made: pip could not install recsim==0.2.4" in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "recsim" / MARKER).exists()
