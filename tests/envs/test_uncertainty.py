from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import recgym  # noqa: F401 - registers the environments
from recgym.envs import (
    CertainCandidates,
    FullCatalogue,
    Outcome,
    PenalisedReward,
    RecVectorEnv,
    SampledCandidates,
    Simulation,
)
from recgym.envs.learned_users import FidelityWarning, task
from recgym.simulators import LongTermSatisfaction, UncertainUsers
from recgym.simulators.learned import FittedSimulator, SimulatorSet
from recgym.simulators.learned.network import ResponseNetwork
from recgym.types import Response
from tests.learned_fixture import small_simulator


def varied(seed: int) -> FittedSimulator:
    """The small simulator with weights moved at random."""
    base = small_simulator()
    network = ResponseNetwork(base.network.shape, base.schema)
    network.load_state_dict(base.network.state_dict())
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
    return replace(base, network=network.eval())


@lru_cache(maxsize=1)
def users() -> SimulatorSet:
    return SimulatorSet([varied(seed) for seed in range(3)])


def test_made_from_the_folder_of_a_set_by_id(tmp_path: Path) -> None:
    users().save(tmp_path / "set")
    env = gym.make_vec(
        "recgym/LearnedUsers-v0", num_envs=6, vectorization_mode="vector_entry_point", simulator=tmp_path / "set"
    )
    _, info = env.reset(seed=0)
    assert sorted(info["group"]) == [0, 0, 1, 1, 2, 2]
    for _ in range(5):
        env.step(env.action_space.sample())


def test_members_that_failed_their_gate_are_named() -> None:
    failed = SimulatorSet([varied(0), varied(1).with_gate(("ECE too large",))])
    with pytest.warns(FidelityWarning, match="member 1 of the set: .*ECE too large"):
        task(failed)


@pytest.mark.parametrize("slate_size", [1, 3])
def test_the_penalty_is_what_members_disagree_about(slate_size: int) -> None:
    plain, penalised = (
        Simulation(task(users(), slate_size=slate_size, num_candidates=8, penalty=penalty), 32, seed=1)
        for penalty in (0.0, 2.0)
    )
    plain.reset()
    penalised.reset()
    for step in range(4):
        action = torch.arange(slate_size).expand(32, slate_size)
        before, slate = penalised.users, penalised.slate_of(action)
        model = penalised.model
        assert isinstance(model, UncertainUsers)
        doubt = model.uncertainty(before, slate).sum(1)
        base, less = plain.step(action), penalised.step(action)
        assert torch.equal(base.slate, less.slate), step
        torch.testing.assert_close(base.reward - less.reward, 2.0 * doubt)
        assert doubt.min() > 0


def test_only_the_most_certain_candidates_are_offered() -> None:
    world = task(users(), slate_size=1, num_candidates=5, certain=0.25)
    source = world.candidates
    assert isinstance(source, CertainCandidates)
    simulation = Simulation(world, 16, seed=0)
    simulation.reset()
    model = simulation.model
    assert isinstance(model, UncertainUsers)
    drawn = source.draw(16, model.num_items, torch.Generator().manual_seed(3))
    assert drawn.shape == (16, 20)
    offered = source.choose(simulation.model, simulation.users, drawn)
    doubt = model.uncertainty_alone(simulation.users, drawn)
    for row in range(16):
        least = set(drawn[row][doubt[row].argsort()[:5]].tolist())
        assert set(offered[row].tolist()) == least
        place = [drawn[row].tolist().index(item) for item in offered[row].tolist()]
        assert place == sorted(place), "the order of the draw is kept"
    assert simulation.candidates is not None
    assert simulation.candidates.shape == (16, 5)


def test_new_users_get_candidates_of_their_own() -> None:
    simulation = Simulation(task(users(), slate_size=1, num_candidates=5, certain=0.25), 16, seed=0)
    simulation.reset()
    before = simulation.candidates
    mask = torch.zeros(16, dtype=torch.bool)
    mask[[3, 7]] = True
    simulation.reset_rows(mask)
    assert before is not None
    assert simulation.candidates is not None
    assert torch.equal(before[~mask], simulation.candidates[~mask])
    assert not torch.equal(before[mask], simulation.candidates[mask])


def test_a_pool_that_is_too_small_is_offered_whole() -> None:
    made = RecVectorEnv(task(users(), slate_size=2, num_candidates=300, certain=0.5), 2, seed=0)
    observation, _ = made.reset()
    assert all(np.unique(row).size == 300 for row in observation["candidates"])


def test_what_cannot_be_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="need a set of simulators"):
        task(small_simulator(), penalty=1.0)
    with pytest.raises(ValueError, match="certain=0"):
        task(users(), certain=0.0)
    with pytest.raises(ValueError, match="must not be negative"):
        PenalisedReward(lambda outcome: outcome.left, -1.0)
    blind = Outcome(torch.zeros(1, 1, dtype=torch.int64), Response(torch.zeros(1, 1, 1)), torch.zeros(1).bool(),
                    torch.ones(1, dtype=torch.int64))  # fmt: skip
    with pytest.raises(ValueError, match="whose uncertainty is known"):
        PenalisedReward(lambda outcome: outcome.left.float(), 1.0)(blind)
    model = LongTermSatisfaction()
    with pytest.raises(ValueError, match="does not know how certain"):
        CertainCandidates(SampledCandidates(4), 2).choose(model, None, torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"1\.\.4 \(the drawn ones\)"):
        CertainCandidates(SampledCandidates(4), 5).size(30)
    with pytest.raises(ValueError, match="full catalogue"):
        CertainCandidates(FullCatalogue(), 5).draw(1, 30, torch.Generator())
