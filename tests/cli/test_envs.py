"""``recgym envs list`` and ``recgym envs check``."""

import json
from collections.abc import Callable

import pytest

from recgym import testing
from recgym.cli.envs import CheckEnvs, ListEnvs
from recgym.cli.main import main
from recgym.envs import registered
from recgym.testing import Check

SATISFACTION = "recgym/LongTermSatisfaction-v0"
LEARNED = "recgym/LearnedUsers-v0"
OPEN_BANDIT = "recgym/OpenBandit-v0"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Puts one check, which fails with a sentence or passes, in place of all."""

    def put(error: str | None) -> None:
        def run() -> None:
            if error is not None:
                raise AssertionError(error)

        monkeypatch.setattr(testing, "environment_checks", lambda env_id, **settings: (Check("the check", run),))
        monkeypatch.setattr(testing, "user_model_checks", lambda model: (Check("users: the check", lambda: None),))

    return put


def test_the_list_names_every_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert ListEnvs().run() == 0
    out = capsys.readouterr().out
    assert all(env_id in out for env_id in registered())
    assert main(["envs", "list", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)["environments"]}
    assert tuple(sorted(rows)) == registered()
    assert rows[SATISFACTION] == {
        "id": SATISFACTION,
        "observation": "Box[4] float32",
        "action": "Discrete(30)",
        "summary": "Sim2Rec's long-term satisfaction task.",
    }
    assert "history_items: Box[20] int64" in rows["recgym/InterestEvolution-v0"]["observation"]
    assert rows[LEARNED]["observation"] == "depends on the simulator"
    assert rows[OPEN_BANDIT]["action"] == "depends on the data"
    assert "`" not in rows[LEARNED]["summary"]


def test_every_check_of_an_environment_is_in_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, episodes in (("SINGLE_EPISODES", 4), ("EPISODES", 64)):  # the whole is run in tests/testing
        monkeypatch.setattr(f"recgym.testing.environment.{name}", episodes)
    assert main(["envs", "check", SATISFACTION, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["left_out"] == []
    names = [row["check"] for row in result["checks"]]
    assert {"gymnasium's check_env", "determinism under a seed", "users: expected() is the mean"} <= set(names)
    assert all(row["passed"] and row["error"] is None and row["seconds"] >= 0 for row in result["checks"])
    assert {row["env"] for row in result["checks"]} == {SATISFACTION}


def test_without_ids_all_are_checked_but_those_that_need_a_simulator(
    quick: Callable[[str | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    quick(None)
    assert main(["envs", "check"]) == 0
    captured = capsys.readouterr()
    assert all(env_id in captured.out for env_id in registered() if env_id not in (LEARNED, OPEN_BANDIT))
    assert LEARNED not in captured.out
    assert f"{OPEN_BANDIT} was left out: it needs one campaign of the Open Bandit Dataset, --data DIR" in captured.err
    assert f"{LEARNED} was left out: it needs the folder of a fitted simulator, --simulator DIR" in captured.err
    assert main(["envs", "check", "--json"]) == 0
    assert [row["env"] for row in json.loads(capsys.readouterr().out)["left_out"]] == [LEARNED, OPEN_BANDIT]


def test_a_failed_check_is_told_and_is_status_1(
    quick: Callable[[str | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    quick("the users cheat")
    assert main(["envs", "check", SATISFACTION]) == 1
    out = capsys.readouterr().out
    assert "the users cheat" in out
    assert "passed" in out
    assert main(["envs", "check", SATISFACTION, "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)["checks"]
    assert (first["passed"], first["error"]) == (False, "the users cheat")
    assert (second["passed"], second["error"]) == (True, None)


def test_an_unknown_id_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"there is no environment 'CartPole-v1'; there are: .*{SATISFACTION}"):
        CheckEnvs(("CartPole-v1",)).run()
    assert main(["envs", "check", "CartPole-v1"]) == 2
    assert capsys.readouterr().err.startswith("recgym: error: there is no environment 'CartPole-v1'")


def test_learned_users_need_a_simulator() -> None:
    with pytest.raises(ValueError, match=f"{LEARNED} cannot be checked: it needs the folder of a fitted simulator"):
        CheckEnvs((LEARNED,)).run()
