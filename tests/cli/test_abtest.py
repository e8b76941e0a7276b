"""``recgym abtest``: from policies to power, on the command line."""

import json
from pathlib import Path

import pytest

from recgym.agents import PPOConfig, SB3Agent
from recgym.cli.main import main
from recgym.envs import make_task

ENV = ("--env", "recgym/ShortVideo-v0", "--env-kwargs", "num_candidates=10")
ARMS = ("--arm", "a=random", "--arm", "b=oracle")
SMALL = ("--users", "100", "--replications", "32")
FEW = ("--users", "400", "--pool", "300", "--replications", "40", "--looks", "10", "--quiet")


def test_a_test_of_two_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = (*ENV, *ARMS, *FEW, "--metric", "return", "--metric", "hate", "--common", "--users-per-day", "100")
    assert main(["abtest", *flags, "--json", "--out", str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["arms"] == {"a": "random", "b": "oracle"}
    assert list(result["metrics"]) == ["return", "hate"]
    rows = {(row["metric"], row["method"]): row for row in result["comparisons"]}
    assert len(rows) == 8
    assert rows["return", "msprt"]["rejected"] == 1
    assert rows["return", "msprt"]["users"] < 400 == rows["return", "fixed"]["users"]
    assert len(rows["return", "fixed"]["path"]["p"]) == len(result["looks"]) == 10
    fixed = result["plan"][0]
    assert fixed["days"] == -(-fixed["users"] // 100)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "All experiments" in page


def test_the_same_policy_twice_is_an_a_a_test(capsys: pytest.CaptureFixture[str]) -> None:
    flags = (*ENV, "--arm", "a=popularity", "--arm", "b=popularity", *FEW, "--metric", "like")
    assert main(["abtest", *flags, "--analysis", "fixed", "pocock"]) == 0
    shown = capsys.readouterr().out
    assert "pocock" in shown
    assert main(["abtest", *flags, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {row["truth"] for row in result["comparisons"]} == {0.0}
    assert not result["plan"]


def test_guardrails_verdicts_and_novelty(capsys: pytest.CaptureFixture[str]) -> None:
    flags = (
        *ENV,
        *ARMS,
        *FEW,
        "--metric",
        "long_view",
        "--metric",
        "length",
        "--metric",
        "hate",
        "--analysis",
        "fixed",
    )
    rails = ("--guardrail", "length=2", "--guardrail", "hate=-0.5", "--novelty", "3")
    assert main(["abtest", *flags, *rails, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (verdict,) = result["verdicts"]
    assert verdict["metrics"] == ["long_view"]
    assert verdict["better"] == [1.0]
    assert verdict["ship"] == pytest.approx(verdict["guardrails"])
    (trend,) = result["novelty"]
    assert len(trend["effect"]) == 10
    assert trend["effect"][0] > 3 * trend["error"][0]


def test_users_without_a_channel_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    flags = (*ENV, *ARMS, *FEW, "--metric", "return", "--among", "like", "--json")
    assert main(["abtest", *flags]) == 0
    result = json.loads(capsys.readouterr().out)
    assert 20 < result["pool"] < 150
    assert "users with like only" in result["design"]
    assert main(["abtest", *flags, "--common"]) == 2
    assert "they cannot be common to all arms" in capsys.readouterr().err


@pytest.mark.parametrize("allocation", ["thompson", "epsilon-greedy"])
def test_a_bandit_sends_users_to_the_better_arm(
    allocation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = (*ENV, *ARMS, *FEW, "--metric", "return", "--allocation", allocation)
    assert main(["abtest", *flags, "--out", str(tmp_path)]) == 0
    assert "even split" in capsys.readouterr().out
    adaptive = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["adaptive"]
    assert adaptive["estimates"][1]["share"] > 0.8
    assert adaptive["regret"][allocation]["mean"][-1] < 0.4 * adaptive["regret"]["even split"]["mean"][-1]
    assert "Allocation by a bandit" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "flags",
    [
        ("--allocation", "clusters", "--block", "20", "--spillover", "0.5"),
        ("--allocation", "switchback", "--block", "20", "--carry-over", "0.5"),
        ("--pre-steps", "3", "--shares", "0.3", "0.7"),
    ],
)
def test_designs(flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abtest", *ENV, *ARMS, *FEW, "--metric", "return", *flags, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["comparisons"][0]["rejected"] > 0.8
    assert flags[-2].removeprefix("--").split("-")[0] in result["design"] or "adjusted" in result["design"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--arm", "a=random"), "an experiment has at least two arms, found 1"),
        (("--arm", "a=random", "--arm", "random"), "found the arm 'random', expected NAME=POLICY"),
        (("--arm", "a=random", "--arm", "a=random"), "the arm 'a' is given twice"),
        ((*ARMS, "--metric", "clicks"), "has no metric 'clicks'; its metrics are return, length"),
        ((*ARMS, "--spillover", "2"), "--spillover must lie between 0 and 1, found 2"),
        ((*ARMS, "--users", "0"), "--users must be at least 1, found 0"),
        ((*ARMS, "--spillover", "0.1", "--carry-over", "0.1"), "cannot be switched on together"),
        ((*ARMS, "--guardrail", "length"), "found the guardrail 'length', expected METRIC=MARGIN"),
        (
            (*ARMS, "--metric", "like", "--guardrail", "length=1"),
            "the guardrail 'length' is not among the metrics: like",
        ),
        ((*ARMS, "--novelty", "5"), "novelty is looked for in a feedback channel; found 'return'"),
        ((*ARMS, "--novelty", "-1"), "--novelty and --pre-steps count steps"),
        ((*ARMS, "--alpha", "1"), "--alpha must lie between 0 and 1"),
        (
            ("--arm", "a=random", "--arm", "b=nowhere"),
            "found the policy 'nowhere', expected random, popularity",
        ),
    ],
)
def test_bad_input_is_one_line(flags: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abtest", *ENV, *flags]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("recgym: ") == 1


def test_agents_draw_their_actions_or_take_the_likeliest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 5})
    SB3Agent(PPOConfig(n_steps=8), task, num_envs=8).save(tmp_path)
    few = ("--arm", "a=random", "--arm", f"b={tmp_path}", "--metric", "return", *SMALL)
    env = ("--env", "recgym/ShortVideo-v0", "--env-kwargs", "num_candidates=5", "--quiet", "--json")
    found = []
    for flags in ((), ("--greedy",)):
        assert main(["abtest", *env, *few, *flags]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert ["draw their actions" in result["design"] for result in found] == [True, False]
    drawn, greedy = (result["metrics"]["return"]["arms"]["b"]["mean"] for result in found)
    assert drawn != greedy


def test_preference_vectors_need_agents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["abtest", "--env", "recgym/Retention-v0", "--env-kwargs", "action=preference", *ARMS]) == 2
    assert "takes preference vectors: random cannot serve it" in capsys.readouterr().err
