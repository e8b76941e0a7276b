"""d3rlpy's algorithms on our transitions; skipped where d3rlpy is not installed."""

import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents.loading import load_policy, load_trained, offline_configs
from recgym.agents.offline import BCConfig, OfflineAgent
from recgym.agents.sb3.config import NetworkConfig
from recgym.cli.main import main
from recgym.data.transitions import TransitionStore
from recgym.evaluation import action_spec, rollout
from recgym.testing import check_agent
from tests.agents.offline.cases import log_of, task_of
from tests.agents.sb3.tasks import ONE
from tests.agents.sb3.test_encoders import fitted

NAMES = (
    "d3rlpy-discrete-bc", "d3rlpy-discrete-cql", "d3rlpy-discrete-bcq", "d3rlpy-discrete-dt",
    "d3rlpy-bc", "d3rlpy-iql", "d3rlpy-td3-bc", "d3rlpy-cql", "d3rlpy-rebrac", "d3rlpy-dt",
)  # fmt: skip
SMALL = NetworkConfig(hidden=(16,))


@pytest.fixture(autouse=True)
def d3rlpy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """d3rlpy, if it is installed; whatever it might write would be seen in an empty folder."""
    if "without" in request.node.name:
        yield None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("d3rlpy", reason="the extra recgym[offline] is not installed")
    monkeypatch.chdir(tmp_path)
    yield module
    assert not (tmp_path / "d3rlpy_logs").exists()


def agent_of(name: str, store: TransitionStore, seed: int = 1, **settings: Any) -> OfflineAgent:
    return OfflineAgent.of(offline_configs(name)[name](network=SMALL, **settings), store, seed)


def test_all_are_there(d3rlpy: Any) -> None:
    from recgym.agents.d3rlpy import D3RLPY_CONFIGS

    assert set(D3RLPY_CONFIGS) == set(NAMES)
    assert "d3rlpy-iql" not in offline_configs("bc")


@pytest.mark.parametrize("name", NAMES)
def test_an_agent_learns_is_saved_and_serves(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store, task = log_of("items"), task_of("items")
    few = {"batch_size": 8, "num_layers": 1, "context_size": 4} if name.endswith("dt") else {"batch_size": 32}
    agent = agent_of(name, store, **few).fit(store, 6, stretch=3, folder=tmp_path / "run")
    assert [row["updates"] for row in agent.losses] == [3, 6]
    assert all(np.isfinite(list(row.values())).all() for row in agent.losses)
    loaded = load_trained(tmp_path / "run", task)
    seen = store.observations(store.steps[:3])
    check_agent(loaded.policy(), action_spec(task), seen)
    mine, theirs = (
        policy.act(seen, policy.init_state(3, "cpu"), torch.Generator().manual_seed(0))[0]
        for policy in (agent.policy(), loaded.policy())
    )
    assert torch.equal(mine.action, theirs.action)
    assert torch.equal(mine.log_propensity, theirs.log_propensity)
    assert capfd.readouterr().out + capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["d3rlpy-discrete-bcq", "d3rlpy-td3-bc", "d3rlpy-dt"])
def test_an_interrupted_agent_learns_the_same(name: str, tmp_path: Path) -> None:
    store = log_of("items")
    whole = agent_of(name, store, batch_size=8).fit(store, 6, stretch=2)
    agent_of(name, store, batch_size=8).fit(store, 4, stretch=2, folder=tmp_path / "run")
    resumed = OfflineAgent.load(tmp_path / "run", offline_configs(name)).fit(store, 6, stretch=2)
    assert resumed.losses == whole.losses
    for key, value in whole.learner.module.state_dict().items():
        assert torch.equal(value, resumed.learner.module.state_dict()[key]), key


