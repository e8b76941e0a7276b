"""RecSim as a peer: how its speed is asked for.

RecSim is PyPI's ``recsim`` without its dependencies, in a virtual environment of its own; the modules in
:mod:`benchmarks.peers.standins` take the place of the libraries that stepping does not use. RecSim's own code is
untouched.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PEERS", "RecSimCase"]

_RUNNER = Path(__file__).resolve().parent / "run_recsim.py"


@dataclass(frozen=True)
class RecSimCase:
    """One of RecSim's environments, with a size.

    Attributes:
        name: how rows of results name it.
        module: RecSim's module of that environment.
        candidates: M, documents offered at each step.
        slate: K, documents shown at each step.
    """

    name: str
    module: str
    candidates: int
    slate: int

    def steps_per_second(self, python: Path, seconds: float) -> float:
        """Time the environment in a process of its own, one user, random policy, on one thread.

        Args:
            python: the interpreter of the peer environment, see :data:`benchmarks.peers.environments.RECSIM`.
            seconds: how long to time, after a warm-up of a tenth of that.

        Raises:
            RuntimeError: the process failed; the sentence carries the last line that it wrote.
        """
        command = [str(python), str(_RUNNER), "--env", self.module, "--candidates", str(self.candidates)]
        command += ["--slate", str(self.slate), "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"timing {self.name} ended with status {done.returncode}: {last}")
        return float(json.loads(done.stdout)["steps_per_s"])


PEERS = (
    RecSimCase("recsim/LongTermSatisfaction", "long_term_satisfaction", candidates=10, slate=1),
    RecSimCase("recsim/InterestEvolution(10, 2)", "interest_evolution", candidates=10, slate=2),
    RecSimCase("recsim/InterestEvolution(100, 5)", "interest_evolution", candidates=100, slate=5),
)
