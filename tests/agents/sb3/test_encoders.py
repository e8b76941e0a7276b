"""Encoders inside an agent's networks: what they are fed, whether they learn, and that checkpoints hold them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from recgym.agents import load_agent
from recgym.agents.sb3 import A2CConfig, DQNConfig, NetworkConfig, PPOConfig, SACConfig, SB3Agent
from recgym.agents.sb3.configs import AnyConfig
from recgym.agents.sb3.encoders import EncoderExtractor, StateExtractor, known_items
from recgym.arrays import to_numpy
from recgym.cli.main import main
from recgym.encoders import Catalogue, EventConfig, FeedbackScale, FittedEncoder, SASRecConfig, seeded
from recgym.envs import Simulation, Task, encoded_task
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.evaluation import rollout
from tests.agents.sb3.tasks import FLAT, ONE, PREFERENCE, SLATES

CASES: dict[str, tuple[AnyConfig, Task]] = {
    "ppo slates": (PPOConfig(n_steps=16), SLATES),
    "a2c one": (A2CConfig(), ONE),
    "dqn one": (DQNConfig(learning_starts=64), ONE),
    "sac preference": (SACConfig(learning_starts=64), PREFERENCE),
}


def fitted(task: Task, **settings: Any) -> FittedEncoder:
    """An encoder of the task's items, as it might be after training: nothing is zero any more."""
    items, channels = task.model.num_items, task.model.schema.names
    catalogue = Catalogue(items, np.ones(items, np.int64), FeedbackScale((1.5,) * len(channels)), timed=True)
    config = SASRecConfig(width=8, blocks=1, window=12, events=EventConfig(feedback=True, gaps=True), **settings)
    with seeded(0, "encoder"):
        model = config.build(catalogue).eval()
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return FittedEncoder("sasrec", config, catalogue, model, pl.Series("id", np.arange(items)), channels)


def weights(agent: SB3Agent) -> dict[str, Tensor]:
    """The weights of the encoder in the network that acts."""
    network = agent.policy().network
    found = [part for part in network.modules() if isinstance(part, EncoderExtractor)]
    return {name: part.clone() for name, part in found[0].encoder.state_dict().items()}


def after(task: Task, steps: int) -> Simulation:
    simulation = Simulation(task, 5, device="cpu", seed=3)
    simulation.reset()
    rng = np.random.default_rng(0)
    for _ in range(steps):
        simulation.step(torch.from_numpy(rng.integers(task.num_candidates, size=5)))
    return simulation


def test_features_are_the_encoders_state_whether_encoded_here_or_in_the_environment() -> None:
    task = replace(ONE, window=12)
    model = fitted(task)
    encoder, features = model.model.encoder, to_numpy(task.model.item_features).astype(np.float32)
    seen = encoded_task(task, model)
    plain: Any = after(task, 7).observation()
    states: Any = after(seen, 7).observation()
    assert torch.equal(plain["history_items"], states["history_items"])
    inside = EncoderExtractor(task.observer.space(task.sizes), features, encoder)  # type: ignore[arg-type]
    outside = StateExtractor(seen.observer.space(seen.sizes), known_items(features, encoder))  # type: ignore[arg-type]
    assert inside.features_dim == outside.features_dim == inside(plain).shape[1]
    torch.testing.assert_close(inside(plain), outside(states), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside(plain)[:, :8], functional.layer_norm(states["state"], (8,)), atol=1e-5, rtol=0)
    assert torch.equal(inside.items.features, outside.items.features)
    assert inside.items.width == features.shape[1] + 8


def test_dropout_stays_off_and_the_encoder_given_is_left_alone() -> None:
    model = fitted(ONE, dropout=0.5)
    features = to_numpy(ONE.model.item_features).astype(np.float32)
    extractor = EncoderExtractor(ONE.observer.space(ONE.sizes), features, model.model.encoder)  # type: ignore[arg-type]
    extractor.train()
    observation: Any = after(ONE, 5).observation()
    assert torch.equal(extractor(observation), extractor(observation))
    extractor.encoder.blank.data += 1.0
    assert not torch.equal(extractor.encoder.blank, model.model.encoder.blank)


