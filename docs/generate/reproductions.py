"""What of the literature is reproduced: every committed claim, those that do not hold included."""

from typing import Any

from docs.generate.markdown import command, docstring, figure, interval, results, table, toctree

__all__ = ["claims", "pages"]

_INTRODUCTION = """# Reproductions

Each line is a sentence that the run could have shown to be false, with what was found, its 95 % interval where seeds or
users give one, what it is held against, and whether it holds. Figures come from the committed files in
`reproductions/results`; a run that is not committed has no line. A claim that does not hold stays here as it is.
"""


def pages() -> dict[str, str]:
    """Page name -> text."""
    found = results("reproductions/results")
    rows = [
        [
            f"[{name}]({name}.md)",
            str(len(result["claims"])),
            str(sum(claim["holds"] for claim in result["claims"])),
            f"`{result['command']}`",
        ]
        for name, result in found.items()
    ]
    summary = table(["reproduction", "claims", "of these hold", "command"], rows)
    failing = [claim | {"of": name} for name, result in found.items() for claim in result["claims"]
               if not claim["holds"]]  # fmt: skip
    index = _INTRODUCTION + "\n" + summary + "\n## Claims that do not hold\n\n"
    index += claims(failing, of=True) if failing else "None of the committed ones.\n"
    index += "\n" + toctree([f"{name}" for name in found], hidden=True)
    return {"reproductions/index.md": index} | {f"reproductions/{n}.md": _page(n, r) for n, r in found.items()}


def claims(entries: list[dict[str, Any]], of: bool = False) -> str:
    """A table of claims."""
    head = ["claim", "found", "held against", "holds"]
    rows = [
        [entry["claim"], interval(entry), figure(entry["reference"]), "yes" if entry["holds"] else "**no**"]
        for entry in entries
    ]
    if not of:
        return table(head, rows)
    return table(["", *head], [[f"[{e['of']}]({e['of']}.md)", *row] for e, row in zip(entries, rows, strict=True)])


def _page(name: str, result: dict[str, Any]) -> str:
    module = f"reproductions.{_module(result['command'])}"
    versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
    text = f"# {name}\n\n{docstring(module)}\n"
    text += command(result["command"]) + f"\nSeeds {', '.join(map(str, result['seeds']))}; {versions}.\n"
    text += "\n## Claims\n\n" + claims(result["claims"])
    text += _published(result["rows"])
    if result.get("notes"):
        text += "\n## Notes of the run\n\n" + "\n".join(f"- {note}" for note in result["notes"]) + "\n"
    return text


def _published(rows: list[dict[str, Any]]) -> str:
    """Rows that stand beside a figure of the paper."""
    beside = [row for row in rows if row.get("published") is not None and {"arm", "return"} <= set(row)]
    cells = [[row["arm"], interval(row, "return"), figure(row["published"])] for row in beside]
    return "\n## Beside the paper\n\n" + table(["arm", "ours", "published"], cells) if cells else ""


def _module(words: str) -> str:
    """The reproduction that a command such as ``python -m reproductions.slateq --quick`` runs."""
    return words.partition("reproductions.")[2].split()[0]
