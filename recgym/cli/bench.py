"""``recgym bench``: how fast recgym is on this machine."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Bench"]


@dataclass(frozen=True)
class Bench:
    """Every benchmark of recgym, beside what one would use instead, and what the figures say of the aims.

    The benchmarks lie in the repository, not in the package. ``make bench-peers`` gets the other packages, each into an
    environment of its own; without them their comparisons are left out.

    Attributes:
        only: names of benchmarks; all by default.
        quick: rough figures, in a few minutes; nothing is written unless --out is given.
        out: file that gets the result; by default benchmarks/results/bench.json.
        json: print one JSON object in place of a table.
    """

    only: tuple[str, ...] = ()
    quick: bool = False
    out: Path | None = None
    json: bool = False

    def run(self) -> int:
        """Run them; 1 if an aim is missed."""
        root = _repository()
        flags = [*(["--quick"] if self.quick else []), *(["--json"] if self.json else [])]
        flags += ["--out", str(self.out.absolute())] if self.out else []
        return subprocess.run([sys.executable, "-m", "benchmarks.together", *flags, *self.only], cwd=root).returncode


def _repository() -> Path:
    """Where the benchmarks are: the repository that recgym runs from, or the folder at hand.

    Raises:
        ValueError: there are none.
    """
    for folder in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (folder / "benchmarks" / "together.py").is_file():
            return folder
    raise ValueError(
        "found no benchmarks beside recgym or in this folder; they come with a clone of the repository, not with the "
        "installed package"
    )
