"""The console entry point: finding verbs, exit statuses, and errors of one line."""

import dataclasses
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from recgym.agents.loading import CONFIGS
from recgym.agents.offline import OFFLINE_CONFIGS
from recgym.cli import common
from recgym.cli import main as cli
from recgym.cli.encoder import Fit
from recgym.cli.main import Entry, main
from recgym.cli.train import Train
from recgym.cli.train_offline import TrainOffline
from recgym.encoders.models import MODELS


@dataclass(frozen=True)
class Probe:
    """A verb for the tests.

    Attributes:
        times: how often.
        json: for machines.
    """

    times: int = 1
    json: bool = False

    error: ClassVar[BaseException | None] = None

    def run(self) -> int:
        if Probe.error is not None:
            raise Probe.error
        print("probed " * self.times)
        return 1 if self.json else 0


@pytest.fixture(autouse=True)
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("probe_verb")
    module.Probe = Probe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_verb", module)
    monkeypatch.setattr(cli, "VERBS", (*cli.VERBS, Entry(("probe",), "probe_verb:Probe", "Only in tests")))
    monkeypatch.setattr(Probe, "error", None)
    monkeypatch.delenv("RECGYM_DEBUG", raising=False)


@pytest.mark.parametrize(("verb", "known"), [(Train, CONFIGS), (TrainOffline, OFFLINE_CONFIGS), (Fit, MODELS)])
def test_help_names_every_agent_and_encoder(verb: type, known: dict[str, type]) -> None:
    words = re.split(r"[^a-z0-9-]+", (verb.__doc__ or "").lower())
    assert set(known) <= set(words)


@pytest.mark.parametrize("entry", cli.VERBS, ids=lambda entry: " ".join(entry.words))
def test_every_verb_is_a_frozen_dataclass_that_explains_its_flags(
    entry: Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    verb = entry.load()
    assert dataclasses.is_dataclass(verb)
    assert verb.__dataclass_params__.frozen
    assert main([*entry.words, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: recgym {' '.join(entry.words)}")


def test_help_lists_the_verbs_and_needs_neither_torch_nor_tyro() -> None:
    script = (
        "import sys; from recgym.cli.main import main; main(['--help']); print({'torch', 'tyro'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(" ".join(entry.words) in done.stdout for entry in cli.VERBS if entry.words != ("probe",))
    assert done.stdout.endswith("set()\n")


def test_a_missing_module_harms_only_its_own_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "VERBS", (Entry(("gone",), "recgym.cli.gone:Gone", ""), *cli.VERBS))
    assert main(["probe"]) == 0
    with pytest.raises(ModuleNotFoundError, match=r"recgym\.cli\.gone"):
        main(["gone"])


def test_flags_reach_the_verb_and_its_status_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--times", "2", "--json"]) == 1
    assert capsys.readouterr().out == "probed probed \n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("recgym 0.")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "recgym: error: recgym has no verb 'trian' (did you mean train?); its verbs are demo, data,"),
        (
            ["data", "descibe"],
            "recgym: error: recgym data has no verb 'descibe' (did you mean describe?); its verbs are",
        ),
        (["qqq"], "recgym: error: recgym has no verb 'qqq'; its verbs are demo, data,"),
        (["--fast", "demo"], "recgym: error: recgym has no option '--fast'; its verbs are demo"),
        (["envs"], "recgym: error: recgym envs needs a verb; its verbs are list, check"),
    ],
)
def test_a_wrong_verb_gets_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1


def test_no_verb_shows_the_verbs_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "simulator fit" in captured.err


def test_help_of_a_group_lists_only_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "--help"]) == 0
    out = capsys.readouterr().out
    assert "data convert" in out
    assert "envs" not in out


def test_wrong_flags_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", "--tims", "2"]) == 2
    assert main(["probe", "--times", "many"]) == 2
    captured = capsys.readouterr()
    assert "--tims" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("row 3 is bad,\n  a number was expected"), 2, "error: row 3 is bad, a number was expected"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/out"), 2, "error: /out: Permission denied"),
        (
            ModuleNotFoundError("No module named 'minari.storage'", name="minari.storage"),
            2,
            "error: the optional package minari is not installed; get it with: pip install 'recgym[offline]'",
        ),
    ],
    ids=["bad-input", "ctrl-c", "file-system", "optional-package"],
)
def test_what_goes_wrong_becomes_one_line(
    error: BaseException, status: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Probe, "error", error)
    assert main(["probe"]) == status
    assert capsys.readouterr().err == f"recgym: {line}\n"


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "error", ModuleNotFoundError("No module named 'torhc'", name="torhc"))
    with pytest.raises(ModuleNotFoundError, match="torhc"):
        main(["probe"])


def test_debug_mode_lets_errors_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "error", ValueError("bad"))
    monkeypatch.setenv("RECGYM_DEBUG", "1")
    with pytest.raises(ValueError, match="bad"):
        main(["probe"])


def test_a_closed_pipe_is_silent() -> None:
    script = (
        "import sys, recgym.cli.main as cli\n"
        "def run(*_):\n"
        "    for _ in range(100_000): print('a line of output')\n"
        "cli._run = run\n"
        "sys.exit(cli.main(['demo']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()
        assert "Traceback" not in complaints
        assert "BrokenPipeError" not in complaints
        assert process.wait() == 141


def test_print_json_writes_numbers_that_json_has(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json({"auc": np.float32(0.5), "ece": float("nan"), "n": np.int64(3), "rows": ({"low": -np.inf}, True)})
    assert json.loads(capsys.readouterr().out) == {"auc": 0.5, "ece": None, "n": 3, "rows": [{"low": None}, True]}


def test_print_json_refuses_what_it_cannot_say() -> None:
    with pytest.raises(ValueError, match="type set cannot be written as JSON"):
        common.print_json({"ids": {1, 2}})


def test_table_prints_cells_whole_and_literally(capsys: pytest.CaptureFixture[str]) -> None:
    name = "[bold]" + "x" * 120
    common.table(
        ["policy", "return", "runs", "greedy"], [[name, 1.23456, 12000, True], ["ppo", None, 1, False]], "Policies"
    )
    out = capsys.readouterr().out
    for text in ("Policies", name, "1.235", "12,000", "–", "yes"):
        assert text in out


def test_table_refuses_a_ragged_row() -> None:
    with pytest.raises(ValueError, match="a table of 2 columns was given a row of 1 cells"):
        common.table(["a", "b"], [[1]])


def test_a_quiet_console_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    common.console(quiet=True).print("hidden")
    common.console().print("seen")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "seen\n")
