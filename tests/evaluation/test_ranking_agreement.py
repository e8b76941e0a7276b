import json
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest

from recgym.agents.base import Policy, RandomPolicy, ScoredPolicy
from recgym.data import InteractionLog
from recgym.envs.learned_users import task as learned_task
from recgym.envs.task import Task
from recgym.evaluation.baselines import action_spec
from recgym.evaluation.embedded import EmbeddedLog, embedded_log
from recgym.evaluation.policy_family import policy_family
from recgym.evaluation.ranking_agreement import RankingAgreement, RankingConfig, ranking_agreement
from recgym.evaluation.truth import in_truth
from recgym.simulators.learned import LearnedConfig, fit

SMALL = RankingConfig(users=64, seeds=(0,), max_steps=60, replicates=300)


@lru_cache(maxsize=1)
def embedded() -> EmbeddedLog:
    return embedded_log(users=200)


def without_signal(log: InteractionLog) -> InteractionLog:
    """The same exposures with the answers of others, drawn at random."""
    order = np.random.default_rng(0).permutation(log.n_rows)
    return log.with_frame(log.frame.with_columns([log.frame[name].gather(order) for name in log.schema.names]))


def agreement(log: InteractionLog, truth: Task, keep: int) -> RankingAgreement:
    fitted = fit(log, LearnedConfig(hidden=32, item_width=16, max_epochs=3))
    world = learned_task(
        fitted, slate_size=truth.slate_size, num_candidates=truth.num_candidates, reward={"watch_time": 1.0},
        horizon=60,
    )  # fmt: skip
    family = policy_family(fitted, log, world, "watch_time")
    assert len(family) >= 10
    chosen = dict(list(family.items())[:keep])
    return ranking_agreement(chosen, truth, world, in_truth=partial(in_truth, fitted=fitted, log=log), config=SMALL)


def test_users_learned_from_a_log_rank_policies_better_than_chance() -> None:
    log, truth = embedded()
    found = agreement(log, truth, keep=12)
    assert found.tau.mean > 0.2
    assert found.tau.low > -0.1
    assert found.tau.low <= found.tau.mean <= found.tau.high
    assert found.regret_share.mean < 0.5
    value = found.to_json()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert len(value["policies"]) == 12


def test_a_log_without_signal_ranks_nothing() -> None:
    log, truth = embedded()
    # Without the policies that are made from the learned users: those are better in them whatever they have learned.
    found = agreement(without_signal(log), truth, keep=9)
    assert found.tau.low < 0 < found.tau.high
    assert abs(found.tau.mean) < 0.6


def simple(truth: Task) -> dict[str, Policy[Any]]:
    spec = action_spec(truth)

    def affinity(observation: dict[str, Any]) -> Any:
        topics = truth.model.item_features[observation["candidates"]]
        return (topics * observation["profile"][:, None, :]).sum(-1)

    mixes: dict[str, Policy[Any]] = {
        f"affinity, {mix:.0%} random": ScoredPolicy(spec, affinity, mix=mix) for mix in (0.0, 0.5)
    }
    return {"random": RandomPolicy(spec), **mixes}


def test_the_truth_agrees_with_itself_and_picks_without_regret() -> None:
    truth = embedded().truth
    found = ranking_agreement(simple(truth), truth, truth, config=SMALL)
    assert found.tau.mean == 1.0
    assert found.pick == found.best
    assert found.regret.mean == found.regret_share.mean == 0.0
    first = found.policies[0]
    assert first.truth.mean == first.fitted.mean
    assert first.truth.low < first.truth.mean < first.truth.high


def test_what_cannot_be_ranked_is_refused() -> None:
    truth = embedded().truth
    policies = simple(truth)
    with pytest.raises(ValueError, match="a ranking needs at least 3 policies, found 1"):
        ranking_agreement({"random": policies["random"]}, truth, truth)
    with pytest.raises(ValueError, match="the reference policy 'none' is not among random, affinity"):
        ranking_agreement(policies, truth, truth, reference="none")