def test_it_learns_what_d3rlpy_learns(d3rlpy: Any) -> None:
    """The same batches and first weights, handed to d3rlpy by hand, give the same networks."""
    from recgym.agents.d3rlpy.batches import Prepared
    from recgym.seeding import child_seed, make_generator, torch_seeded

    store = log_of("items")
    agent = agent_of("d3rlpy-iql", store, batch_size=16)
    learner: Any = agent.learner
    config = replace_encoders(d3rlpy, d3rlpy.algos.IQLConfig(batch_size=16))
    theirs = config.create(device="cpu:0")
    theirs.create_impl((learner.states.width,), learner.actions)
    for name, module in theirs.impl.modules.get_torch_modules().items():
        module.load_state_dict(agent.learner.module[name].state_dict())  # type: ignore[index]
    agent.fit(store, 5, stretch=5)
    prepared, generator = Prepared(store, learner.states, False), make_generator(agent.seed, "batches", 0)
    with torch_seeded(child_seed(agent.seed, "dropout", 0)):
        for _ in range(5):
            theirs.update(prepared.transitions(16, generator))
    for name, module in theirs.impl.modules.get_torch_modules().items():
        for key, value in module.state_dict().items():
            torch.testing.assert_close(value, agent.learner.module[name].state_dict()[key])  # type: ignore[index]


def replace_encoders(d3rlpy: Any, config: Any) -> Any:
    factory = d3rlpy.models.VectorEncoderFactory(hidden_units=[16])
    for name in ("actor_encoder_factory", "critic_encoder_factory", "value_encoder_factory"):
        setattr(config, name, factory)
    return config


def test_batches_are_the_steps_of_the_store() -> None:
    from recgym.agents.d3rlpy.batches import Prepared
    from recgym.agents.d3rlpy.states import HistorySummary
    from recgym.agents.offline.returns import returns_to_go

    whole = log_of("items")
    store = whole.subset(np.arange(100, 130))
    states = HistorySummary(store.problem, store.item_features)
    states.look(store)
    batch = Prepared(store, states, True).transitions(64, torch.Generator().manual_seed(3))
    drawn = store.steps[torch.randint(len(store), (64,), generator=torch.Generator().manual_seed(3)).numpy()]
    truth = store.batch(drawn)
    np.testing.assert_array_equal(batch.observations, states(truth.observation).numpy())
    np.testing.assert_array_equal(batch.next_observations, states(truth.next_observation).numpy())
    np.testing.assert_array_equal(batch.actions[:, 0], store.columns["slate"][drawn, 0])
    np.testing.assert_array_equal(batch.rewards[:, 0], truth.reward.numpy())
    np.testing.assert_array_equal(batch.terminals[:, 0], truth.terminated.numpy())
    chained = Prepared(store, states, False, chained=True)
    drawn = chained._steps
    cut = store.columns["truncated"][store.steps]
    assert set(drawn) == set(store.steps[~cut])
    first, closing = store.episodes[4]
    going = returns_to_go(store)[:, 0]
    rewards = store.columns["reward"][first:closing]
    np.testing.assert_allclose(going[first:closing], np.cumsum(rewards[::-1])[::-1], atol=1e-5)
    assert going[closing] == 0
    stretch = chained.trajectories(16, 5, 3, torch.Generator().manual_seed(0))
    assert stretch.observations.shape == (16, 5, states.width)
    assert (stretch.masks[:, -1] == 1).all()
    assert stretch.timesteps.max() == 3
    assert not stretch.returns_to_go[stretch.masks == 0].any()
    lone = ((stretch.masks.sum(1) == 1) & (stretch.timesteps[:, -1] == 1)).nonzero()[0]
    assert len(lone), "some stretches end with the first step of an episode"


def test_states_are_what_our_networks_are_fed() -> None:
    from recgym.agents.d3rlpy.states import FlatHistories, HistorySummary

    store = log_of("items")
    states = HistorySummary(store.problem, store.item_features)
    states.look(store)
    seen = store.observations(store.steps)
    found = states(seen)
    assert found.abs().max() <= 10
    inner = found.abs().amax(0) < 10
    assert torch.allclose(found.mean(0)[inner], torch.zeros(int(inner.sum())), atol=1e-2)
    flat = log_of("flat")
    assert HistorySummary(flat.problem, flat.item_features).width == flat.problem.flat
    with pytest.raises(ValueError, match="an encoder needs histories, found flat observations"):
        FlatHistories(flat.problem)


