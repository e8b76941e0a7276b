import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import learned_speed
from benchmarks.learned_speed import Loop, members
from recgym.simulators.learned import LearnedUsers, SimulatorSet
from tests.learned_fixture import small_simulator


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(learned_speed, "B", 8)
    monkeypatch.setattr(learned_speed, "members", lambda users: (small_simulator(),) * 2)
    monkeypatch.setattr(learned_speed, "rate", lambda call, seconds: float(call()))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("few")
def test_json_and_file_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "speed.json"
    assert learned_speed.main(["--quick", "--json", "--out", str(out)]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body == json.loads(out.read_text())
    assert {(row["model"], row["threads"]) for row in body["rows"]} == {
        (name, threads) for name in ("one", "set", "set, followed", "loop") for threads in (1, 2)
    }
    assert all(row["steps_per_s"] == 8 for row in body["rows"]), "every call moves all users by one step"
    assert {ratio["peer"]: ratio["median"] for ratio in body["ratios"]} == {"set": 1, "set, followed": 1, "loop": 1}
    assert [claim["holds"] for claim in body["claims"]] == [False, True, True]
    assert learned_speed.main(["--quick"]) == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 1 + 8 + 6 + 3


def test_the_loop_does_what_the_set_does() -> None:
    together = SimulatorSet((small_simulator(),) * 2)
    loop = Loop(together, tuple(LearnedUsers(member) for member in together.members))
    state = together.sample_users(50, torch.Generator().manual_seed(0))
    slate = torch.arange(300).view(50, 6)
    after = loop.step(state, slate, torch.Generator().manual_seed(1))
    assert torch.equal(after.member, state.member)
    assert torch.equal(after.steps, state.steps + 1)
    assert bool((after.hidden != state.hidden).any())


def test_simulators_are_as_wide_as_is_said() -> None:
    (one,) = members(users=6, count=1)
    assert (one.network.shape.hidden, one.network.shape.item_width, one.config.history) == (64, 32, 20)
    assert one.facts.sizes == (6, 6)
