import dataclasses

import numpy as np
import pytest
import torch
from gymnasium import spaces

from recgym.agents.sb3.networks import HistoryExtractor, ItemTable, PointerHead, allowed_candidates
from recgym.arrays import arange
from recgym.envs import FullCatalogue, SampledCandidates, Simulation
from recgym.envs.interest_evolution import task as interest_evolution


def _features(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)


def _observation(n: int, users: int = 4, candidates: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    history = torch.randint(n, (users, 7), generator=generator)
    history[:, :2] = n
    return {
        "history_items": history,
        "history_feedback": torch.rand((users, 7, 2), generator=generator) * (history < n)[:, :, None],
        "history_gap_s": torch.rand((users, 7), generator=generator),
        "profile": torch.rand((users, 2), generator=generator),
        "candidates": torch.stack([torch.randperm(n, generator=generator)[:candidates] for _ in range(users)]),
    }


def _space(n: int) -> spaces.Dict:
    real = spaces.Box(-np.inf, np.inf, (7, 2), np.float32)
    return spaces.Dict(
        {
            "history_items": spaces.Box(0, n, (7,), np.int64),
            "history_feedback": real,
            "history_gap_s": spaces.Box(0, 1e9, (7,), np.float32),
            "profile": spaces.Box(-np.inf, np.inf, (2,), np.float32),
            "candidates": spaces.Box(0, n - 1, (6,), np.int64),
        }
    )


def test_scores_follow_candidates_in_any_order() -> None:
    observation = _observation(20)
    head = PointerHead(5, 2, ItemTable(_features(20)), 8, False)
    state = torch.randn((4, 5))
    order = torch.randperm(6)
    shuffled = {**observation, "candidates": observation["candidates"][:, order]}
    assert torch.allclose(head.scores(state, observation)[:, :, order], head.scores(state, shuffled), atol=1e-6)


@pytest.mark.parametrize("users", [1, 8])
def test_keys_are_the_same_whether_made_for_candidates_or_for_the_catalogue(users: int) -> None:
    observation = _observation(20, users=users)
    head = PointerHead(5, 1, ItemTable(_features(20)), 8, False)
    state = torch.randn((users, 5))
    whole = head.scores(state, {key: v for key, v in observation.items() if key != "candidates"})
    offered = head.scores(state, observation)
    assert offered.shape == (users, 1, 6)
    assert torch.allclose(whole[:, 0].gather(1, observation["candidates"]), offered[:, 0], atol=1e-6)


def test_ids_are_names_not_numbers() -> None:
    """Items may be renumbered, features with them, and nothing changes."""
    n, observation, features = 20, _observation(20), _features(20)
    renumber = torch.cat([torch.randperm(n), torch.tensor([n])])
    moved = np.empty_like(features)
    moved[renumber[:-1].numpy()] = features
    one, other = (HistoryExtractor(_space(n), table, 8) for table in (features, moved))
    other.embed.load_state_dict(one.embed.state_dict())
    renamed = {**observation, "history_items": renumber[observation["history_items"]]}
    state = one(observation)
    assert state.shape == (4, one.features_dim)
    assert torch.allclose(state, other(renamed), atol=1e-5)


def test_padding_adds_nothing() -> None:
    observation, extractor = _observation(20), HistoryExtractor(_space(20), _features(20), 8)
    garbage = observation["history_feedback"].clone()
    garbage[:, :2] = 99.0
    assert torch.allclose(extractor(observation), extractor({**observation, "history_feedback": garbage}), atol=1e-6)
    blank = {**observation, "history_items": torch.full((4, 7), 20), "history_feedback": torch.zeros((4, 7, 2))}
    assert torch.isfinite(extractor(blank)).all()


@pytest.mark.parametrize("mask_consumed", [False, True])
def test_padding_among_the_candidates_is_never_chosen(mask_consumed: bool) -> None:
    observation = _observation(20)
    observation["candidates"][:, 2:] = 20
    observation["history_items"][0] = observation["candidates"][0, 0]  # a full history without padding
    observation["history_items"][1, -2:] = observation["candidates"][1, :2]  # all that is on offer was consumed
    head = PointerHead(5, 1 if mask_consumed else 2, ItemTable(_features(20)), 8, mask_consumed)
    slates = head(100 * torch.randn((4, 5)), observation)
    generator = torch.Generator().manual_seed(0)
    assert all((slates.sample(generator) < 2).all() for _ in range(50))
    assert (slates.mode() < 2).all()
    assert not head.allowed(observation)[:, 2:].any()
    assert head.allowed(observation).any(1).all()


@pytest.mark.parametrize("source", [FullCatalogue(), SampledCandidates(5)])
def test_allowed_candidates_are_those_of_the_environment(source: FullCatalogue | SampledCandidates) -> None:
    task = dataclasses.replace(
        interest_evolution(num_documents=12, slate_size=1, window=12), mask_consumed=True, candidates=source
    )
    simulation = Simulation(task, 40, seed=1)
    simulation.reset()
    for _ in range(10):
        simulation.step(arange(40, "cpu") % task.num_candidates)
    observation = simulation.observation()
    assert isinstance(observation, dict)
    expected = simulation.allowed()
    assert not expected.all()
    assert torch.equal(allowed_candidates(observation, 12), expected)
