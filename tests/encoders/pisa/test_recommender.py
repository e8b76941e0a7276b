"""PISA as a recommender: what reaches it, what must not, and its folder."""

import dataclasses
from pathlib import Path

import polars as pl
import pytest
import torch

from recgym.data import InteractionLog
from recgym.encoders.pisa import PISA, SessionHistories
from recgym.evaluation.ranking import Recommender
from recgym.types import History
from tests.encoders.pisa.examples import DAY, SMALL, end_of, histories, history_of, small_log, small_model


def _scores(model: PISA, log: InteractionLog, moment: torch.Tensor) -> torch.Tensor:
    return model.scores(torch.arange(log.n_users), history_of(log), moment)


def _cut(log: InteractionLog) -> tuple[InteractionLog, pl.DataFrame]:
    """The log without each user's last session, and these sessions."""
    last = pl.col("session") == pl.col("session").max().over("user")
    return log.with_frame(log.frame.filter(~last)), log.frame.filter(last)


def test_histories_of_events_are_cut_where_the_log_says() -> None:
    log = small_log()
    model: Recommender = small_model().with_sessions(log)
    assert isinstance(model, PISA)
    assert model.num_items == 40
    assert model.window is None
    wanted = model.score_sessions(histories(log), end_of(log))
    assert torch.equal(_scores(model, log, end_of(log)), wanted)
    cut = model.sessions_of(torch.arange(log.n_users), history_of(log))
    for name, part in vars(histories(log)).items():
        assert part == log.n_items if name == "num_items" else torch.equal(getattr(cut, name), part)


def test_without_the_log_pauses_end_sessions() -> None:
    """Gaps between sessions of the log are hours, pauses within them minutes; few of both lie between."""
    log, model = small_log(), small_model()
    by_pause = dataclasses.replace(model, config=dataclasses.replace(SMALL, gap_s=3600.0))
    users = torch.arange(log.n_users)
    found, wanted = by_pause.sessions_of(users, history_of(log)), histories(log)
    assert len(found.owner) == pytest.approx(len(wanted.owner), rel=0.1)
    never = dataclasses.replace(model, config=dataclasses.replace(SMALL, gap_s=1e9))
    assert len(never.sessions_of(users, history_of(log)).owner) == int((history_of(log).mask.any(1)).sum())


def test_users_beside_one_another_do_not_matter() -> None:
    """A user alone, with no padding beside it, gets the scores that it gets among others."""
    log = small_log()
    model = small_model().with_sessions(log)
    together = _scores(model, log, end_of(log))
    for user in (1, 3, 8, 29):
        alone = log.with_frame(log.frame.filter(pl.col("user") == user))
        history = History(*(part[user : user + 1] for part in history_of(alone)))
        found = model.scores(torch.tensor([user]), history, end_of(log)[:1])
        torch.testing.assert_close(found[0], together[user], rtol=1e-4, atol=1e-5)


def test_the_target_session_leaves_the_scores_bit_identical() -> None:
    """Its items, its order and what follows do not count, only when it starts."""
    log = small_log()
    past, targets = _cut(log)
    first = targets.group_by("user", maintain_order=True).first()
    moment = end_of(log).clone()
    moment[torch.tensor(first["user"].to_list())] = torch.tensor(first["time_s"].to_list(), dtype=torch.float64)
    last = pl.col("session") == pl.col("session").max().over("user")
    other_items = pl.when(last).then((pl.col("item") + 7) % 40).otherwise(pl.col("item"))
    changed = log.with_frame(log.frame.with_columns(item=other_items))
    before = _scores(small_model().with_sessions(log), past, moment)
    assert torch.equal(before, _scores(small_model().with_sessions(changed), past, moment))
    assert torch.equal(before, _scores(small_model().with_sessions(past), past, moment))
    assert not torch.equal(before, _scores(small_model().with_sessions(log), past, moment + 30 * DAY))


def test_users_without_sessions_get_what_is_popular() -> None:
    log = small_log()
    found = _scores(small_model().with_sessions(log), log, end_of(log))
    users = log.frame.group_by("item").agg(pl.col("user").n_unique()).sort("item")
    wanted = torch.zeros(40)
    wanted[torch.tensor(users["item"].to_list())] = torch.tensor(users["user"].to_list()).float()
    torch.testing.assert_close(found[0], wanted / wanted.sum())
    nobody = SessionHistories.of(
        torch.zeros(0, dtype=torch.int64), torch.zeros(0).double(), torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.bool), 2, 40, 5,
    )  # fmt: skip
    assert small_model().score_sessions(nobody, torch.zeros(2).double()).shape == (2, 40)


def test_a_saved_model_scores_alike(tmp_path: Path) -> None:
    log, model = small_log(), small_model()
    model.save(tmp_path / "pisa")
    loaded = PISA.load(tmp_path / "pisa")
    assert loaded.config == model.config
    moment = end_of(log)
    assert torch.equal(_scores(loaded.with_sessions(log), log, moment), _scores(model.with_sessions(log), log, moment))
    (tmp_path / "pisa" / "pisa.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="a part of the model is missing or damaged"):
        PISA.load(tmp_path / "pisa")
    (tmp_path / "pisa" / "pisa.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="does not describe a saved PISA model"):
        PISA.load(tmp_path / "pisa")


def test_what_is_missing_is_named() -> None:
    log, model = small_log(), small_model()
    with pytest.raises(ValueError, match="expected its time, found none"):
        model.scores(torch.arange(log.n_users), history_of(log), None)
    other = dataclasses.replace(log, item_ids=pl.Series("id", [f"song {i}" for i in range(40)]))
    with pytest.raises(ValueError, match="its items are not those that the model was fitted to"):
        model.with_sessions(other)
