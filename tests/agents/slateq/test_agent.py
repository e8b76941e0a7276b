import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import CONFIGS, OnlineAgent, SlateQConfig, load_agent, make_agent
from recgym.agents.base import ActionSpec
from recgym.agents.loading import ONLINE_CONFIGS
from recgym.agents.slateq import Learning, NullItem, Optimiser
from recgym.agents.slateq.learner import _picked
from recgym.cli.main import main
from recgym.envs import FullCatalogue, Task, encoded_task
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.long_term_satisfaction import task as satisfaction
from recgym.envs.short_video import task as short_video
from recgym.evaluation.rollout import rollout
from recgym.files import read_json
from recgym.testing import check_agent
from tests.agents.sb3.test_encoders import fitted

QUICK = SlateQConfig(
    hidden=(32,), embedding=8, learning_starts=60, batch_size=32, updates=2, buffer_size=400, epsilon=0.3
)
SLATES = interest_evolution(num_candidates=5, slate_size=2, num_documents=30)
ONE = interest_evolution(num_candidates=5, slate_size=1, num_documents=30)
CATALOGUE = replace(ONE, candidates=FullCatalogue(), mask_consumed=True, horizon=15)

CASES: dict[str, tuple[SlateQConfig, Task]] = {
    "exact": (QUICK, SLATES),
    "greedy, sarsa": (replace(QUICK, learning=Learning.SARSA, serving=Optimiser.GREEDY), SLATES),
    "top-k, worthless": (replace(QUICK, serving=Optimiser.TOP_K, null_item=NullItem.WORTHLESS), SLATES),
    "myopic": (replace(QUICK, gamma=0.0), SLATES),
    "one item": (QUICK, ONE),
    "catalogue, masked, cut": (QUICK, CATALOGUE),
    "masked slates": (QUICK, replace(SLATES, mask_consumed=True)),
    "no random slates": (replace(QUICK, epsilon=0.0), SLATES),
}


def first_rows(observation: Any, rows: int) -> Any:
    return {key: value[:rows] for key, value in observation.items()}


@pytest.mark.parametrize("name", list(CASES))
def test_contract_of_policies(name: str) -> None:
    config, task = CASES[name]
    agent = OnlineAgent(config, task, num_envs=20)
    agent.learn(300)
    assert agent.losses
    assert all(bool(torch.isfinite(loss)) for loss in agent.losses.values())
    few = first_rows(agent._simulation.observation(), 4)
    check_agent(agent.policy(), ActionSpec(task.num_candidates, task.slate_size, task.model.num_items), few)


def test_consumed_items_are_not_shown_while_there_are_others() -> None:
    agent = OnlineAgent(QUICK, CATALOGUE, num_envs=20)
    agent.learn(300)
    policy, simulation = agent.policy(), agent._simulation
    generator = torch.Generator().manual_seed(0)
    for greedy in (False, True):
        for _ in range(20):
            decision, _ = policy.act(simulation.observation(), policy.init_state(20, "cpu"), generator, greedy)
            assert bool(simulation.allowed().gather(1, decision.action[:, None]).all())
            simulation.step(decision.action)


def test_saved_and_loaded_it_goes_on_as_it_would_have(tmp_path: Path) -> None:
    config, task = CASES["exact"]
    agent = make_agent(config, task, num_envs=20, seed=3)
    agent.learn(2000, folder=tmp_path / "run")
    again = load_agent(tmp_path / "run", task)
    assert isinstance(agent, OnlineAgent)
    assert isinstance(again, OnlineAgent)
    assert (again.steps, again.config, again.curve) == (agent.steps, config, agent.curve)
    assert again.curve.points
    one, two = (rollout(a.policy(), task, users=20, seeds=(5,), greedy=True).episodes.reward for a in (agent, again))
    assert np.array_equal(one, two)
    kept, read = agent._replay.to_tensors(), again._replay.to_tensors()
    assert bool(read.pop("cut")[-1].all())
    assert all(torch.equal(values, kept[key]) for key, values in read.items())
    again.learn(agent.steps + 200)
    assert again.steps > agent.steps


