"""Make the environments of the peers: ``python -m benchmarks.peers.setup --root .venv-peers``.

A second call finds what the first one made and does nothing. Exit status 1 where the packages cannot be had.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.recsim_env import DEFAULT_ROOT, MARKER, PEERS, REQUIREMENTS, find_python, python_of, versions
from recgym.files import write_json

__all__ = ["main", "make"]


def make(root: Path) -> Path:
    """Make the virtual environment at ``root`` and check that RecSim steps in it; a complete one is left as it is.

    Returns:
        The interpreter of the environment.

    Raises:
        ValueError: ``root`` holds something else than a virtual environment; it is left as it is.
        RuntimeError: the packages could not be installed, or RecSim does not run.
    """
    found = find_python(root)
    if found:
        return found
    if root.exists() and not (root.is_dir() and ((root / "pyvenv.cfg").is_file() or not any(root.iterdir()))):
        raise ValueError(f"{root} is not a virtual environment; name a folder that is new, empty or one")
    venv.create(root, clear=True, with_pip=True)
    python = python_of(root)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*install, *REQUIREMENTS], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"pip could not install {', '.join(REQUIREMENTS)}: {last}")
    for case in PEERS:
        case.steps_per_second(python, seconds=0.01)
    # Written last: an environment without it is incomplete and is made anew.
    write_json(root / MARKER, versions())
    return python


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the environments of the peers that benchmarks compare with.")
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="folder of the virtual environment")
    args = parser.parse_args(arguments)
    try:
        python = make(args.root.absolute())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"the peer environment was not made: {error}", file=sys.stderr)
        return 1
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
