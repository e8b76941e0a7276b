"""Targets of Q-learning: who chooses, who judges, and what may be chosen."""

import dataclasses
from typing import Any

import pytest
import torch

from recgym.agents.sb3 import DQNConfig, SB3Agent
from recgym.envs import make_task
from recgym.envs.task import Task

KWARGS = {"num_candidates": 6, "num_documents": 30, "slate_size": 1}


def _task(mask: bool) -> Task:
    return dataclasses.replace(make_task("recgym/InterestEvolution-v0", dict(KWARGS)), mask_consumed=mask)


def _model(config: DQNConfig, mask: bool = False) -> tuple[Any, Any]:
    """The learner, with a target network of its own weights, and observations in which some candidates were seen."""
    agent = SB3Agent(dataclasses.replace(config, learning_starts=64), _task(mask), 8)
    agent.learn(400)
    model: Any = agent._model
    for weight in model.q_net_target.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    data = model.replay_buffer.sample(64)
    seen = dict(data.next_observations)
    seen["history_items"] = seen["history_items"].clone()
    seen["history_items"][:, -1] = seen["candidates"][:, 0]
    return model, seen


@pytest.mark.parametrize("double", [True, False])
def test_one_network_chooses_and_the_other_judges(double: bool) -> None:
    model, seen = _model(DQNConfig(double=double))
    with torch.no_grad():
        found, q, target = model.next_values(seen), model.q_net(seen), model.q_net_target(seen)
    chosen = (q if double else target).argmax(1, keepdim=True)
    assert torch.equal(found, target.gather(1, chosen))
    assert bool((q.argmax(1) != target.argmax(1)).any())  # so that the two differ at all
    assert bool((found <= target.max(1, keepdim=True).values).all())


def test_what_is_masked_is_no_next_action() -> None:
    model, seen = _model(DQNConfig(), mask=True)
    with torch.no_grad():
        found, q, target = model.next_values(seen), model.q_net(seen), model.q_net_target(seen)
    allowed = model.q_net.head.allowed(seen)
    assert not allowed[:, 0].any()
    assert torch.equal(found, target.gather(1, q.masked_fill(~allowed, -1e9).argmax(1, keepdim=True)))
    assert bool((~allowed.gather(1, q.argmax(1, keepdim=True))).any())  # the mask mattered


def test_advantages_of_a_dueling_network_have_no_mean() -> None:
    for dueling in (True, False):
        model, seen = _model(DQNConfig(dueling=dueling))
        with torch.no_grad():
            state = model.q_net.value(model.q_net.q_net(model.q_net.features_extractor(seen)))
            mean = (model.q_net(seen) - state).mean(1)
        assert bool((mean.abs() < 1e-5).all()) == dueling