@pytest.mark.parametrize("kind", ["flat", "sessions", "slates"])
def test_other_tasks(kind: str) -> None:
    store, task = log_of(kind), task_of(kind)
    names = ["d3rlpy-td3-bc"] if kind == "slates" else ["d3rlpy-td3-bc", "d3rlpy-discrete-cql"]
    for name in names:
        agent = agent_of(name, store, batch_size=16).fit(store, 3)
        check_agent(agent.policy(), action_spec(task), store.observations(store.steps[:2]))
        rollout(agent.policy(), task, users=4, seeds=(0,), max_steps=3)
    if kind == "slates":
        with pytest.raises(ValueError, match="a discrete action is one item, found slates of 2; use preferences"):
            agent_of("d3rlpy-discrete-bc", store)


def test_discrete_cloning_recovers_the_log() -> None:
    """A log that always shows the candidate of the highest id: so does the policy, among the candidates on offer."""
    store = log_of("items")
    agent = agent_of("d3rlpy-bc", store).fit(store, 2)
    best = store.columns["candidates"].max(1)
    taught = replace(store, columns={**store.columns, "slate": best[:, None]})
    agent = agent_of("d3rlpy-discrete-bc", taught, learning_rate=1e-2).fit(taught, 200)
    seen: Any = taught.observations(taught.steps[:500])
    policy = agent.policy()
    action = policy.act(seen, policy.init_state(500, "cpu"), torch.Generator(), greedy=True)[0].action
    chosen = seen["candidates"].gather(1, action[:, None])[:, 0]
    assert (chosen == seen["candidates"].amax(1)).float().mean() > 0.5, "by chance it is a fifth"


@pytest.mark.parametrize("name", ["d3rlpy-discrete-cql", "d3rlpy-discrete-bcq", "d3rlpy-iql", "d3rlpy-discrete-dt"])
def test_consumed_items_and_padding_are_never_chosen(name: str) -> None:
    store = log_of("items")
    store = replace(store, problem=replace(store.problem, mask_consumed=True))
    policy = agent_of(name, store, temperature=100.0, batch_size=8).fit(store, 2).policy()
    seen: Any = store.observations(store.steps[:64])
    seen["candidates"][:, 3:] = store.problem.num_items
    seen["history_items"][:, -1] = seen["candidates"][:, 0]
    for draw in range(20):
        generator = torch.Generator().manual_seed(draw)
        action = policy.act(seen, policy.init_state(64, "cpu"), generator)[0].action
        assert set(action.tolist()) <= {1, 2}


def test_a_preference_task_gets_preference_vectors() -> None:
    store = log_of("items")
    features = store.item_features.shape[1]
    problem = replace(store.problem, action="preference")
    vectors = np.zeros((len(store.columns["user"]), features), np.float32)
    vectors[:, 0] = 0.5
    store = replace(store, problem=problem, columns={**store.columns, "action": vectors})
    policy = agent_of("d3rlpy-bc", store).fit(store, 150).policy()
    seen = store.observations(store.steps[:5])
    decision = policy.act(seen, policy.init_state(5, "cpu"), torch.Generator())[0]
    torch.testing.assert_close(decision.action, torch.from_numpy(vectors[:5]), atol=0.2, rtol=0)
    assert decision.log_propensity.isnan().all()


@pytest.mark.parametrize("frozen", [True, False])
def test_histories_enter_through_an_encoder(frozen: bool, tmp_path: Path) -> None:
    from recgym.agents import RandomPolicy
    from recgym.evaluation import record

    fitted(ONE).save(tmp_path / "encoder")
    store = record(RandomPolicy(action_spec(ONE)), ONE, 1, max_steps=2)
    network = NetworkConfig(hidden=(16,), encoder=tmp_path / "encoder", freeze_encoder=frozen)
    config = offline_configs("d3rlpy-iql")["d3rlpy-iql"](network=network, batch_size=8)
    agent = OfflineAgent.of(config, store)
    before = {key: value.clone() for key, value in agent.learner.module.state_dict().items()}
    agent.fit(store, 3, folder=tmp_path / "run")
    after = agent.learner.module.state_dict()
    changed = {key for key, value in after.items() if "items.weight" in key and not torch.equal(value, before[key])}
    assert bool(changed) != frozen
    loaded = load_trained(tmp_path / "run", ONE)
    rollout(loaded.policy(), ONE, users=3, seeds=(0,), max_steps=2)


