"""Agents with a replay buffer: the loop and its checkpoints, and what HAC and RLUR make of their users."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from recgym.agents import RandomPolicy
from recgym.agents.loading import ONLINE_CONFIGS
from recgym.agents.online import HACConfig, OnlineAgent, ReplayConfig, RLURConfig
from recgym.agents.online.networks import follow
from recgym.agents.sb3 import NetworkConfig
from recgym.envs import FullCatalogue, Task, make_task
from recgym.evaluation import action_spec, rollout
from recgym.seeding import make_generator
from recgym.testing import check_agent

SMALL = ReplayConfig(buffer_size=1000, learning_starts=64, updates=1, batch_size=32)
VIDEO = make_task("recgym/ShortVideo-v0", {"slate_size": 2, "num_candidates": 5, "window": 6})
ONE = make_task("recgym/ShortVideo-v0", {"num_candidates": 5, "window": 6, "mask_consumed": True})
RETENTION = dataclasses.replace(
    make_task("recgym/Retention-v0", {"num_candidates": 5, "window": 6}), action="preference"
)
CASES: dict[str, tuple[Any, Task]] = {
    "hac slates": (HACConfig(replay=SMALL), VIDEO),
    "hac one": (HACConfig(replay=SMALL), ONE),
    "hac catalogue": (HACConfig(replay=SMALL), dataclasses.replace(VIDEO, candidates=FullCatalogue())),
    "rlur": (RLURConfig(replay=SMALL, critics_first=0.0, novelty=0.1), RETENTION),
}


def _agent(name: str, seed: int = 0) -> OnlineAgent:
    config, task = CASES[name]
    return OnlineAgent(config, task, 16, seed)


@pytest.mark.parametrize("name", CASES)
def test_the_policy_keeps_the_contract(name: str) -> None:
    if name == "hac catalogue":  # its slates are too many for propensities to be counted
        name = "hac one"
    agent = _agent(name)
    agent.learn(200)
    task = CASES[name][1]
    seen = agent._simulation.observation()
    assert isinstance(seen, dict)
    check_agent(agent.policy(), action_spec(task), {key: value[:3] for key, value in seen.items()})


@pytest.mark.parametrize("name", CASES)
def test_every_network_learns_and_losses_stay_finite(name: str) -> None:
    agent = _agent(name)
    before = {key: value.clone() for key, value in agent.learner.module.state_dict().items()}
    agent.learn(400)
    assert all(bool(value.isfinite().all()) for value in agent.losses.values())
    after = agent.learner.module.state_dict()
    frozen = {key for key in before if key.startswith("fixed.") or ".extractor.items." in key or "centre" in key}
    heads = [
        key for key in before if key.endswith(("value.weight", "query.weight", "out.weight")) and key not in frozen
    ]
    assert heads
    for key in heads:
        assert not torch.equal(before[key], after[key]), key


@pytest.mark.parametrize("name", ["hac slates", "rlur"])
def test_a_seed_gives_the_same_agent(name: str) -> None:
    one, other = _agent(name), _agent(name)
    one.learn(300)
    other.learn(300)
    for key, value in one.learner.module.state_dict().items():
        assert torch.equal(value, other.learner.module.state_dict()[key]), key


@pytest.mark.parametrize("name", ["hac slates", "rlur"])
def test_it_comes_back_from_disk_and_goes_on(name: str, tmp_path: Path) -> None:
    agent = _agent(name, seed=2)
    agent.learn(300, folder=tmp_path)
    loaded = OnlineAgent.load(tmp_path, CASES[name][1], ONLINE_CONFIGS)
    assert loaded.config == agent.config
    assert (loaded.steps, loaded.updates) == (agent.steps, agent.updates)
    seen = agent._simulation.observation()
    decisions = [
        a.policy().act(seen, a.policy().init_state(16, "cpu"), make_generator(0, "act"))[0] for a in (agent, loaded)
    ]
    assert torch.equal(decisions[0].action, decisions[1].action)
    loaded.learn(400)
    assert loaded.steps == 400
    with pytest.raises(ValueError, match="it was trained on"):
        OnlineAgent.load(tmp_path, RETENTION if name != "rlur" else VIDEO, ONLINE_CONFIGS)
    (tmp_path / "checkpoint" / "agent.json").write_text("{}")
    with pytest.raises(ValueError, match="does not describe a saved recgym agent"):
        OnlineAgent.load(tmp_path, CASES[name][1], ONLINE_CONFIGS)


def test_hac_pleases_users() -> None:
    task = make_task("recgym/ShortVideo-v0", {"slate_size": 3, "window": 10})
    config = HACConfig(replay=ReplayConfig(learning_starts=1000))
    agent = OnlineAgent(config, task, 128, 0)
    agent.learn(12_000)
    learned = rollout(agent.policy(), task, users=256, seeds=(0, 1), greedy=True)
    random = rollout(RandomPolicy(action_spec(task)), task, users=256, seeds=(0, 1))
    difference = learned.episodes.reward - random.episodes.reward
    assert difference.mean() > 2 * difference.std() / difference.size**0.5


def test_hyper_actions_stay_in_their_box_and_rank_by_nearness() -> None:
    agent = _agent("hac slates")
    agent.learn(200)
    actor: Any = agent.learner.actor  # type: ignore[attr-defined]
    seen = agent._simulation.observation()
    with torch.no_grad():
        hyper, scores = actor.hyper(seen), actor.scores(seen, actor.hyper(seen))
        keys = actor.keys_of(seen["candidates"])
        assert bool((hyper.abs() <= 1).all())
        torch.testing.assert_close(scores, torch.einsum("be,bme->bm", hyper, keys))
        best = scores.topk(2, dim=1).indices
        assert torch.equal(actor(seen).mode(), best)
        expected = keys.gather(1, best[:, :, None].expand(-1, -1, keys.shape[2])).mean(1)
        torch.testing.assert_close(actor.shown(seen), expected)


def test_rlur_targets_by_hand() -> None:
    """A session that ended after as long as expected, one that goes on, one after which the user never came back."""
    agent = _agent("rlur")
    agent.learn(200)
    learner: Any = agent.learner
    batch = agent._replay.sample(3, make_generator(0, "batch"))
    threshold = float(learner.module.threshold_days)
    with torch.no_grad():
        expected_days = threshold * learner.away(batch.observation).sigmoid()
    days = torch.tensor([float(expected_days[0]), float("nan"), 30.0])
    ends = {"days": days, "terminated": torch.tensor([False, False, True]), "cut": torch.zeros(3, dtype=torch.bool)}
    batch = batch._replace(kept={**batch.kept, **ends})
    constant = 0.7
    for target in (learner._targets["retention"],):
        target.value.weight.data.zero_()
        target.value.bias.data.fill_(constant)
    critic = learner.critics["retention"]
    critic.value.weight.data.zero_()
    critic.value.bias.data.zero_()  # so that the loss is the mean square of the targets
    gamma, cap = learner.config.gamma, learner.config.cap
    wanted = torch.tensor([(1 - gamma) * 1.0 + gamma * constant, constant, cap])
    loss = learner._critic_losses(batch, make_generator(0, "draw"))["retention"]
    assert loss.item() == pytest.approx(float(wanted.square().mean()), rel=1e-4)


def test_a_target_follows() -> None:
    one, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    expected = 0.75 * one.weight.detach() + 0.25 * other.weight.detach()
    follow(one, other, 0.25)
    torch.testing.assert_close(one.weight.detach(), expected)


def test_what_cannot_be_learned_is_told() -> None:
    with pytest.raises(ValueError, match="hac needs actions and observations that name items"):
        OnlineAgent(HACConfig(), RETENTION)
    with pytest.raises(ValueError, match="rlur needs action='preference' and level='retention', found 'items'"):
        OnlineAgent(RLURConfig(), VIDEO)
    with pytest.raises(ValueError, match="there is no feedback channel 'joy'"):
        OnlineAgent(HACConfig(label="joy"), VIDEO)
    with pytest.raises(ValueError, match="batch_size must be at least 1, found 0"):
        ReplayConfig(batch_size=0)
    with pytest.raises(ValueError, match="takes no encoder"):
        OnlineAgent(HACConfig(network=NetworkConfig(encoder=Path("nowhere"))), VIDEO)
