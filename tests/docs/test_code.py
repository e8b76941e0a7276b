"""What the README and the pages show runs: Python blocks, commands, links, and the recorded output of tutorials."""

import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from docs.readme import MARKED, speed_table
from docs.record import OUTPUTS, TUTORIALS, digest
from recgym.cli import main as cli
from tests.docs.blocks import ROOT, blocks, commands, pages

PYTHON = sorted({block.page for block in blocks("python")})


@pytest.mark.parametrize("page", PYTHON)
def test_python_blocks_run(page: str, tmp_path: Any) -> None:
    """The blocks of a page run one after the other, in a process of their own."""
    code = "\n".join(block.code for block in blocks("python") if block.page == page)
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


class _Read(Exception):
    """Raised in place of running a verb: its flags were read."""


@pytest.fixture
def only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs stop once their flags are read."""

    def stop(kind: Any, value: Any) -> Any:
        if kind is cli.Runnable:
            raise _Read
        return value

    monkeypatch.setenv("RECGYM_DEBUG", "1")
    monkeypatch.setattr(cli, "cast", stop)


COMMANDS = commands()


@pytest.mark.usefixtures("only_read")
@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{page} {words[:40]}" for page, words in COMMANDS])
def test_commands_are_understood(page: str, words: str) -> None:
    """In a block a command is complete; in the text it may leave flags out, but its verb must be there."""
    flags = shlex.split(words)[1:]
    if ":" not in page:
        path = tuple(word for word in flags if not word.startswith("-"))
        verbs = [entry.words for entry in cli.VERBS]
        assert any(path[: len(verb)] == verb[: len(path)] for verb in verbs) or path == ("VERB",)
        return
    with pytest.raises(_Read):
        cli.main(flags)


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("page", [str(path.relative_to(ROOT)) for path in pages()])
def test_links_to_files_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target and "_generated" not in target:  # generated pages are checked by the build
            assert (path.parent / target).exists(), f"{page} links to {target}, which is not there"


@pytest.mark.parametrize("name", TUTORIALS)
def test_the_recorded_output_is_of_the_script_as_it_is(name: str) -> None:
    assert (OUTPUTS / f"{name}.txt").read_text(encoding="utf-8").strip()
    recorded = (OUTPUTS / f"{name}.digest").read_text(encoding="utf-8").strip()
    assert recorded == digest(name), f"examples/{name}.py has changed: python -m docs.record {name}"


def test_every_tutorial_is_shown_on_a_page() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "tutorials").glob("*.md"))
    assert all(f"examples/{name}.py" in shown and f"output/{name}.txt" in shown for name in TUTORIALS)


def test_the_readme_has_the_speed_that_was_measured() -> None:
    found = MARKED.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == speed_table(), "the committed benchmark has changed: python -m docs.readme"
