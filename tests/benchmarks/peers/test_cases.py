import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.cases import PEERS, PeerCase
from benchmarks.peers.environments import RECOGYM, RECSIM, Environment

# Counts what RecSim does over whole episodes, to prove that nothing of it is skipped behind the stand-ins.
_EPISODES = """
import json, sys
sys.path.insert(0, sys.argv[1])
import run_recsim, numpy as np
np.random.seed(1)
out = {}
for name, module in run_recsim.ENVIRONMENTS.items():
    env = module.create_environment({"num_candidates": 10, "slate_size": 1, "resample_documents": True, "seed": 1})
    first = list(env.reset()["doc"])
    steps, total, done = 0, 0.0, False
    while not done:
        observation, reward, done, _ = env.step([0])
        steps, total = steps + 1, total + float(reward)
    out[name] = {"steps": steps, "reward": total, "drawn": int(next(iter(observation["doc"]))) - int(first[0])}
print(json.dumps(out))
"""


# The same for RecoGym: the clicks, the views and the users of many recommendations.
_USERS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import run_recogym
env, out = run_recogym.make(1), {"steps": 0, "clicks": 0, "views": 0, "users": 300}
for user in range(300):
    env.reset(user)
    observation, reward, done, _ = env.step(None)
    out["views"] += len(observation.sessions())
    while not done:
        observation, reward, done, _ = env.step(out["steps"] % 10)
        out["steps"], out["clicks"] = out["steps"] + 1, out["clicks"] + int(reward)
        out["views"] += len(observation.sessions())
print(json.dumps(out))
"""


def _python(where: Environment) -> Path:
    python = where.find()
    if python is None:
        pytest.skip(f"the peer environment {where.name} is absent; make bench-peers makes it")
    return python


def _run(where: Environment, program: str) -> dict[str, Any]:
    folder = Path(__file__).resolve().parents[3] / "benchmarks" / "peers"
    done = subprocess.run([_python(where), "-c", program, folder], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_failing_peer_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="timing x ended with status 3: no such thing"):
        PeerCase("x", RECSIM, "run_recsim.py").steps_per_second(python, 0.01)


@pytest.mark.parametrize("case", PEERS.values(), ids=lambda case: case.name)
def test_peers_run(case: PeerCase) -> None:
    assert case.steps_per_second(_python(case.where), seconds=0.05) > 10


def test_recogym_does_all_of_its_work() -> None:
    found = _run(RECOGYM, _USERS)
    assert 0.01 < found["clicks"] / found["steps"] < 0.03  # RecoGym's click rates lie between 0.5 and 2.9 %
    assert found["views"] > found["users"]
    # A user leaves with probability 0.01 at each event of either kind: after a hundred events, in the mean.
    assert 50 < (found["steps"] + found["views"]) / found["users"] < 200


def test_recsim_does_all_of_its_work() -> None:
    episodes = _run(RECSIM, _EPISODES)
    assert episodes["long_term_satisfaction"]["steps"] == 60
    for episode in episodes.values():
        assert episode["drawn"] == 10 * episode["steps"]
        assert episode["reward"] > 0
