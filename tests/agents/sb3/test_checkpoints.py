import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recgym.agents.sb3 import DQNConfig, PPOConfig, SB3Agent
from recgym.agents.sb3.checkpoints import Checkpoint, find_checkpoint, read_checkpoint, write_checkpoint
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.files import read_json
from tests.agents.sb3.tasks import CATALOGUE, FLAT, ONE, SLATES


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    agent = SB3Agent(PPOConfig(n_steps=30), FLAT, 8, env_kwargs={"choc": 14})
    agent.learn(480)
    agent.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_checkpoint_is_json_and_safetensors(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {"agent.json", "agent.safetensors"}
    meta = read_json(saved / "agent.json")
    assert meta["algorithm"] == "ppo"
    assert meta["environment"] == {"name": "recgym/LongTermSatisfaction-v0", "kwargs": {"choc": 14}}
    assert meta["config"]["n_steps"] == 30


def test_the_replay_buffer_goes_on(tmp_path: Path) -> None:
    agent = SB3Agent(DQNConfig(learning_starts=50, buffer_size=160), CATALOGUE, 8)
    agent.learn(240)
    agent.save(tmp_path / "saved")
    replay = SB3Agent.load(tmp_path / "saved", CATALOGUE)._model.replay_buffer
    assert replay.full == agent._model.replay_buffer.full
    assert replay.pos == agent._model.replay_buffer.pos
    for key, values in agent._model.replay_buffer.observations.items():
        assert (replay.observations[key] == values).all()
    assert replay.rewards.any()


def test_optimizers_and_scales_go_on(saved: Path, tmp_path: Path) -> None:
    agent = SB3Agent.load(saved, FLAT)
    agent.save(tmp_path / "again")
    one, other = read_checkpoint(saved), read_checkpoint(tmp_path / "again")
    assert one.tensors.keys() == other.tensors.keys()
    assert any("exp_avg" in name for name in one.tensors)
    assert {"scale/observation/mean", "scale/reward/var"} <= one.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    assert one.meta == other.meta


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (SLATES, "trained on recgym/LongTermSatisfaction-v0, not on recgym/InterestEvolution-v0"),
    ],
)
def test_a_checkpoint_of_another_environment(saved: Path, task: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SB3Agent.load(saved, task)  # type: ignore[arg-type]


def test_a_checkpoint_of_an_environment_of_another_size(tmp_path: Path) -> None:
    SB3Agent(PPOConfig(n_steps=4), SLATES, 4).save(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"its spaces are not those of recgym/InterestEvolution-v0: action was"):
        SB3Agent.load(tmp_path / "saved", ONE)
    other = interest_evolution(num_candidates=4, slate_size=2, num_documents=31)
    with pytest.raises(ValueError, match="its spaces are not those"):
        SB3Agent.load(tmp_path / "saved", other)


def _truncate(folder: Path) -> None:
    path = folder / "agent.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _garbage(folder: Path) -> None:
    (folder / "agent.safetensors").write_bytes(b"PK\x03\x04 a zip with a pickle")


def _no_tensors(folder: Path) -> None:
    (folder / "agent.safetensors").unlink()


def _edit(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        meta = read_json(folder / "agent.json")
        for key, value in changes.items():
            if value is None:
                del meta[key]
            else:
                meta[key] = value
        (folder / "agent.json").write_text(json.dumps(meta))

    return edit


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_truncate, r"agent\.safetensors is not readable as safetensors"),
        (_garbage, r"agent\.safetensors is not readable as safetensors"),
        (_no_tensors, r"agent\.safetensors does not exist"),
        (_edit(format="zip"), "does not describe a saved recgym agent"),
        (_edit(version=2), "has version 2, this recgym reads version 1"),
        (_edit(algorithm="reinforce"), "there is no agent 'reinforce'; there are: ppo, a2c, dqn, sac, td3"),
        (_edit(config={"network": {"hidden": [8], "embedding": 8, "normalize": True}}), "is not a complete checkpoint"),
        (_edit(optimizers=None), "is not a complete checkpoint"),
    ],
)
def test_a_damaged_checkpoint(saved: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(saved)
    with pytest.raises(ValueError, match=sentence) as caught:
        SB3Agent.load(saved, FLAT)
    assert "\n" not in str(caught.value).strip()


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        SB3Agent.load(tmp_path / "nowhere", FLAT)


def test_tensors_that_share_memory_are_written_once(tmp_path: Path) -> None:
    shared = torch.arange(1000.0)
    write_checkpoint(tmp_path / "c", Checkpoint({}, {"a": shared, "b": shared, "c": shared.clone()}, {}))
    back = read_checkpoint(tmp_path / "c")
    assert back.meta["aliases"] == {"b": "a"}
    assert all(torch.equal(back.tensors[name], shared) for name in "abc")


def test_a_process_killed_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    """The old checkpoint was moved away, the new one not yet in its place."""
    write_checkpoint(tmp_path / "checkpoint", Checkpoint({"mark": 1}, {"a": torch.ones(2)}, {}))
    (tmp_path / ".checkpoint.old.x").mkdir()
    (tmp_path / "checkpoint").rename(tmp_path / ".checkpoint.old.x" / "was")
    assert read_checkpoint(tmp_path / "checkpoint").meta["mark"] == 1
    write_checkpoint(tmp_path / "checkpoint", Checkpoint({"mark": 2}, {"a": torch.ones(2)}, {}))
    assert read_checkpoint(tmp_path / "checkpoint").meta["mark"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("name", ["run", "run[1]"])
def test_an_agent_is_found_after_a_kill_between_two_renames(name: str, tmp_path: Path) -> None:
    out = tmp_path / name
    assert find_checkpoint(out) is None
    agent = SB3Agent(PPOConfig(n_steps=30), FLAT, 8)
    agent.learn(240, folder=out)
    assert find_checkpoint(out) == find_checkpoint(out / "checkpoint") == out / "checkpoint"
    (out / ".checkpoint.old.x").mkdir()
    (out / "checkpoint").rename(out / ".checkpoint.old.x" / "was")
    for folder in (out, out / "checkpoint"):
        assert find_checkpoint(folder) == out / ".checkpoint.old.x" / "was"
        assert SB3Agent.load(folder, FLAT).steps == 240


def test_training_that_is_killed_goes_on(tmp_path: Path) -> None:
    program = (
        "import sys, torch; from pathlib import Path\n"
        "from recgym.agents.sb3 import PPOConfig, SB3Agent\n"
        "from recgym.envs.long_term_satisfaction import task\n"
        "torch.set_num_threads(1)\n"
        "agent = SB3Agent(PPOConfig(n_steps=70), task(), 16)\n"
        "agent.learn(10**9, folder=Path(sys.argv[1]), checkpoint_every=2000, log_every=1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    meta, deadline = tmp_path / "checkpoint" / "agent.json", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        if meta.exists() and (tmp_path / "curve.json").exists():
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    agent = SB3Agent.load(tmp_path, FLAT)
    done, curve = agent.steps, agent.curve
    assert done >= 2000
    assert curve.points
    total = done + 5000
    after = agent.learn(total, folder=tmp_path, log_every=1)
    assert total <= agent.steps < total + 16 * 70
    assert after.points[: len(curve.points)] == curve.points
    assert after.points[-1].steps > done
    assert read_json(tmp_path / "curve.json") == after.to_json()