def test_same_seed_same_run() -> None:
    states = []
    for seed in (7, 7, 8):
        agent = OnlineAgent(QUICK, SLATES, num_envs=20, seed=seed)
        agent.learn(400)
        states.append(torch.cat([values.flatten().float() for values in agent.learner.module.state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_later_learning_does_not_change_a_policy() -> None:
    agent = OnlineAgent(QUICK, SLATES, num_envs=20)
    agent.learn(200)
    learner: Any = agent.learner
    policy = learner.policy()
    seen = agent._simulation.observation()
    before = policy.network(seen).null_value
    agent.learn(600)
    assert torch.equal(policy.network(seen).null_value, before)
    assert learner.policy(Optimiser.GREEDY).serving is Optimiser.GREEDY


def test_states_of_an_encoder_enter_the_network() -> None:
    seen = encoded_task(ONE, fitted(ONE))
    agent = OnlineAgent(QUICK, seen, num_envs=6)
    agent.learn(120)
    assert rollout(agent.policy(), seen, users=8, seeds=(0,), max_steps=5).episodes.reward.shape == (1, 8)


def test_it_learns_what_users_pick_and_what_it_is_worth() -> None:
    """Against the truth: the choice model's probabilities, and sessions far longer than random or myopic ones."""
    task = interest_evolution(slate_size=3, window=3)
    agent = OnlineAgent(SlateQConfig(batch_size=128, learning_starts=2500), task, num_envs=128)
    agent.learn(24_000)
    simulation = agent._simulation
    simulation.reset(11)
    seen: Any = simulation.observation()
    slate = torch.arange(3).expand(128, 3)
    truth = simulation.expected(seen["candidates"][:, :3]).feedback[:, :, 0]
    learner: Any = agent.learner
    found = learner.network(seen).log_choice(slate).exp().detach()
    assert torch.allclose(found.sum(1), torch.ones(128))
    blind = (truth.mean(0) - truth).abs().mean()
    assert float((found[:, :-1] - truth).abs().mean()) < 0.6 * float(blind)
    minutes = rollout(agent.policy(), task, users=300, seeds=(0,), greedy=True).episodes.reward.mean()
    assert minutes > 175  # random slates get 161, those of the largest true chance of a pick 168


def test_it_is_among_the_agents() -> None:
    assert CONFIGS["slateq"] is SlateQConfig
    with pytest.raises(ValueError, match="CPU only"):
        make_agent(QUICK, SLATES, device="cuda")


def test_users_who_pick_several_items_are_refused() -> None:
    feedback = torch.zeros(2, 3, 2)
    feedback[0, 1, 1] = 5.0
    assert _picked(feedback, "task").tolist() == [1, 3]
    feedback[1, 0] = feedback[1, 2] = 1.0
    with pytest.raises(ValueError, match="at most one item of a slate, found 2 picked"):
        _picked(feedback, "task")


def test_tasks_that_cannot_be_learned() -> None:
    with pytest.raises(ValueError, match="needs a dictionary with history_items"):
        OnlineAgent(QUICK, satisfaction(), num_envs=4)
    with pytest.raises(ValueError, match="chooses items, found action 'preference'"):
        OnlineAgent(QUICK, replace(SLATES, action="preference"), num_envs=4)


def test_a_checkpoint_of_another_environment_is_refused(tmp_path: Path) -> None:
    OnlineAgent(QUICK, ONE, num_envs=10).learn(100, folder=tmp_path)
    with pytest.raises(ValueError, match="trained on recgym/InterestEvolution-v0, not on recgym/ShortVideo-v0"):
        OnlineAgent.load(tmp_path, short_video(), ONLINE_CONFIGS)
    with pytest.raises(ValueError, match="its spaces are not those of recgym/InterestEvolution-v0"):
        OnlineAgent.load(tmp_path, SLATES, ONLINE_CONFIGS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"updates": 0}, "updates"), ({"gamma": 2.0}, "gamma"), ({"learning_rate": 0.0}, "learning_rate"),
     ({"hidden": (0,)}, "hidden")],
)  # fmt: skip
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlateQConfig(**settings)


def test_exploration_falls() -> None:
    config = SlateQConfig(first_epsilon=0.8, epsilon=0.2, exploration=0.5)
    assert [config.epsilon_at(share) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.8, 0.5, 0.2, 0.2])
    assert replace(config, exploration=0.0).epsilon_at(0.0) == pytest.approx(0.2)


def test_the_command_line_trains_it_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["train", "--env", "recgym/InterestEvolution-v0", "--agent", "slateq", "--out", str(tmp_path), "--quiet"]
    few = ["--num-envs", "10", "--learning-starts", "50", "--batch-size", "8", "--serving", "greedy", "--json"]
    assert main([*flags, *few, "--steps", "200"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 200
    assert read_json(tmp_path / "config.json")["settings"]["serving"] == "greedy"
    assert main([*flags, "--resume", "--steps", "300", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 300
    assert main([*flags, "--resume", "--steps", "400", "--target", "top-k"]) == 2
    assert "begun with other settings: target is exact" in capsys.readouterr().err
