"""The committed benchmarks, each with its command, versions and machine."""

from collections.abc import Mapping, Sequence
from typing import Any

from docs.generate.markdown import ROOT, command, docstring, figure, results, table
from docs.generate.reproductions import claims

__all__ = ["pages"]

_INTRODUCTION = """# Benchmarks

Figures of the committed files in `benchmarks/results`. Beside a peer, both sides run in turn on the same machine, and
the ratio of each pair counts: its least, median and largest value stand here. A ratio above 1 means that recgym is
faster, unless the text says otherwise.
"""


def pages() -> dict[str, str]:
    """Page name -> text."""
    found = results("benchmarks/results")
    return {"benchmarks.md": _INTRODUCTION + "".join(_section(name, result) for name, result in found.items())}


def _section(name: str, result: Mapping[str, Any]) -> str:
    module = f"benchmarks.{name}" if (ROOT / "benchmarks" / f"{name}.py").is_file() else "benchmarks.together"
    text = f"\n## {name}\n\n{docstring(module)}\n{command(result['command'])}\n{_machine(result)}"
    if result.get("rows"):
        text += "\n" + _plain(result["rows"])
    if result.get("ratios"):
        text += "\nBeside peers:\n\n" + _plain(result["ratios"])
    if isinstance(result.get("steps_per_s"), Mapping):
        text += "\nUser-steps a second, learning included:\n\n" + _plain([result["steps_per_s"]])
    if result.get("claims"):
        text += "\n" + claims(result["claims"])
    return text


def _machine(result: Mapping[str, Any]) -> str:
    """What it was measured on, as far as the file says."""
    parts = [str(result[key]) for key in ("processor", "system") if key in result]
    parts += [f"{result['cores']} cores"] if "cores" in result else []
    parts += [f"{result['torch_threads']} thread(s) of torch"] if "torch_threads" in result else []
    parts += [f"{package} {version}" for package, version in result.get("versions", {}).items()]
    return f"{', '.join(parts)}.\n" if parts else ""


def _plain(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of what is a number or a word in the rows; lists are left out."""
    columns = list(
        dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, list | Mapping))
    )
    return table(
        [column.replace("_", " ") for column in columns], [[figure(row.get(c)) for c in columns] for row in rows]
    )
