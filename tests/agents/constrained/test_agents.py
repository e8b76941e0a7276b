"""What all constrained agents share: they learn any kind of action, resume, and keep the contract of policies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recgym.agents.constrained import (
    BasisConfig,
    MultiplierConfig,
    OfflineA2CConfig,
    ParetoConfig,
    PPOLagrangianConfig,
    RCPOConfig,
    Responses,
    TSCACConfig,
)
from recgym.agents.offline import OFFLINE_CONFIGS, NetworkPolicy, OfflineAgent, load_offline
from recgym.agents.sb3.distributions import SquashedGaussian
from recgym.data.transitions import TransitionStore
from recgym.envs import Task
from recgym.evaluation import action_spec, record
from recgym.testing import check_agent
from tests.agents.offline.cases import log_of, task_of

RESPONSES = {
    "items": Responses("watch_time", ("like", "comment", "hate")),
    "slates": Responses("watch_time", ("like", "hate"), auxiliary_gammas=(0.0, 0.5)),
    "preference": Responses("watch_time", ("like",)),
}


def basis(kind: str, joint: bool = False, clone_updates: int = 10) -> BasisConfig:
    return BasisConfig(RESPONSES[kind], clone_updates=clone_updates, batch_size=64, joint_critic=joint)


def configs(kind: str) -> dict[str, Any]:
    return {
        "tscac": TSCACConfig(stage1_updates=10, basis=basis(kind)),
        "tscac, joint": TSCACConfig(stage1_updates=10, action_values=False, basis=basis(kind, joint=True)),
        "a2c": OfflineA2CConfig(basis=basis(kind)),
        "rcpo": RCPOConfig(basis=basis(kind)),
        "rcpo, per response": RCPOConfig(per_response=True, basis=basis(kind)),
        "ppo": PPOLagrangianConfig(basis=basis(kind)),
        "pareto": ParetoConfig(basis=basis(kind, joint=True)),
    }


ALL = tuple(configs("items"))


class Wandering(nn.Module):
    """Preference vectors that do not depend on users."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, seen: Any) -> SquashedGaussian:
        mean = torch.zeros(len(seen["history_items"]), self.width)
        return SquashedGaussian(mean, mean - 0.5)


def test_a_large_lambda_draws_the_mode_to_that_of_the_auxiliary_policy() -> None:
    _, store = wandering_log()
    apart = {}
    for size in (0.0001, 100.0):
        config = TSCACConfig((size,), stage1_updates=0, similarity=True, basis=basis("preference"))
        config = replace(config, basis=replace(config.basis, actor_rate=1e-2))
        agent = OfflineAgent.of(config, store).fit(store, 10)
        learner, seen = agent.learner, store.observations(store.steps[:200])
        with torch.no_grad():
            learner.auxiliary[0].head.query.bias.add_(0.5)  # type: ignore[attr-defined]
        agent.fit(store, 60)
        with torch.no_grad():
            gap = learner.actor(seen).mode() - learner.auxiliary[0](seen).mode()  # type: ignore[attr-defined]
        apart[size] = float(gap.square().mean())
    assert apart[100.0] < 0.2 * apart[0.0001]


def without_propensities(store: TransitionStore) -> TransitionStore:
    unknown = np.full_like(store.columns["log_propensity"], np.nan)
    return replace(store, columns={**store.columns, "log_propensity": unknown})


@pytest.mark.parametrize("arm", ALL)
@pytest.mark.parametrize("kind", ["items", "slates"])
def test_it_learns_and_keeps_the_contract(arm: str, kind: str) -> None:
    store = log_of(kind)
    agent = OfflineAgent.of(configs(kind)[arm], store).fit(store, 30)
    assert all(np.isfinite(value) for row in agent.losses for value in row.values())
    before, after = agent.learner.basis.behaviour, agent.learner.actor  # type: ignore[attr-defined]
    moved = any(not torch.equal(one, two) for one, two in zip(before.parameters(), after.parameters(), strict=True))
    assert moved, "the actor has left the cloned policy"
    check_agent(agent.policy(), action_spec(task_of(kind)), store.observations(store.steps[:3]))


def wandering_log() -> tuple[Task, TransitionStore]:
    task = replace(task_of("items"), action="preference")
    width = task.model.item_features.shape[1]
    wandering = NetworkPolicy(Wandering(width))
    return task, record(wandering, task, 1, seed=0, max_steps=3)


@pytest.mark.parametrize("arm", [*ALL, "tscac, similarity"])
def test_preference_vectors(arm: str) -> None:
    task, store = wandering_log()
    made = configs("preference")
    made["tscac, similarity"] = replace(made["tscac"], similarity=True)
    agent = OfflineAgent.of(made[arm], store).fit(store, 30)
    assert all(np.isfinite(value) for row in agent.losses for value in row.values())
    check_agent(agent.policy(), action_spec(task), store.observations(store.steps[:3]))


