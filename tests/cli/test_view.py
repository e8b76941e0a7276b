"""``recgym view``: what is served is tested in tests/report; here the export and wrong usage."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from recgym.cli.main import main
from tests.report.runs_sample import write_runs


def test_the_export_is_one_file_that_needs_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path / "runs")
    page = tmp_path / "pages" / "all.html"
    assert main(["view", str(tmp_path / "runs"), "--export", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text(encoding="utf-8")
    assert text.count("<article class=page") == 13
    assert not re.search(r"<(script|img|link|iframe)[^>]+(src|href)=[\"']?(https?:)?/", text)


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs")
    command = [sys.executable, "-m", "recgym.cli.main", "view", str(tmp_path / "runs"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address) as answer:
            assert b"Runs in runs" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
