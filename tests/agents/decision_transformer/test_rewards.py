"""What a policy sees of its rewards, against what they were."""

from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents.decision_transformer import FeedbackAndReturns, OneSum, TaskReturn
from recgym.agents.decision_transformer.learning import prompt_of
from recgym.agents.decision_transformer.returns import logged_returns
from recgym.agents.decision_transformer.rewards import glimpse, logged_quantities, seen_quantities
from recgym.data.transitions import TransitionStore
from recgym.envs import make_task
from recgym.evaluation import record
from tests.agents.offline.cases import TASKS, liking, log_of, task_of

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **TASKS,
    "many sessions": (
        "recgym/ShortVideo-v0",
        {"num_candidates": 6, "window": 8, "slate_size": 3, "level": "retention"},
    ),
    "clicks too": ("recgym/Retention-v0", {"num_candidates": 5, "click_weight": 0.5}),
}


def log_with(name: str) -> TransitionStore:
    if name in TASKS:
        return log_of(name)
    task = make_task(*CASES[name])
    return record(liking(task), task, 1, seed=3, max_steps=40)


@pytest.mark.parametrize("name", CASES)
def test_rewards_seen_between_observations_are_the_true_ones(name: str) -> None:
    store = log_with(name)
    points = store.steps[~store.columns["terminated"][store.steps]]  # nobody sees what comes after the end
    before, after = (glimpse(store.observations(at), store.problem) for at in (points, points + 1))
    seen = seen_quantities(before, after, store.problem).numpy()
    true = logged_quantities(store, points)
    np.testing.assert_allclose(seen, true, rtol=1e-5, atol=1e-5)
    weights = TaskReturn().weights(store)
    np.testing.assert_allclose(seen @ weights[0], store.columns["reward"][points], rtol=1e-4, atol=1e-4)
    assert (true[:, :-2] != 0).any()
    if store.problem.progress:
        assert (true[:, -1] > 0).any()


def test_the_weights_of_a_reward_are_found_in_the_log() -> None:
    store = log_of("slates")
    names = store.problem.schema.names
    found = dict(zip(names, TaskReturn().weights(store)[0], strict=False))
    assert found == pytest.approx(
        {name: (0.0 if "watch" in name else -1.0 if name == "hate" else 1.0) for name in names}
    )


def test_rewards_that_no_policy_can_see_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = log_of("items")
    noise = np.random.default_rng(0).standard_normal(len(store.columns["reward"])).astype(np.float32)
    monkeypatch.setitem(store.columns, "reward", noise)
    with pytest.raises(
        ValueError, match=r"must see its rewards, and these are not weighted sums of .*such sums explain"
    ):
        TaskReturn().weights(store)


def test_returns_to_go_are_undiscounted_sums_to_the_end() -> None:
    store = log_of("sessions").subset(np.array([2, 5]))
    weights = FeedbackAndReturns().weights(store)
    found = logged_returns(store, weights)
    for row, (first, closing) in enumerate(store.episodes):
        rewards = logged_quantities(store, np.arange(first, closing)) @ weights.T
        np.testing.assert_allclose(found.episodes[row], rewards.sum(0), rtol=1e-5)
        np.testing.assert_allclose(found.to_go[first:closing], rewards[::-1].cumsum(0)[::-1], rtol=1e-5, atol=1e-6)
    assert found.to_go[store.episodes[:, 1]].sum() == 0


def test_one_sum_weighs_both_parts_alike() -> None:
    store = log_of("sessions")
    both = logged_returns(store, FeedbackAndReturns().weights(store)).episodes
    one = logged_returns(store, OneSum().weights(store)).episodes[:, 0]
    np.testing.assert_allclose(one, (both / both.mean(0)).sum(1), rtol=1e-5)
    assert one.mean() == pytest.approx(2.0)


def test_feedback_by_name() -> None:
    store = log_of("items")
    weights = FeedbackAndReturns((("like", 2.0), ("hate", -1.0))).weights(store)
    names = list(store.problem.schema.names)
    assert weights[0, names.index("like")] == 2.0
    assert weights[0, names.index("hate")] == -1.0
    assert np.count_nonzero(weights) == 3
    with pytest.raises(ValueError, match="smile"):
        FeedbackAndReturns((("smile", 1.0),)).weights(store)


def test_a_prompt_lies_inside_what_happened() -> None:
    rng = np.random.default_rng(0)
    first = rng.standard_normal(5000)
    episodes = np.stack([first, -first + 0.1 * rng.standard_normal(5000)], 1)  # much of one is little of the other
    prompt = prompt_of(episodes, 0.9)
    assert np.abs(episodes - prompt).sum(1).min() < 0.1
    marginal = np.quantile(episodes, 0.9, axis=0)  # which no episode comes near
    assert np.abs(episodes - marginal).sum(1).min() > 1.0
    one = prompt_of(first[:, None], 0.9)
    assert one[0] == pytest.approx(np.quantile(first, 0.9), abs=0.05)


def test_a_glimpse_of_an_empty_history_tells_of_nothing() -> None:
    problem = log_of("sessions").problem
    store = log_of("sessions")
    start = glimpse(store.observations(store.episodes[:, 0]), problem)
    np.testing.assert_array_equal(seen_quantities(start, start, problem).numpy(), 0.0)
    assert torch.equal(start.session, torch.zeros(len(start.session)))
    assert task_of("sessions").level == "retention"
