"""The log formats that readers know."""

import sys

from docs.generate.markdown import autodoc, table
from recgym.data.readers import READERS

__all__ = ["pages"]

_INTRODUCTION = """# Log formats

`recgym data describe PATH --format F` reads a log and says what is in it, and what was left out of it and why.

"""


def pages() -> dict[str, str]:
    """Page name -> text."""
    modules: dict[str, list[str]] = {}
    for name, reader in READERS.items():
        modules.setdefault(reader.__module__, []).append(name)
    rows = [[f"`{name}`", _summary(reader.__module__)] for name, reader in READERS.items()]
    text = _INTRODUCTION + table(["format", "what it is"], rows)
    for module, names in modules.items():
        text += f"\n## {', '.join(names)}\n\n" + autodoc("automodule", module, "no-members")
    return {"formats.md": text}


def _summary(module: str) -> str:
    return str(sys.modules[module].__doc__).strip().partition("\n")[0].replace("``", "`")