@pytest.mark.parametrize("arm", ALL)
def test_an_interrupted_agent_learns_the_same(arm: str, tmp_path: Path) -> None:
    store, config = log_of("items"), configs("items")[arm]
    whole = OfflineAgent.of(config, store, seed=3).fit(store, 30, stretch=5)
    for stop in (5, 15, 25) if arm == "tscac" else (5,):  # in the beginning and in either stage
        OfflineAgent.of(config, store, seed=3).fit(store, stop, stretch=5, folder=tmp_path / str(stop))
        resumed = load_offline(tmp_path / str(stop)).fit(store, 30, stretch=5)
        assert resumed.config == config
        for name, value in whole.learner.module.state_dict().items():
            assert torch.equal(value, resumed.learner.module.state_dict()[name]), (stop, name)


def test_propensities_that_are_not_on_record_are_learned() -> None:
    known = log_of("items")
    store = without_propensities(known)
    agent = OfflineAgent.of(RCPOConfig(basis=basis("items", clone_updates=200)), store).fit(store, 205)
    assert all(np.isfinite(value) for row in agent.losses for value in row.values())
    sample = agent.learner.basis.sample(store, torch.Generator().manual_seed(0))  # type: ignore[attr-defined]
    true = known.sample(64, torch.Generator().manual_seed(0)).log_propensity
    assert (sample.log_behaviour - true).abs().mean() < 0.35


def test_before_its_actor_has_begun_an_agent_serves_the_cloned_policy() -> None:
    store = log_of("items")
    agent = OfflineAgent.of(TSCACConfig(basis=basis("items", clone_updates=50)), store).fit(store, 20)
    served = agent.policy().network.state_dict()  # type: ignore[attr-defined]
    for name, value in agent.learner.basis.behaviour.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(value, served[name])


def test_responses_are_scaled_and_costs_are_negative() -> None:
    store = log_of("items")
    agent = OfflineAgent.of(OfflineA2CConfig(basis=basis("items")), store).fit(store, 1)
    whole = agent.learner.basis  # type: ignore[attr-defined]
    sample = whole.sample(store, torch.Generator().manual_seed(0))
    raw = store.responses(store.steps)[:, [0, 2, 3, 6]].astype(np.float64)
    spread = np.where(raw.std(0) > 0, raw.std(0), 1)
    np.testing.assert_allclose(whole.rate, raw.mean(0) / spread * [1, 1, 1, -1], rtol=1e-5)
    assert float(sample.responses[:, 3].max()) <= 0
    assert store.problem.schema.names[6] == "hate"


def test_multipliers_rise_where_a_response_falls_short() -> None:
    multipliers = MultiplierConfig(initial=0.5, rate=0.1, slack=0.1)
    made = RCPOConfig(multipliers=multipliers, basis=basis("items"))
    learned = OfflineAgent.of(made, log_of("items")).learner.rule.multipliers  # type: ignore[attr-defined]
    # Means of the auxiliaries are 0.5, 1 and -1 against 1, 1 and -1 in the log, 10 % of which may be given up.
    responses = torch.tensor([[9.0, 0.5, 1.0, -1.0], [9.0, 0.5, 1.0, -1.0]])
    learned.adapt(torch.tensor([2.0, 0.5]), responses, torch.tensor([9.0, 1.0, 1.0, -1.0]))
    np.testing.assert_allclose(learned.values, [0.5 + 0.1 * 0.4, 0.5 - 0.1 * 0.1, 0.5 - 0.1 * 0.1], rtol=1e-5)


def test_they_are_in_the_registry() -> None:
    for name in ("tscac", "a2c-weighted", "rcpo", "ppo-lagrangian", "pareto"):
        assert OFFLINE_CONFIGS[name].name == name


def test_bad_input() -> None:
    store = log_of("items")
    with pytest.raises(ValueError, match="no feedback channel 'smile'"):
        OfflineAgent.of(OfflineA2CConfig(basis=BasisConfig(Responses("watch_time", ("smile",)))), store)
    with pytest.raises(ValueError, match=r"a main response and at least one other are needed, each once"):
        OfflineAgent.of(OfflineA2CConfig(basis=BasisConfig(Responses("like", ("like",)))), store)
    with pytest.raises(ValueError, match="found 2 lambdas for 3 auxiliary responses, expected 1 or as many"):
        OfflineAgent.of(TSCACConfig(lambdas=(1.0, 2.0), basis=basis("items")), store)
    with pytest.raises(ValueError, match="engagement"):
        OfflineAgent.of(RCPOConfig(), log_of("flat"))
    with pytest.raises(
        ValueError, match="similarity needs preference vectors and action_values, found actions of 'items'"
    ):
        OfflineAgent.of(TSCACConfig(similarity=True, basis=basis("items")), store)
    with pytest.raises(ValueError, match="lambdas must not be negative and must not all be 0"):
        TSCACConfig(lambdas=(0.0,))
    with pytest.raises(ValueError, match=r"a discount must lie in \[0, 1\), found 1"):
        Responses(gamma=1.0)
