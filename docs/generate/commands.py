"""The verbs of the command line and their flags."""

from docs.generate.markdown import autodoc, table
from recgym.cli.main import VERBS

__all__ = ["pages"]

_INTRODUCTION = """# Command line

`recgym VERB --help` prints the flags of a verb. Results go to stdout, with `--json` as one JSON object; progress and
remarks go to stderr. Exit status: 0 fine, 1 a check failed, 2 wrong usage or bad input. `RECGYM_DEBUG=1` in the
environment shows the traceback of an error.

A flag is the name of the attribute with dashes: `num_envs` below is `--num-envs`.

"""


def pages() -> dict[str, str]:
    """Page name -> text."""
    rows = [[f"`recgym {' '.join(entry.words)}`", entry.summary] for entry in VERBS]
    text = _INTRODUCTION + table(["command", "what it does"], rows)
    for entry in VERBS:
        text += f"\n## recgym {' '.join(entry.words)}\n\n" + autodoc("autoclass", entry.target.replace(":", "."))
    return {"commands.md": text}
