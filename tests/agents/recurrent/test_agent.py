from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import CONFIGS, RecurrentPPO, RecurrentPPOConfig, Sim2RecConfig, load_agent, make_agent
from recgym.agents.base import ActionSpec
from recgym.agents.recurrent.collect import Collector
from recgym.agents.recurrent.learning import Sequences
from recgym.agents.recurrent.world import WorldConfig, WorldContext
from recgym.arrays import where_rows
from recgym.encoders import SADAEConfig
from recgym.envs import Task, encoded_task
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.long_term_satisfaction import task as satisfaction
from recgym.envs.short_video import task as short_video
from recgym.evaluation.rollout import rollout
from recgym.seeding import make_generator
from recgym.testing import check_agent
from tests.agents.sb3.test_encoders import fitted

QUICK = RecurrentPPOConfig(memory=16, hidden=(32,), rollout_steps=20, epochs=2, batch_steps=500, ordered=True)
WORLD = WorldConfig(SADAEConfig(latent=2, widths=(16,), set_size=10, sets=4), first_updates=5, updates=2)
SIM2REC = Sim2RecConfig(QUICK, WORLD)


def two_worlds(users: int = 20) -> Task:
    return satisfaction(choc=[8.0] * (users // 2) + [20.0] * (users // 2))


def other(config: RecurrentPPOConfig = QUICK) -> RecurrentPPOConfig:
    return RecurrentPPOConfig(**{**vars(config), "ordered": False})


TASKS: dict[str, tuple[Task, RecurrentPPOConfig | Sim2RecConfig]] = {
    "levels": (satisfaction(), QUICK),
    "worlds": (two_worlds(), SIM2REC),
    "slates": (interest_evolution(num_candidates=5, slate_size=2), other()),
    "no memory": (satisfaction(), RecurrentPPOConfig(**{**vars(QUICK), "memory": 0})),
}


def collector(agent: RecurrentPPO) -> Collector:
    return Collector(agent._simulation, agent._network, agent._context, agent._features, agent._scale)


@pytest.mark.parametrize("name", list(TASKS))
def test_replaying_a_rollout_gives_the_probabilities_it_was_drawn_with(name: str) -> None:
    """The whole path of a sequence through the LSTM, cut at episodes and padded, against one step at a time."""
    task, config = TASKS[name]
    agent = RecurrentPPO(config, task, num_envs=20)
    playing, generator = collector(agent), torch.Generator().manual_seed(0)
    playing.collect(13, generator)  # so that the next rollout begins amid episodes
    batch = playing.collect(170, generator)
    assert bool(batch.ended.any())
    part = Sequences.of(batch.start)
    assert int(part.length.sum()) == batch.reward.numel()
    step, there = part.steps()
    row = part.row.expand_as(step)
    going_on = ((part.first == 0) & ~batch.start[0, part.row])[:, None]
    memory = type(batch.first)(*(torch.where(going_on, values[part.row], 0.0) for values in batch.first))
    with torch.no_grad():
        out, _ = agent._network.remember(batch.inputs[step, row], memory)
        distribution = agent._network.act(out[there], {k: v[step, row][there] for k, v in batch.offer.items()})
        replayed = distribution.log_prob(batch.action[step, row][there])
    assert torch.allclose(replayed, batch.log_prob[step, row][there], atol=1e-4)


@pytest.mark.parametrize("name", list(TASKS))
def test_contract_of_policies(name: str) -> None:
    task, config = TASKS[name]
    agent = RecurrentPPO(config, task, num_envs=20)
    agent.learn(3 * 20 * 20)
    simulation = agent._simulation
    rows = torch.arange(4)
    seen: Any = simulation.observation()
    few = {key: value[rows] for key, value in seen.items()} if isinstance(seen, dict) else seen[rows]
    check_agent(agent.policy(), ActionSpec(task.num_candidates, task.slate_size, task.model.num_items), few)


def test_state_of_new_users_is_reset_by_mask() -> None:
    agent = RecurrentPPO(SIM2REC, two_worlds(), num_envs=20)
    agent.learn(500)
    policy, generator = agent.policy(10), torch.Generator().manual_seed(0)
    fresh = policy.init_state(20, "cpu")
    observation = agent._simulation.observation()
    _, later = policy.act(observation, fresh, generator)
    reset = where_rows(torch.arange(20) < 3, fresh, later)
    assert bool((reset.memory.hidden[:3] == 0).all())
    assert bool((reset.memory.hidden[3:] == later.memory.hidden[3:]).all())
    assert bool((later.memory.hidden != 0).any())
    assert bool((reset.last_slate[:3] == agent.task.model.num_items).all())


@pytest.mark.parametrize("config", [QUICK, SIM2REC], ids=["ppo", "sim2rec"])
def test_saved_and_loaded_it_is_the_same_policy(config: RecurrentPPOConfig | Sim2RecConfig, tmp_path: Path) -> None:
    task = two_worlds()
    agent = make_agent(config, task, num_envs=20, seed=3)
    agent.learn(1500, folder=tmp_path / "run")
    again = load_agent(tmp_path / "run", task)
    assert again.steps == agent.steps
    assert again.curve == agent.curve
    one, two = (rollout(a.policy(), task, users=20, seeds=(5,), greedy=True).episodes.reward for a in (agent, again))
    assert np.array_equal(one, two)
    again.learn(agent.steps + 400)
    assert again.steps > agent.steps


def test_same_seed_same_run() -> None:
    curves = []
    for _ in range(2):
        agent = RecurrentPPO(SIM2REC, two_worlds(), num_envs=20, seed=7)
        agent.learn(20 * 220)
        curves.append(agent.curve)
    assert curves[0].points
    assert curves[0] == curves[1]


def test_an_agent_of_another_kind_is_refused(tmp_path: Path) -> None:
    agent = RecurrentPPO(QUICK, satisfaction(), num_envs=10)
    agent.learn(400, folder=tmp_path)
    with pytest.raises(ValueError, match=r"trained on recgym/LongTermSatisfaction-v0, not on recgym/ShortVideo-v0"):
        RecurrentPPO.load(tmp_path, short_video())


def test_it_learns() -> None:
    """On ten levels whose engagement is all that counts for one step, the best is found from random play."""
    config = RecurrentPPOConfig(
        memory=8, hidden=(32,), rollout_steps=20, epochs=4, batch_steps=500, learning_rate=1e-2, ordered=True, gamma=0.0
    )
    agent = RecurrentPPO(config, satisfaction(choc=21.0), num_envs=100)
    agent.learn(60_000)
    policy, generator = agent.policy(), make_generator(0, "policy")
    observation = agent._simulation.observation()
    decision, _ = policy.act(observation, policy.init_state(100, "cpu"), generator, greedy=True)
    # Myopic: engagement grows with the level, so the top levels are chosen.
    assert float(decision.action.float().mean()) > 24


def test_groups_too_small_keep_what_was_last_known() -> None:
    context = WorldContext(WORLD, width=3)
    features, group = torch.randn(3, 3), torch.tensor([0, 0, 1])
    last = torch.full((3, 2), 9.0)
    latent = context.step(features, group, last)
    assert latent[2].tolist() == [9.0, 9.0]
    assert torch.equal(latent[0], latent[1])
    assert latent[0].tolist() != [9.0, 9.0]


def test_both_are_among_the_agents() -> None:
    assert {"recurrent-ppo", "sim2rec", "ppo"} <= set(CONFIGS)
    with pytest.raises(ValueError, match="CPU only"):
        make_agent(QUICK, satisfaction(), device="cuda")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"epochs": 0}, "epochs"), ({"gamma": 2.0}, "gamma"), ({"clip": 0.0}, "clip"), ({"hidden": (0,)}, "widths")],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecurrentPPOConfig(**settings)


def test_actions_that_cannot_be_ordered() -> None:
    with pytest.raises(ValueError, match="ordered actions need slates of one item"):
        RecurrentPPO(QUICK, interest_evolution(), num_envs=4)


def test_states_of_an_encoder_enter_the_network() -> None:
    task = interest_evolution(num_candidates=5, slate_size=1, num_documents=30)
    seen = encoded_task(task, fitted(task))
    agent = RecurrentPPO(other(), seen, num_envs=6, seed=0)
    agent.learn(60)
    assert rollout(agent.policy(), seen, users=8, seeds=(0,), max_steps=5).episodes.reward.shape == (1, 8)
    assert agent._scale.mean.shape == (seen.model.profile_size + 8 + 1 + seen.model.item_features.shape[1],)
