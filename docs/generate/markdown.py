"""The few pieces of MyST that generated pages are made of."""

import ast
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "autodoc", "command", "docstring", "figure", "interval", "results", "table", "toctree"]

ROOT = Path(__file__).resolve().parents[2]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def toctree(names: Sequence[str], hidden: bool = False) -> str:
    """A list of pages, in this order."""
    options = ":maxdepth: 1\n" + (":hidden:\n" if hidden else "")
    return f"```{{toctree}}\n{options}\n" + "\n".join(names) + "\n```\n"


def autodoc(directive: str, target: str, *options: str) -> str:
    """One directive of autodoc."""
    lines = "".join(f"   :{option}:\n" for option in options)
    return f"```{{eval-rst}}\n.. {directive}:: {target}\n{lines}```\n"


def command(*lines: str) -> str:
    """Commands for the shell."""
    return "```bash\n" + "\n".join(lines) + "\n```\n"


def figure(value: Any) -> str:
    """A number with four significant digits, a word as it is, a dash where there is nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value and abs(value) < 1e-4:
            return f"{value:.1e}"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def interval(entry: Mapping[str, Any], value: str = "value") -> str:
    """A value with its interval; the value alone where there is none."""
    low, high = entry.get("low"), entry.get("high")
    if low is None or high is None or low == high:
        return figure(entry[value])
    return f"{figure(entry[value])} [{figure(low)}, {figure(high)}]"


def results(folder: str) -> dict[str, dict[str, Any]]:
    """The committed results in a folder, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).glob("*.json"))}


def docstring(module: str) -> str:
    """The docstring of a module below the repository's root, which is not imported for it, as a block of MyST."""
    place = ROOT / Path(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return f"```{{eval-rst}}\n{text}\n```\n"