def test_prompts_are_those_of_good_episodes() -> None:
    from recgym.agents.offline.returns import returns_to_go

    store = log_of("items")
    agent = agent_of("d3rlpy-dt", store, batch_size=8, prompt=1.0).fit(store, 1)
    going = returns_to_go(store)[:, 0]
    prompts: Any = agent.policy().prompts  # type: ignore[attr-defined]
    assert prompts[0] == going[store.episodes[:, 0]].max()
    assert prompts[-1] == prompts[store.lengths.max() - 1]


def test_fitted_q_evaluation_finds_a_known_value() -> None:
    """Reward 1 a step for ever is worth 1 / (1 - gamma); episodes are cut off, not over, so values go on."""
    from recgym.agents.d3rlpy import fitted_q_evaluation

    for name, kind in (("d3rlpy-iql", "items"), ("d3rlpy-discrete-cql", "flat")):
        store = log_of(kind)
        ones = np.ones_like(store.columns["reward"])
        never = np.zeros_like(store.columns["terminated"])
        store = replace(store, columns={**store.columns, "reward": ones, "terminated": never})
        agent = agent_of(name, store).fit(store, 1)
        value = fitted_q_evaluation(agent, store, 800, gamma=0.5, target_update_interval=50, learning_rate=1e-2)
        assert value.mean == pytest.approx(2.0, abs=0.15)
        assert len(value.values) == len(store.episodes)
    with pytest.raises(ValueError, match="fitted Q evaluation needs an agent of d3rlpy that reads single steps"):
        fitted_q_evaluation(OfflineAgent.of(BCConfig(), store), store, 1)


def test_its_own_file_is_read_by_d3rlpy(d3rlpy: Any, tmp_path: Path) -> None:
    store = log_of("items")
    agent = agent_of("d3rlpy-iql", store).fit(store, 2)
    learner: Any = agent.learner
    learner.save_d3(tmp_path / "model.d3")
    theirs = d3rlpy.load_learnable(str(tmp_path / "model.d3"), device="cpu:0")
    states = learner.states(store.observations(store.steps[:9])).numpy()
    np.testing.assert_array_equal(theirs.predict(states), learner.algorithm.predict(states))


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--env", "recgym/ShortVideo-v0", "--env-kwargs", "num_candidates=5", "window=6"]
    assert main(["record", *small, "--steps", "1", "--max-steps", "2", "--out", "log", "--quiet"]) == 0
    train = ["train", "--log", "log", "--agent", "d3rlpy-td3-bc", "--out", "run", "--hidden", "16", "--quiet"]
    assert main([*train, "--updates", "3"]) == 0
    assert main([*train, "--updates", "5", "--resume"]) == 0
    capsys.readouterr()
    assert main(["evaluate", *small, "--agents", "run", "--users", "8", "--seeds", "2", "--json"]) == 0
    assert '"run"' in capsys.readouterr().out
    store = TransitionStore.open("log")
    seen, policy = store.observations(store.steps[:4]), load_policy("run")
    decision, _ = policy.act(seen, policy.init_state(4, "cpu"), torch.Generator().manual_seed(0))
    assert decision.action.shape == (4,)


def test_bad_settings() -> None:
    from recgym.agents.d3rlpy import DecisionTransformerConfig, IQLConfig

    with pytest.raises(ValueError, match="found -1 and 256"):
        IQLConfig(temperature=-1)
    with pytest.raises(ValueError, match=r"prompt is a quantile in \[0, 1\], found 2"):
        DecisionTransformerConfig(prompt=2)
    with pytest.raises(ValueError, match="3 heads do not divide the width 128"):
        DecisionTransformerConfig(num_heads=3)


def test_without_d3rlpy_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("recgym.agents.d3rlpy")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "d3rlpy", None)
    assert main(["train", "--log", str(tmp_path), "--agent", "d3rlpy-iql", "--updates", "1", "--out", "x"]) == 2
    assert "get it with: pip install 'recgym[offline]'" in capsys.readouterr().err
