import numpy as np
import polars as pl
import pytest
import torch

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.learned.pace import Pace
from recgym.simulators.learned.sessions import step_seconds
from recgym.simulators.learned.steps import Behaviour, ExposureSource

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY), Channel("watch", ChannelKind.DURATION, "s")))
USERS, STEPS = 300, 20


def pace_of(own: float, hurried: float = 0.0) -> Pace:
    """Of users who rest 20 s on average, each slow or quick; some move on 5 s after they began to watch."""
    generator = np.random.default_rng(0)
    shape = (USERS, STEPS)
    click = generator.random(shape) < 0.5
    watch = click * np.float32(generator.integers(10, 100, shape))
    score = np.sqrt(own) * generator.standard_normal((USERS, 1)) + np.sqrt(1 - own) * generator.standard_normal(shape)
    pause = watch + 20 * np.exp(0.3 * score)
    pause = np.where(click & (generator.random(shape) < hurried), 5.0, pause)
    time = np.concatenate([np.zeros((USERS, 1)), np.cumsum(pause, 1)[:, :-1]], 1)
    number = np.arange(USERS * STEPS)
    frame = pl.DataFrame(
        {
            "user": number // STEPS, "item": number % 7, "time_s": time.ravel(), "session": number // STEPS,
            "slate": number, "position": np.zeros(number.size, dtype=np.int32), "propensity": np.ones(number.size),
            "click": click.ravel().astype(np.float32), "watch": watch.ravel(),
        }
    )  # fmt: skip
    log = InteractionLog(frame, SCHEMA, pl.Series(np.arange(USERS)), pl.Series(np.arange(7)))
    behaviour = Behaviour.of(log, ExposureSource.SLATES, 1, 1800.0, generator)
    found = Pace.fit(behaviour, 0, step_seconds(behaviour, 0.0))
    assert found is not None
    return found


def drawn(pace: Pace, spent: float, n: int = 20_000) -> torch.Tensor:
    draw = make_generator(0, "paces")
    place = pace.draw(torch.randn(n, generator=draw), draw)
    return pace.seconds(place, torch.full((n,), spent), torch.full((n,), spent > 0))


def test_a_step_takes_its_durations_and_a_rest_that_is_drawn() -> None:
    pace = pace_of(own=0.0)
    for spent in (0.0, 30.0, 500.0):
        rest = drawn(pace, spent) - spent
        assert float(rest.median()) == pytest.approx(20.0, rel=0.06)
        assert float(rest.log().std()) == pytest.approx(0.3, rel=0.15)


def test_who_moves_on_early_does_not_wait_for_the_end() -> None:
    seconds = drawn(pace_of(own=0.0, hurried=0.25), 60.0)
    assert float((seconds < 6).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(seconds[seconds > 6].min()) > 60.0


def test_slow_users_stay_slow() -> None:
    assert pace_of(own=0.0).alike == pytest.approx(0.0, abs=0.05)
    pace = pace_of(own=0.5)
    assert pace.alike == pytest.approx(0.5, abs=0.1)
    draw = make_generator(0, "paces")
    own = torch.randn(20_000, generator=draw)
    places = [torch.special.ndtri(pace.draw(own, draw)) for _ in range(2)]
    assert float(torch.corrcoef(torch.stack(places))[0, 1]) == pytest.approx(pace.alike, abs=0.03)


def test_few_pauses_teach_nothing() -> None:
    frame = pl.DataFrame(
        {
            "user": [0, 0], "item": [0, 1], "time_s": [0.0, 5.0], "session": [0, 0], "slate": [0, 1],
            "position": pl.Series([0, 0], dtype=pl.Int32), "propensity": [1.0, 1.0],
            "click": pl.Series([1, 0], dtype=pl.Float32), "watch": pl.Series([3, 0], dtype=pl.Float32),
        }
    )  # fmt: skip
    log = InteractionLog(frame, SCHEMA, pl.Series([0]), pl.Series([0, 1]))
    behaviour = Behaviour.of(log, ExposureSource.SLATES, 1, 1800.0, np.random.default_rng(0))
    assert Pace.fit(behaviour, 0, step_seconds(behaviour, 0.0)) is None
