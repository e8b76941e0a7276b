"""Arms on environments."""

from typing import Any

import numpy as np
import pytest
import torch

from recgym.abtest import Arm, Experiment, Method, metrics_of, pick_metrics, simulate_arms
from recgym.agents import RandomPolicy, ScoredPolicy
from recgym.envs import Task, make_task
from recgym.evaluation import OneStepOracle, action_spec, rollout


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("recgym/ShortVideo-v0", {"num_candidates": 10})


@pytest.fixture(scope="module")
def better(task: Task) -> ScoredPolicy[Any]:
    quality = torch.as_tensor(task.model.item_features)[:, 0]
    return ScoredPolicy(action_spec(task), lambda seen: quality[seen["candidates"]])


def test_common_random_numbers_are_the_same_users(task: Task, better: ScoredPolicy[Any]) -> None:
    arms: dict[str, Arm] = {"random": RandomPolicy(action_spec(task)), "better": better, "oracle": OneStepOracle}
    same = simulate_arms(arms, task, 300, seed=1, common=True)
    apart = simulate_arms(arms, task, 300, seed=1)
    assert same.paired
    assert not apart.paired
    correlation = [np.corrcoef(pools.column("return")[:2])[0, 1] for pools in (same, apart)]
    assert correlation[0] > 0.1 > abs(correlation[1])
    interval, wider = same.effect("return", "oracle"), apart.effect("return", "oracle")
    assert interval.low > 3
    assert wider.high - wider.low > interval.high - interval.low


def test_an_arm_that_is_the_control_shares_its_outcomes(task: Task) -> None:
    policy = RandomPolicy(action_spec(task))
    pools = simulate_arms({"a": policy, "b": policy}, task, 50)
    assert np.array_equal(pools.values[0], pools.values[1])


def test_metrics_are_those_of_a_rollout() -> None:
    task = make_task("recgym/Retention-v0", {})
    metrics = metrics_of(task)
    episodes = rollout(RandomPolicy(action_spec(task)), task, users=30, seeds=(0,)).episodes
    made = {metric.name: metric.of(episodes)[0] for metric in metrics}
    assert np.array_equal(made["click"], episodes.feedback[0, :, 0])
    assert made["click per session"] == pytest.approx(made["click"] / made["sessions"])
    assert made["days_between_sessions"] == pytest.approx(made["days"] / (made["sessions"] - 1))
    assert set(made["came_back"]) <= {0.0, 1.0}
    assert [metric.name for metric in pick_metrics(task, ("days", "return"))] == ["days", "return"]
    with pytest.raises(ValueError, match=r"has no metric 'clicks'; its metrics are return, length, click"):
        pick_metrics(task, ("clicks",))


def test_a_pre_period_is_served_by_the_control_and_counted_apart(task: Task, better: ScoredPolicy[Any]) -> None:
    arms: dict[str, Arm] = {"random": RandomPolicy(action_spec(task)), "better": better}
    whole = simulate_arms({"random": arms["random"], "same": RandomPolicy(action_spec(task))}, task, 400, common=True)
    pools = simulate_arms(arms, task, 400, pre_steps=6, common=True)
    assert pools.users < 400  # some had left before
    assert np.array_equal(pools.before[0], pools.before[1])
    # Control users: what they do in both periods is what they do without one.
    stayed = whole.column("length")[0] > 6
    total = pools.column("length")[0] + 6
    assert np.array_equal(total, whole.column("length")[0][stayed])
    assert pools.column("like")[0] + pools.before[0, :, 2 + 1] == pytest.approx(whole.column("like")[0][stayed])
    adjusted = pools.adjusted()
    assert adjusted.column("like").mean(1) == pytest.approx(pools.column("like").mean(1))
    assert (adjusted.values.var(1) <= pools.values.var(1) * 1.05)[:, :2].all()


def test_an_experiment_runs_from_policies_to_power(task: Task) -> None:
    experiment = Experiment(
        {"random": RandomPolicy(action_spec(task)), "oracle": OneStepOracle},
        looks=(100, 200, 400),
        metrics=pick_metrics(task, ("return", "hate")),
        methods=(Method.FIXED, Method.MSPRT),
    )
    pools, result = experiment.run(task, 40, pool=300, common=True, pre_steps=2)
    assert result.of("oracle", "return", Method.FIXED).decisions.rejected.mean() > 0.5
    assert result.of("oracle", "return", Method.FIXED).truth == pytest.approx(pools.effect("return", "oracle").mean)
    assert result.counts.sum(1).tolist() == [400] * 40


def test_what_is_wrong_is_told(task: Task) -> None:
    policy = RandomPolicy(action_spec(task))
    with pytest.raises(ValueError, match="at least two arms"):
        simulate_arms({"a": policy}, task, 10)
    with pytest.raises(ValueError, match="0 users stayed for the 900 steps"):
        simulate_arms({"a": policy, "b": policy}, task, 10, pre_steps=900)
