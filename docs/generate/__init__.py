"""Pages that are made from the code and from committed results each time the documentation is built."""

from pathlib import Path

from docs.generate import agents, api, benchmarks, commands, encoders, environments, formats, reproductions

__all__ = ["write_pages"]


def write_pages(folder: Path) -> None:
    """Write all generated pages below a folder; pages of parts that are gone are removed."""
    pages: dict[str, str] = {}
    for maker in (environments, agents, encoders, reproductions, benchmarks, commands, formats, api):
        pages |= maker.pages()
    for name, text in pages.items():
        _write(folder / name, text)
    for stale in set(folder.rglob("*.md")) - {folder / name for name in pages}:
        stale.unlink()


def _write(path: Path, text: str) -> None:
    """Leave a page alone that is as it was, so that Sphinx does not read it again."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
