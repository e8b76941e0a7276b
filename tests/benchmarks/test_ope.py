"""The benchmark of off-policy estimates runs, and a peer whose values differ is not compared."""

import json
import stat
import sys
from pathlib import Path

import pytest

from benchmarks import ope
from benchmarks.peers.environments import BANDITS, MARKER, python_of
from benchmarks.peers.run_obp import rounds
from recgym.files import write_json
from recgym.ope import DR, IPW, SNIPW, LoggedRounds, value_of


def test_quick_run_writes_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ope.json"
    assert ope.main(["--quick", "--json", "--out", str(out), "--peers", str(tmp_path / "none")]) == 0
    body = json.loads(out.read_text())
    assert json.loads(capsys.readouterr().out) == body
    assert len(body["rows"]) == 9
    assert all(row["seconds"] > 0 for row in body["rows"])


def peers(folder: Path, shift: float) -> Path:
    """Stand-ins for the peers' environments: the interpreter prints what obp would, its values shifted."""
    data = LoggedRounds(**rounds(20_000))
    found = {
        one.name: {"value": float(value_of(one.fractions(data))[0]) + shift, "point": 1.0, "resamples": 1.0}
        for one in (IPW(), SNIPW(), DR())
    }
    script = python_of(folder / BANDITS.name)
    script.parent.mkdir(parents=True, exist_ok=True)
    write_json(folder / BANDITS.name / MARKER, BANDITS.versions())
    script.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(found))})\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder


def test_a_peer_is_compared_if_its_values_are_ours(tmp_path: Path) -> None:
    out = tmp_path / "ope.json"
    ope.main(["--quick", "--out", str(out), "--peers", str(peers(tmp_path, 0.0))])
    ratios = json.loads(out.read_text())["ratios"]
    assert {ratio["env"] for ratio in ratios} == {
        f"{name}: {what}" for name in ("IPW", "SNIPW", "DR") for what in ("point", "resamples")
    }
    with pytest.raises(RuntimeError, match=r"IPW is .* here and .* in obp"):
        ope.main(["--quick", "--peers", str(peers(tmp_path, 1e-3))])
