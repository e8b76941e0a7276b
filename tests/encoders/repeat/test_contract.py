"""What all of them promise: the face, finite or minus infinity, and nothing that lies beyond the question."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recgym.data import InteractionLog
from recgym.encoders import Sequences
from recgym.encoders.baselines import Baseline, BaselineConfig, PopularityConfig, RecencyConfig
from recgym.encoders.repeat import (
    ACTRRepeatConfig,
    PersonalTopConfig,
    RepeatGateConfig,
    TIFUKNNConfig,
    UPCFConfig,
    choose_settings,
    personal_grid,
    tifu_knn_grid,
    upcf_grid,
)
from recgym.evaluation.ranking import Recommender
from recgym.evaluation.sessions import evaluate_sessions, session_split
from recgym.simulators.actr import ACTRConfig, actr_log
from recgym.types import History
from tests.encoders.repeat.common import DAY, N, history, made_up, scores, sequences

CONFIGS: list[BaselineConfig] = [
    PopularityConfig(), RecencyConfig(), PersonalTopConfig(), PersonalTopConfig(0.8), UPCFConfig(), TIFUKNNConfig(),
    RepeatGateConfig(epochs=1), ACTRRepeatConfig(), ACTRRepeatConfig(spreading=0.5, matching=0.5),
]  # fmt: skip
PAST = [[[1, 2], [3, 1]], [], [[5]], [[0, 1, 2, 3, 4], [1, 9], [2, 9], [9]]]


def _name(config: BaselineConfig) -> str:
    return type(config).__name__


@pytest.mark.parametrize("config", CONFIGS, ids=_name)
def test_face(config: BaselineConfig) -> None:
    model = config.fit(sequences(*made_up(0)))
    assert isinstance(model, Recommender)
    assert isinstance(model, Baseline)
    assert model.num_items == N
    assert model.window >= 1
    found = scores(model, *PAST, asked_s=9 * DAY)
    assert found.shape == (4, N)
    assert found.dtype == np.float32
    assert not np.isnan(found).any()
    assert not (found == np.inf).any()
    for row, user in enumerate(PAST):  # alone or beside others, a user gets the same
        alone = scores(model, user, asked_s=9 * DAY, first_user=row)
        np.testing.assert_allclose(alone[0], found[row], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=_name)
def test_arrays_are_as_good_as_tensors(config: BaselineConfig) -> None:
    model, past = config.fit(sequences(*made_up(0))), history(*PAST)
    found = model.scores(torch.arange(4), past, torch.full((4,), 9 * DAY, dtype=torch.float64))
    arrays = History(*(part.numpy() for part in past))
    assert torch.equal(found, model.scores(np.arange(4), arrays, np.full(4, 9 * DAY)))


@pytest.mark.parametrize("config", CONFIGS, ids=_name)
def test_padding_does_not_matter(config: BaselineConfig) -> None:
    model, past = config.fit(sequences(*made_up(0))), history(*PAST)
    asked = torch.full((4,), 9 * DAY, dtype=torch.float64)
    hole = ~past.mask
    rubbish = History(
        torch.where(hole, 3, past.items), past.feedback, torch.where(hole, 7.7 * DAY, past.time_s), past.mask
    )
    expected = model.scores(torch.arange(4), past, asked)
    torch.testing.assert_close(model.scores(torch.arange(4), rubbish, asked), expected)


@pytest.mark.parametrize("config", CONFIGS, ids=_name)
def test_a_log_without_events_or_times(config: BaselineConfig) -> None:
    nothing = Sequences(np.zeros(0, np.int64), np.zeros(3, np.int64), N, np.zeros(0))
    untimed = replace(sequences(*made_up(0)), time_s=None)
    for log in (nothing, untimed):
        assert not np.isnan(scores(config.fit(log), *PAST, asked_s=9 * DAY)).any()


@pytest.mark.parametrize("config", CONFIGS[1:], ids=_name)
def test_an_unknown_item_is_refused(config: BaselineConfig) -> None:
    model, past = config.fit(sequences(*made_up(0))), history([[1, 2]])
    with pytest.raises(ValueError, match=f"found item id {N + 3} in a history, expected 0..{N - 1}"):
        model.scores(torch.arange(1), past._replace(items=torch.tensor([[1, N + 3]])))


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return actr_log(ACTRConfig(num_items=60, num_topics=4, session=(3, 5)), 40, 8, 0)


@pytest.mark.parametrize("config", CONFIGS, ids=_name)
def test_nothing_beyond_the_question_counts(config: BaselineConfig, log: InteractionLog) -> None:
    """Other items in the test sessions leave what is fitted and every list as they were."""
    split = session_split(log)
    rows = log.frame["session"].is_in(_tested(log))
    items = log.frame["item"].to_numpy().copy()
    changed = np.where(rows.to_numpy(), (items + 17) % 60, items)
    other = session_split(log.with_frame(log.frame.with_columns(item=changed)))
    lists, same = (
        evaluate_sessions(config.fit(Sequences.from_log(part.train)), part.test).ranking.lists
        for part in (split, other)
    )
    np.testing.assert_array_equal(lists, same)
    assert not np.array_equal(split.test.targets, other.test.targets)


def _tested(log: InteractionLog) -> list[int]:
    return log.frame.group_by("user", maintain_order=True).last()["session"].to_list()


def test_settings_are_chosen_by_what_they_achieve() -> None:
    log = sequences(*made_up(0))
    grid = personal_grid(PersonalTopConfig(), (0.5, 0.7, 0.9))
    best = choose_settings(grid, log, lambda model: -abs(model.config.decay - 0.7))  # type: ignore[attr-defined]
    assert best.config.decay == 0.7
    assert best.model.config == best.config  # type: ignore[attr-defined]
    assert len(best.scores) == 3
    assert choose_settings(grid, log, lambda model: 1.0).config == grid[0]
    with pytest.raises(ValueError, match="found none"):
        choose_settings((), log, lambda model: 1.0)
    assert len(set(upcf_grid(UPCFConfig()))) == 6
    assert len(set(tifu_knn_grid(TIFUKNNConfig()))) == 12
