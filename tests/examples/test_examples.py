"""Every example runs, with little to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FLAGS = {
    "train_long_term.py": ("--steps", "40000", "--users", "50"),
    "many_worlds.py": ("--steps", "40000", "--users", "60", "--first", "20"),
    "offline.py": ("--steps", "1000", "--updates", "20", "--users", "50"),
    "encoder_state.py": ("--steps", "2000", "--users", "50", "--envs", "32"),
    "log_to_simulator.py": ("--epochs", "1", "--users", "50"),
    "off_policy.py": ("--steps", "2000", "--updates", "20", "--users", "100"),
    "bandits.py": ("--rounds", "60", "--replications", "5"),
    "adaptive_ab_test.py": ("--users", "500", "--replications", "100", "--pool", "200"),
}


@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example_runs(script: str, tmp_path: Path) -> None:
    path = EXAMPLES / script
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 65
    done = subprocess.run(
        [sys.executable, str(path), *FLAGS.get(script, ())],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
