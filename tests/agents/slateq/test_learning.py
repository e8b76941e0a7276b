"""Targets and losses, by hand."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from recgym.agents.online import Replay
from recgym.agents.slateq import Learning, NullItem, Optimiser, SlateQConfig
from recgym.agents.slateq.learning import losses, targets
from recgym.agents.slateq.network import SlateQNetwork
from recgym.agents.slateq.replay import Transitions
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.simulation import Simulation

TASK = interest_evolution(num_candidates=5, slate_size=2, num_documents=30)
CONFIG = SlateQConfig(hidden=(16,), embedding=8, gamma=0.9)


def played(steps: int = 6, users: int = 40) -> Replay:
    """Random slates on the task."""
    simulation, replay = Simulation(TASK, users, seed=0), Replay(steps * users, users)
    simulation.reset()
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        seen = simulation.observation()
        slate = torch.rand(users, 5, generator=generator).topk(2, 1).indices
        transition = simulation.step(slate)
        clicked = transition.response.feedback[:, :, 0]
        picked = torch.where(clicked.any(1), clicked.argmax(1), 2)
        ended = torch.rand(users, generator=generator) < 0.2
        assert isinstance(seen, dict)
        ends = {"terminated": ended, "cut": torch.zeros_like(ended)}
        replay.add(seen, {"slate": slate, "picked": picked, "reward": transition.reward, **ends})
    return replay


def networks(config: SlateQConfig) -> tuple[SlateQNetwork, SlateQNetwork]:
    torch.manual_seed(1)
    return SlateQNetwork(TASK, config), SlateQNetwork(TASK, config)


@torch.no_grad()
def by_hand(label: SlateQNetwork, seen: dict[str, Tensor], row: int, slate: list[int]) -> float:
    """Q(s, A) of one user, in plain numbers."""
    outlook = label(seen)
    null = float(outlook.null_value[row])
    weights = [float(outlook.pickings.weight[row, i]) for i in slate]
    values = [null + float(outlook.pickings.gain[row, i]) for i in slate]
    null_weight = float(outlook.pickings.null_weight[row])
    total = sum(w * q for w, q in zip(weights, values, strict=True)) + null_weight * null
    return total / (sum(weights) + null_weight)


@pytest.mark.parametrize("null_item", list(NullItem))
def test_targets_are_those_of_the_paper(null_item: NullItem) -> None:
    config = replace(CONFIG, learning=Learning.SARSA, null_item=null_item)
    network, label = networks(config)
    batch = Transitions.of(played().sample(30, torch.Generator().manual_seed(2)))
    found = targets(network, label, batch, config)
    for row in range(30):
        worth = by_hand(label, dict(batch.next_observation), row, batch.next_slate[row].tolist())
        expected = float(batch.step.reward[row]) + 0.9 * worth * (not bool(batch.step.terminated[row]))
        assert float(found[row]) == pytest.approx(expected, abs=1e-4)


def test_the_next_slate_is_chosen_by_one_network_and_judged_by_the_other() -> None:
    config = replace(CONFIG, learning=Learning.Q_LEARNING, target=Optimiser.EXACT)
    network, label = networks(config)
    batch = Transitions.of(played().sample(200, torch.Generator().manual_seed(2)))
    double = targets(network, label, batch, config)
    single = targets(network, label, batch, replace(config, double=False))
    assert bool((single >= double - 1e-5).all())
    assert float((single - double).max()) > 1e-4
    chosen = Optimiser.EXACT.solve(network(batch.next_observation).pickings, 2)
    row = int((~batch.step.terminated).int().argmax())
    worth = by_hand(label, dict(batch.next_observation), row, chosen[row].tolist())
    assert float(double[row]) == pytest.approx(float(batch.step.reward[row]) + 0.9 * worth, abs=1e-4)


def test_myopic_targets_are_rewards() -> None:
    config = replace(CONFIG, gamma=0.0)
    batch = Transitions.of(played().sample(50, torch.Generator().manual_seed(2)))
    assert torch.equal(targets(*networks(config), batch, config), batch.step.reward)


def test_only_what_was_picked_and_followed_teaches_values() -> None:
    """Steps that were cut, and without a pick where that is worthless, leave the value loss as it is."""
    config = replace(CONFIG, null_item=NullItem.WORTHLESS)
    network, label = networks(config)
    batch = Transitions.of(played().sample(200, torch.Generator().manual_seed(3)))
    whole = losses(network, label, batch, config)
    strange = torch.where(batch.step.picked == 2, 1e6, batch.step.reward)
    same = losses(network, label, batch._replace(step=batch.step._replace(reward=strange)), config)
    assert torch.allclose(whole.value, same.value)
    learned = replace(CONFIG, null_item=NullItem.LEARNED)
    one, other = (
        losses(*networks(learned), b, learned).value
        for b in (batch, batch._replace(step=batch.step._replace(reward=strange)))
    )
    assert bool(other > 1e6 * one)
    cut = batch.step._replace(reward=strange, cut=batch.step.picked == 2)
    ignored = losses(*networks(learned), batch._replace(step=cut), learned).value
    assert bool(ignored < 100 * one)


def test_gradients_reach_the_choice_model_through_likelihood_alone() -> None:
    network, label = networks(CONFIG)
    batch = Transitions.of(played().sample(50, torch.Generator().manual_seed(3)))
    found = losses(network, label, batch, CONFIG)
    found.value.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    choice = list(network.weight.query.parameters())
    assert all(parameter.grad is None for parameter in choice)
    assert all(parameter.grad is not None for parameter in network.gain.query.parameters())
    found.choice.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in choice)
    assert all(parameter.grad is None for parameter in label.parameters())
