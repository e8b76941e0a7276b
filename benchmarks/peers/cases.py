"""Environments of peers: how the speed of each is asked for.

RecSim and RecoGym are those of PyPI, without their dependencies, in virtual environments of their own; stand-ins take
the place of what stepping does not use (:mod:`benchmarks.peers.standins`, and in ``run_recogym.py``). Their own code is
untouched.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import RECOGYM, RECSIM, Environment

__all__ = ["PEERS", "PeerCase"]

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class PeerCase:
    """One of a peer's environments, with a size.

    Attributes:
        name: how rows of results name it.
        where: the virtual environment that it runs in.
        runner: the script beside this one that steps it.
        flags: of the script.
    """

    name: str
    where: Environment
    runner: str
    flags: tuple[str, ...] = ()

    def steps_per_second(self, python: Path, seconds: float) -> float:
        """Time the environment in a process of its own, one user, random policy, on one thread.

        Args:
            python: the interpreter of ``where``.
            seconds: how long to time, after a warm-up of a tenth of that.

        Raises:
            RuntimeError: the process failed; the sentence carries the last line that it wrote.
        """
        command = [str(python), str(_HERE / self.runner), *self.flags, "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"timing {self.name} ended with status {done.returncode}: {last}")
        return float(json.loads(done.stdout)["steps_per_s"])


def _recsim(name: str, module: str, candidates: int, slate: int) -> PeerCase:
    flags = ("--env", module, "--candidates", str(candidates), "--slate", str(slate))
    return PeerCase(name, RECSIM, "run_recsim.py", flags)


PEERS = {
    case.name: case
    for case in (
        _recsim("recsim/LongTermSatisfaction", "long_term_satisfaction", 10, 1),
        _recsim("recsim/InterestEvolution(10, 2)", "interest_evolution", 10, 2),
        _recsim("recsim/InterestEvolution(100, 5)", "interest_evolution", 100, 5),
        PeerCase("recogym/reco-gym-v1", RECOGYM, "run_recogym.py"),
    )
}
"""By name."""
