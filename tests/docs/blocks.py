"""The code blocks of the README and of the pages under ``docs``."""

import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "Block", "blocks", "commands", "pages"]

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(?P<language>[a-z]+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        page: relative to the repository.
        line: of its first line of code.
        language: as it is written behind the fence.
        code: what stands in it.
    """

    page: str
    line: int
    language: str
    code: str


def pages() -> list[Path]:
    """All pages that are written by hand."""
    inside = [path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "_generated"} & set(path.parts)]
    return sorted([*ROOT.glob("*.md"), *inside])


def blocks(language: str) -> list[Block]:
    """Every block of one language, page by page, in order."""
    found = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if match["language"] == language:
                line = text.count("\n", 0, match.start("code")) + 1
                found.append(Block(str(path.relative_to(ROOT)), line, language, match["code"]))
    return found


def commands() -> list[tuple[str, str]]:
    """Every call of ``recgym``, in blocks and in the text, with the page that it stands on."""
    found = []
    for block in blocks("bash"):
        for line in block.code.replace("\\\n", " ").splitlines():
            words = line.partition(" #")[0].strip().removeprefix(".venv/bin/")
            if words.startswith("recgym "):
                found.append((f"{block.page}:{block.line}", words))
    for path in pages():
        text = _BLOCK.sub("", path.read_text(encoding="utf-8"))
        found += [(str(path.relative_to(ROOT)), words) for words in re.findall(r"`(recgym [^`]+)`", text)]
    return found
