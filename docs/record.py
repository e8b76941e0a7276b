"""Run the tutorials and keep what they print: ``python -m docs.record [NAME ...]``.

A page shows the script and its output. The output file holds the digest of the script that printed it, so that a test
can tell when a script has changed since.
"""

import ast
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["OUTPUTS", "TUTORIALS", "digest", "record"]

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS = ROOT / "docs" / "tutorials" / "output"
TUTORIALS = (
    "log_to_simulator", "train_long_term", "offline", "off_policy", "bandits", "adaptive_ab_test", "own_user_model",
)  # fmt: skip


def digest(name: str) -> str:
    """What changes when the code of a script does; comments and layout do not count."""
    tree = ast.parse((ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8"))
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def record(name: str) -> None:
    """Run one tutorial in an empty folder with its defaults, and keep its standard output."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / f"{name}.py")],
            cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    OUTPUTS.mkdir(parents=True, exist_ok=True)
    (OUTPUTS / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
    (OUTPUTS / f"{name}.digest").write_text(digest(name) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for tutorial in sys.argv[1:] or TUTORIALS:
        record(tutorial)
