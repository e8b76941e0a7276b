"""The virtual environments of peers: what each holds, where it lies, how it is made.

Peers ask for versions of their own, so each lives apart and is reached through a process. ``make bench-peers`` makes
them all below ``.venv-peers``; the benchmarks use those that they find there.
"""

import argparse
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from recgym.files import read_json, write_json

__all__ = [
    "BANDITS", "DEFAULT_ROOT", "ENVIRONMENTS", "MARKER", "RECBOLE", "RECOGYM", "RECSIM", "Environment",
    "add_peers_option", "python_of",
]  # fmt: skip

DEFAULT_ROOT = Path(__file__).resolve().parents[2] / ".venv-peers"
MARKER = "peer.json"
_TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Environment:
    """A virtual environment with peers in it.

    Attributes:
        name: of its folder.
        requirements: what pip installs, each with its version.
        alone: install these without what they depend on.
    """

    name: str
    requirements: tuple[str, ...]
    alone: bool = False

    def versions(self) -> dict[str, str]:
        """The packages and their versions."""
        return dict(requirement.split("==") for requirement in self.requirements)

    def find(self, root: Path = DEFAULT_ROOT) -> Path | None:
        """The interpreter, if the environment is complete and of the right versions."""
        marker, python = root / self.name / MARKER, python_of(root / self.name)
        if not (marker.is_file() and python.is_file()):
            return None
        return python if read_json(marker) == self.versions() else None

    def chosen(self, root: Path = DEFAULT_ROOT) -> Path | None:
        """As :meth:`find`; where nothing is found, a line on standard error says what is left out."""
        found = self.find(root)
        if found is None:
            print(f"the peers of {self.name} are left out: run make bench-peers", file=sys.stderr)
        return found

    def make(self, root: Path = DEFAULT_ROOT) -> Path:
        """Make the environment; a complete one is left as it is.

        Returns:
            The interpreter.

        Raises:
            ValueError: something else than a virtual environment is in its place; it is left as it is.
            RuntimeError: the packages could not be installed.
        """
        found, folder = self.find(root), root / self.name
        if found:
            return found
        if folder.exists() and not (
            folder.is_dir() and ((folder / "pyvenv.cfg").is_file() or not any(folder.iterdir()))
        ):
            raise ValueError(f"{folder} is not a virtual environment; name a root where {self.name} is new or one")
        venv.create(folder, clear=True, with_pip=True)
        python = python_of(folder)
        # torch by itself first: resolved together with the rest, pip may look through several builds of gigabytes.
        first = tuple(one for one in self.requirements if one == _TORCH)
        for requirements in filter(None, (first, self.requirements)):
            self._install(python, requirements)
        # Written last: an environment without it is incomplete and is made anew.
        write_json(folder / MARKER, self.versions())
        return python

    def _install(self, python: Path, requirements: tuple[str, ...]) -> None:
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*install, *(["--no-deps"] if self.alone else []), *requirements], capture_output=True, text=True
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"pip could not install {', '.join(requirements)}: {last}")


RECSIM = Environment("recsim", ("recsim==0.2.4", "numpy==2.3.5", "six==1.17.0"), alone=True)
"""RecSim asks for any numpy; on this one it is as fast as on numpy 1 or faster."""
RECOGYM = Environment(
    "recogym",
    ("recogym==0.1.3.0", "numpy==2.2.6", "numba==0.61.2", "llvmlite==0.44.0", "scipy==1.15.3", "tqdm==4.67.1",
     "pandas==2.3.3", "python-dateutil==2.9.0.post0", "pytz==2025.2", "tzdata==2025.2", "six==1.17.0"),
    alone=True,
)  # fmt: skip
"""RecoGym and what its environments use; its agents would ask for TensorFlow."""
BANDITS = Environment(
    "bandits",
    (_TORCH, "obp==0.4.1", "mabwiser==2.7.4", "vowpalwabbit==9.11.9", "pandas==2.3.3", "numpy==2.4.6"),
)
"""The Open Bandit Pipeline, which does not run on pandas 3, MABWiser and Vowpal Wabbit."""
RECBOLE = Environment("recbole", (_TORCH, "recbole==1.2.1", "pandas==2.3.3", "numpy==1.26.4"))
"""RecBole does not run on numpy 2."""
ENVIRONMENTS = (RECSIM, RECOGYM, BANDITS, RECBOLE)


def add_peers_option(parser: argparse.ArgumentParser) -> None:
    """``--peers ROOT``: where the environments lie."""
    parser.add_argument("--peers", type=Path, default=DEFAULT_ROOT, help="folder of the peers' environments")


def python_of(folder: Path) -> Path:
    """The interpreter of the virtual environment in a folder, whether or not it exists."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
