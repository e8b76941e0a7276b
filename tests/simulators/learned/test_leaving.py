import numpy as np
import polars as pl
import torch

from recgym.simulators.learned import predict
from recgym.simulators.learned.leaving import Runs
from recgym.stats import log_loss
from tests.simulators.learned.moody import DAY, KEPT, fitted_moody, moody


def test_a_fading_sum_is_the_running_sum_of_each_session() -> None:
    draw = np.random.default_rng(0)
    session = np.repeat(np.arange(30), draw.integers(1, 20, 30))
    draw.shuffle(session)  # sessions may overlap in time
    session[draw.random(session.size) < 0.1] = -1
    values = draw.normal(size=session.size)
    expected = np.zeros(session.size)
    last: dict[int, float] = {}
    for place, (name, value) in enumerate(zip(session.tolist(), values, strict=True)):
        expected[place] = value if name < 0 else KEPT * last.get(name, 0.0) + value
        last[name] = expected[place]
    total = Runs.of(session).fading_sum(torch.from_numpy(values).float(), KEPT)
    np.testing.assert_allclose(total.numpy(), expected, atol=1e-5)


def test_gradients_flow_to_the_factor_by_which_a_temper_fades() -> None:
    kept = torch.tensor(0.7, requires_grad=True)
    Runs.of(np.zeros(3, dtype=np.int64)).fading_sum(torch.ones(3), kept)[-1].backward()  # type: ignore[no-untyped-call]
    assert kept.grad is not None
    torch.testing.assert_close(kept.grad, torch.tensor(1.0 + 2 * 0.7))


def test_leaving_by_piled_up_dissatisfaction_is_learned() -> None:
    truth, predictions = moody(), predict(fitted_moody(), moody().log)
    frame = truth.log.frame.with_columns(
        index=pl.int_range(pl.len()).over("session"), leave=pl.Series(truth.leave),
        last=pl.col("session") != pl.col("session").shift(-1).fill_null(-1),
    )  # fmt: skip
    closed = pl.col("time_s").max().over("session") + 1800 <= pl.col("time_s").max()
    late = frame.filter((pl.col("time_s") > fitted_moody().facts.end_time) & closed)
    assert np.array_equal(late["last"].to_numpy(), predictions.last)
    train = frame.filter(pl.col("time_s") < 8 * DAY)
    # The best that can be said without memory: the rate of each (click, steps so far).
    rates = train.group_by("click", pl.col("index").clip(0, 8)).agg(rate=pl.col("last").mean())
    memoryless = late.with_columns(pl.col("index").clip(0, 8)).join(rates, on=["click", "index"], how="left")
    worst = log_loss(memoryless["rate"].fill_null(0.5).to_numpy(), predictions.last)
    best = log_loss(late["leave"].to_numpy(), predictions.last)
    learned = log_loss(predictions.leave, predictions.last)
    assert best < learned < best + 0.25 * (worst - best), (best, learned, worst)


def test_the_temper_is_the_patience_of_the_truth() -> None:
    network = fitted_moody().network
    assert 0.6 < network.kept.item() < 0.95, "the truth is 0.8"
    pleased, displeased = (
        network.mood(network.summary(*(torch.full((1, 1), click),) * 2, torch.tensor([click]), torch.zeros(1)))
        for click in (1.0, 0.0)
    )
    assert (pleased - displeased).item() > 1.0, "the truth is 2 * 1.6 in logits"
