"""The fit of the law of choice: against a plain likelihood, on logs whose law is known, and beside simpler laws."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recgym.data import InteractionLog, iid_log, zipf_popularity
from recgym.simulators.actr import (
    ACTRConfig,
    ACTRFit,
    ACTRFitConfig,
    ACTRItems,
    ACTRMemory,
    ACTRUsers,
    ACTRWorld,
    actr_log,
    fit_actr,
    make_items,
)
from recgym.simulators.actr.choices import Choices, Sessions
from recgym.simulators.actr.fit import sessions_of
from recgym.simulators.actr.likelihood import FREQUENCY, RECENCY, fit_memory, fit_plain, mean_log_likelihood
from recgym.testing import check_user_model

LAW = ACTRMemory(
    decay=0.6, noise=0.6, spreading=2.5, matching=0.25, satiation=0.5, threshold=-4.6, follow=0.4, appeal=0.0
)
WORLD = ACTRConfig(num_items=300, num_topics=10, session=(4, 8), window=100, memory=LAW)
SETTINGS = ACTRFitConfig(window=100, longest=8)


@pytest.fixture(scope="module")
def log() -> InteractionLog:
    return actr_log(WORLD, 400, 20, 1)


@pytest.fixture(scope="module")
def fitted(log: InteractionLog) -> ACTRFit:
    return fit_actr(log, SETTINGS, make_items(WORLD))


def plain(sessions: Sessions, which: np.ndarray, items: ACTRItems, law: ACTRMemory, window: int, longest: int) -> float:
    """The mean log-likelihood, one choice at a time."""
    total, choices = 0.0, 0
    for number in which:
        first, user_start = sessions.first[number], sessions.user_start[number]
        start = sessions.time_s[first]
        past = [(sessions.item[e], sessions.time_s[e]) for e in range(max(user_start, first - window), first)]
        previous = distinct(sessions, number - 1)[:longest]
        heard: list[int] = []
        for item in distinct(sessions, number)[:longest]:
            weight = {}
            for known in {i for i, _ in past} - set(heard):
                ages = [max(start - t, 1.0) for i, t in past if i == known]
                activation = math.log(sum(age**-law.decay for age in ages))
                activation += law.spreading * sum(
                    float(s)
                    for j in heard
                    for k, s in zip(items.neighbours[j], items.strengths[j], strict=True)
                    if k == known
                )
                activation += law.matching * sum(
                    float(items.embeddings[known].astype(float) @ items.embeddings[j]) for j in previous if j != known
                )
                activation -= law.satiation * sum(math.exp(-age / law.satiation_s) for age in ages)
                weight[known] = math.exp(activation / law.noise)
            explore = math.exp(law.threshold / law.noise)
            total += math.log(weight.get(item, explore) / (sum(weight.values()) + explore))
            choices += 1
            heard.append(item)
    return total / choices


def distinct(sessions: Sessions, number: int) -> list[int]:
    return list(dict.fromkeys(sessions.item[sessions.first[number] : sessions.first[number + 1]].tolist()))


def test_the_likelihood_is_the_plain_one(log: InteractionLog) -> None:
    """Also where sessions hold items twice, are longer than what counts, and memory forgets."""
    doubled = log.frame.filter(pl.col("user") < 12)
    later = doubled.with_columns(pl.col("time_s") + 0.5, session=pl.col("session") // 2)
    both = pl.concat([doubled.with_columns(session=pl.col("session") // 2), later]).sort("user", "time_s")
    sessions = sessions_of(log.with_frame(both), 1200.0)
    which = np.flatnonzero(sessions.first[:-1] > sessions.user_start)
    items = make_items(WORLD)
    choices = Choices.of(sessions, which, items, 30, 6)
    assert mean_log_likelihood(choices, LAW) == pytest.approx(plain(sessions, which, items, LAW, 30, 6), rel=1e-9)
    for wrong in ("decay", "noise", "spreading", "matching", "satiation", "threshold"):
        other = replace(LAW, **{wrong: getattr(LAW, wrong) * 1.2})
        assert abs(mean_log_likelihood(choices, other) - mean_log_likelihood(choices, LAW)) > 1e-5


def test_known_parameters_are_recovered(fitted: ACTRFit) -> None:
    """All six lie within 3 standard errors, at least five within their 95 % interval, and intervals are narrow."""
    parameters = fitted.report.parameters
    names = ("decay", "noise", "spreading", "matching", "satiation", "threshold")
    apart = {name: (parameters[name].value - getattr(LAW, name)) / parameters[name].error for name in names}
    assert max(map(abs, apart.values())) < 3.0, apart
    assert sum(parameters[name].low <= getattr(LAW, name) <= parameters[name].high for name in names) >= 5, apart
    for name in names:
        assert parameters[name].error < 0.1 * abs(getattr(LAW, name))
    follow = parameters["follow"]
    assert abs(follow.value - LAW.follow) < 3 * follow.error + 0.02


def test_the_fit_beats_recency_and_frequency_on_later_sessions(fitted: ACTRFit) -> None:
    report = fitted.report
    assert report.held_out_choices > 5000
    assert report.log_likelihood > report.recency_log_likelihood + 0.02
    assert report.log_likelihood > report.frequency_log_likelihood + 0.02


def test_the_estimate_is_the_maximum(log: InteractionLog) -> None:
    sessions = sessions_of(log, 1200.0)
    which = np.flatnonzero((sessions.first[:-1] > sessions.user_start) & (sessions.user < 60))
    choices = Choices.of(sessions, which, make_items(WORLD), 100, 8)
    found = fit_memory(choices, LAW)
    assert found.log_likelihood == pytest.approx(mean_log_likelihood(choices, found.memory), rel=1e-9)
    for name in found.parameters:
        for factor in (0.97, 1.03):
            other = replace(found.memory, **{name: getattr(found.memory, name) * factor})
            assert mean_log_likelihood(choices, other) < found.log_likelihood


def test_plain_laws_win_where_they_are_the_truth() -> None:
    """Where the choice follows frequency alone (no decay, nothing else), frequency fits as well as the whole law."""
    law = ACTRMemory(decay=0.0, noise=0.8, spreading=0.0, matching=0.0, satiation=0.0, threshold=1.5, appeal=0.0)
    world = replace(WORLD, memory=law)
    sessions = sessions_of(actr_log(world, 150, 15, 3), 1200.0)
    choices = Choices.of(sessions, np.flatnonzero(sessions.first[:-1] > sessions.user_start), make_items(world), 100, 8)
    whole = fit_memory(choices, law).log_likelihood
    assert fit_plain(FREQUENCY, choices, choices) == pytest.approx(whole, abs=2e-3)
    assert fit_plain(RECENCY, choices, choices) < whole - 5e-3


def test_a_log_tells_its_items_too(log: InteractionLog, tmp_path: Path) -> None:
    """Without a catalogue, associations come from early sessions; the world can be saved and played."""
    fit = fit_actr(log, SETTINGS)
    report = fit.report
    assert report.log_likelihood > max(report.recency_log_likelihood, report.frequency_log_likelihood) + 0.01
    assert report.parameters["decay"].value == pytest.approx(LAW.decay, abs=0.1)
    fit.world.save(tmp_path / "world")
    model = ACTRUsers.load(tmp_path / "world")
    assert model.num_items == 300
    check_user_model(ACTRUsers(small(model)))


def small(model: ACTRUsers) -> ACTRWorld:
    records = model.world.records
    return replace(model.world, records=replace(records, items=records.items[:, -20:], time_s=records.time_s[:, -20:]))


def test_bad_logs_are_refused(log: InteractionLog) -> None:
    never = iid_log(20, 30, zipf_popularity(10), 0)
    with pytest.raises(ValueError, match="at least 10 sessions are needed, found 2"):
        fit_actr(log.with_frame(log.frame.head(10)), SETTINGS)
    order = InteractionLog(never.frame, never.schema, never.user_ids, never.item_ids, time_unit="order")
    with pytest.raises(ValueError, match="knows the order of events but no times"):
        fit_actr(order, SETTINGS)
    once = log.frame.unique(["user", "item"], keep="first", maintain_order=True)
    with pytest.raises(ValueError, match="needs both repeats and new items, found 0 repeats"):
        fit_actr(log.with_frame(once), SETTINGS)
    with pytest.raises(ValueError, match="leave no sessions to fit to"):
        ACTRFitConfig(test_fraction=0.7, association_fraction=0.3)
