"""Make the environments of the peers: ``python -m benchmarks.peers.setup --root .venv-peers``.

A second call finds what the first one made and does nothing. Exit status 1 where packages cannot be had: the other
environments are made all the same.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.environments import DEFAULT_ROOT, ENVIRONMENTS

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the environments of the peers that benchmarks compare with.")
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="folder of the virtual environments")
    parser.add_argument("names", nargs="*", help="only these", metavar="NAME")
    args = parser.parse_args(arguments)
    known = {environment.name: environment for environment in ENVIRONMENTS}
    unknown = sorted(set(args.names) - set(known))
    if unknown:
        parser.error(f"there is no environment {', '.join(unknown)}; there are {', '.join(known)}")
    status = 0
    for name in args.names or known:
        try:
            print(known[name].make(args.root.absolute()))
        except ValueError as error:
            print(error, file=sys.stderr)
            status = max(status, 2)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            print(f"the peer environment {name} was not made: {error}", file=sys.stderr)
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(main())
