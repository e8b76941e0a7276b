"""Constraints in evaluation: paired differences, how often they are broken, and the front."""

import json
from typing import Any

import numpy as np
import pytest

from recgym.agents import RandomPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec, rollout
from recgym.evaluation.constraints import Constraint, constraint_report, hold_against, pareto_front
from recgym.evaluation.oracle import OneStepOracle

RESPONSES = ("watch", "like", "hate")


def returns() -> dict[str, np.ndarray]:
    """200 users whose own level is far more different than the policies are."""
    rng = np.random.default_rng(0)
    base = np.abs(rng.normal(10, 4, (200, 3)))
    noise = rng.normal(0, 0.05, (3, 200, 3))
    size = base.mean(0)
    return {
        "log": base,
        "good": base + noise[0] + size * [0.10, -0.01, 0.01],
        "greedy": base + noise[1] + size * [0.30, -0.10, 0.20],
        "bad": base + noise[2] + size * [0.05, -0.05, 0.05],
    }


def test_margins_are_relative_to_the_reference() -> None:
    margins = [Constraint("like", 0.02), Constraint("hate", 0.02, cost=True)]
    report = constraint_report(returns(), RESPONSES, "watch", margins, "log")
    like, hate = report.constraints["good"]
    assert like.slack.mean == pytest.approx(0.01, abs=0.002)
    assert hate.slack.mean == pytest.approx(0.01, abs=0.002)
    assert report.satisfied("good")
    assert not report.satisfied("greedy")
    assert all(found.violated for found in report.constraints["greedy"])
    assert report.constraints["greedy"][0].violation_rate > 0.99
    assert report.constraints["log"][0].slack == pytest.approx((0.02, 0.02, 0.02))
    # In one noise more than the other way: pairing is what makes the interval narrow.
    assert like.slack.high - like.slack.low < 0.01
    assert report.front == ("log", "good", "greedy")
    assert json.loads(json.dumps(report.to_json()))["policies"]["good"]["satisfied"]


def test_bounds_are_in_the_response_s_own_unit() -> None:
    found = {"one": np.array([[1.0, 3.0], [1.0, 5.0]]), "two": np.array([[1.0, 1.0], [1.0, 1.5]])}
    report = constraint_report(found, ("watch", "like"), "watch", [Constraint("like", bound=2.0)], "one")
    assert report.constraints["one"][0].slack.mean == pytest.approx(2.0)
    assert report.constraints["two"][0].violation_rate == 1.0


def test_the_front() -> None:
    values = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [0.5, 0.5], [1.0, 1.0], [2.0, -1.0]])
    np.testing.assert_array_equal(pareto_front(values), [True, True, True, False, True, False])


def test_bad_input() -> None:
    found = {"one": np.zeros((3, 2)), "two": np.zeros((4, 2))}
    with pytest.raises(ValueError, match="no response 'smile'; there are: watch, like"):
        constraint_report(found, ("watch", "like"), "watch", [Constraint("smile")], "one")
    with pytest.raises(ValueError, match="'three' is not among one, two"):
        constraint_report(found, ("watch", "like"), "watch", [], "three")
    with pytest.raises(ValueError, match=r"two: found returns of shape \(4, 2\), expected \(3, 2\)"):
        constraint_report(found, ("watch", "like"), "watch", [], "one")
    with pytest.raises(ValueError, match="like: the reference's mean is 0; give a bound"):
        constraint_report({"one": np.zeros((3, 2))}, ("watch", "like"), "watch", [Constraint("like")], "one")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("like>=98%", Constraint("like", 0.02)),
        ("hate <= 103%", Constraint("hate", 0.03, cost=True)),
        ("like>=0.5", Constraint("like", bound=0.5)),
        ("hate<=1e-3", Constraint("hate", cost=True, bound=1e-3)),
    ],
)
def test_constraints_in_words(words: str, expected: Constraint) -> None:
    found = Constraint.parse(words)
    assert (found.response, found.cost, found.bound) == (expected.response, expected.cost, expected.bound)
    assert found.margin == pytest.approx(expected.margin)
    assert str(Constraint.parse(str(found))) == str(found)


@pytest.mark.parametrize("words", ["like", "like=1", "like>1", ">=1", "like>=much", "like>=1%%"])
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="a constraint reads CHANNEL>=NUMBER"):
        Constraint.parse(words)


def test_policies_that_served_the_same_users() -> None:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 10})
    random = RandomPolicy(action_spec(task))
    policies: dict[str, Any] = {"random": random, "oracle": OneStepOracle, "again": random}
    played = {name: rollout(policy, task, users=64, seeds=(0, 1, 2)) for name, policy in policies.items()}
    like, hate = Constraint.parse("like>=100%"), Constraint.parse("hate<=1000")
    report = hold_against(played, [like, hate], "random")
    assert report.constraints["again"][0].slack.mean == pytest.approx(0.0, abs=1e-12)
    mean = played["oracle"].episodes.feedback[:, :, task.model.schema.index("like")].mean()
    base = played["random"].episodes.feedback[:, :, task.model.schema.index("like")].mean()
    assert report.constraints["oracle"][0].slack.mean == pytest.approx(mean / base - 1)
    assert all(report.constraints[name][1].satisfied for name in played)
    assert report.values["oracle"].mean > report.values["random"].mean
