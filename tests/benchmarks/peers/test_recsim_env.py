import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers.environments import RECSIM
from benchmarks.peers.recsim_env import PEERS, RecSimCase

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


@pytest.fixture(scope="module")
def peer_python() -> Path:
    python = RECSIM.find()
    if python is None:
        pytest.skip("the peer environment is absent; make bench-peers makes it")
    return python


def test_a_failing_peer_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="timing x ended with status 3: no such thing"):
        RecSimCase("x", "interest_evolution", 10, 2).steps_per_second(python, 0.01)


@pytest.mark.parametrize("case", PEERS, ids=lambda case: case.name)
def test_recsim_runs(case: RecSimCase, peer_python: Path) -> None:
    assert case.steps_per_second(peer_python, seconds=0.05) > 10


def test_recsim_does_all_of_its_work(peer_python: Path) -> None:
    folder = Path(__file__).resolve().parents[3] / "benchmarks" / "peers"
    done = subprocess.run([peer_python, "-c", _EPISODES, folder], capture_output=True, text=True, check=True)
    episodes = json.loads(done.stdout)
    assert episodes["long_term_satisfaction"]["steps"] == 60
    for episode in episodes.values():
        assert episode["drawn"] == 10 * episode["steps"]
        assert episode["reward"] > 0