@pytest.mark.parametrize("freeze", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_encoder_learns_with_the_agent_unless_it_is_frozen(name: str, freeze: bool) -> None:
    config, task = CASES[name]
    model = fitted(task)
    agent = SB3Agent(replace(config, network=NetworkConfig(freeze_encoder=freeze)), task, 8, seed=1, encoder=model)
    before = weights(agent)
    agent.learn(300)
    after = weights(agent)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(model.model.encoder.state_dict())
    assert (not changed) if freeze else {"items.weight", "backbone.blocks.0.project.weight"} <= changed
    given = model.model.encoder.state_dict()
    assert all(torch.equal(before[name], given[name]) for name in before)


@pytest.mark.parametrize("name", ["ppo slates", "dqn one"])
def test_a_checkpoint_needs_no_folder_of_the_encoder(name: str, tmp_path: Path) -> None:
    config, task = CASES[name]
    fitted(task).save(tmp_path / "encoder")
    config = replace(config, network=NetworkConfig(encoder=tmp_path / "encoder"))
    agent = SB3Agent(config, task, 8, seed=1)
    agent.learn(300)
    agent.save(tmp_path / "saved")
    shutil.rmtree(tmp_path / "encoder")
    loaded = load_agent(tmp_path / "saved", task)
    assert loaded.config == config
    mine, theirs = (rollout(one.policy(), task, users=20, seeds=(0,), max_steps=20) for one in (agent, loaded))
    assert np.array_equal(mine.episodes.reward, theirs.episodes.reward)
    loaded.learn(600)
    assert loaded.steps >= 600


def test_an_agent_learns_on_states_from_the_environment(tmp_path: Path) -> None:
    task = encoded_task(SLATES, fitted(SLATES))
    agent = SB3Agent(PPOConfig(n_steps=16), task, 8, seed=1)
    agent.learn(300)
    network: nn.Module = agent.policy().network
    assert any(isinstance(part, StateExtractor) for part in network.modules())
    agent.save(tmp_path)
    both = agent, load_agent(tmp_path, task)
    mine, theirs = (rollout(one.policy(), task, users=20, seeds=(0,), max_steps=20) for one in both)
    assert np.array_equal(mine.episodes.reward, theirs.episodes.reward)
    with pytest.raises(ValueError, match="its spaces are not those of"):
        load_agent(tmp_path, SLATES)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(interest_evolution(num_candidates=5, num_documents=30, slate_size=1)).save(tmp_path / "encoder")
    flags = [
        "train", "--env", "recgym/InterestEvolution-v0", "--agent", "ppo", "--out", str(tmp_path / "out"),
        "--env-kwargs", "num_candidates=5", "num_documents=30", "slate_size=1", "--num-envs", "8", "--n-steps", "16",
        "--encoder", str(tmp_path / "encoder"), "--freeze-encoder", "--json", "--quiet",
    ]  # fmt: skip
    assert main([*flags, "--steps", "200"]) == 0
    shutil.rmtree(tmp_path / "encoder")
    assert main([*flags, "--steps", "400", "--resume"]) == 0
    evaluate = ["evaluate", *flags[1:3], *flags[7:11], "--agents", str(tmp_path / "out")]
    assert main([*evaluate, "--users", "20", "--seeds", "1", "--json"]) == 0
    assert "return" in capsys.readouterr().out


def test_errors(tmp_path: Path) -> None:
    other = interest_evolution(num_candidates=5, num_documents=20, slate_size=1)
    with pytest.raises(ValueError, match="the encoder knows 20 items, the task has 30"):
        SB3Agent(PPOConfig(), ONE, 4, encoder=fitted(other))
    with pytest.raises(ValueError, match="an encoder needs a history, found the observer FlatObserver"):
        SB3Agent(PPOConfig(), FLAT, 4, encoder=fitted(FLAT))
    with pytest.raises(ValueError, match="an encoder needs a history, found the observer EncodedObserver"):
        SB3Agent(PPOConfig(), encoded_task(ONE, fitted(ONE)), 4, encoder=fitted(ONE))
    names = replace(fitted(ONE), channels=("stars", "likes"))
    with pytest.raises(ValueError, match="the encoder was fitted to stars, likes"):
        SB3Agent(PPOConfig(), ONE, 4, encoder=names)
    with pytest.raises(ValueError, match=r"encoder\.json"):
        SB3Agent(PPOConfig(network=NetworkConfig(encoder=tmp_path / "none")), ONE, 4)
