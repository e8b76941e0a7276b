import math

import numpy as np
import pytest
import torch
from scipy import integrate

from recgym.simulators.learned.cells import CellsHead, fit_cells
from recgym.simulators.learned.channels import Head
from recgym.simulators.learned.heads import BinaryHead, RestHead
from tests.shared import shared_data


def amounts(n: int = 4000, seed: int = 0) -> np.ndarray:
    """Log-normal, with a spike at 60."""
    draw = np.random.default_rng(seed)
    return np.where(draw.random(n) < 0.2, 60.0, np.exp(draw.normal(2.0, 1.2, n)))


def counts(n: int = 4000, seed: int = 0) -> np.ndarray:
    """Often 1 or 12, else a long tail."""
    draw = np.random.default_rng(seed)
    tail = np.floor(2 + draw.pareto(1.5, n) * 5)
    return np.where(draw.random(n) < 0.5, draw.choice([1.0, 12.0], n), tail)


STARS = np.random.default_rng(0).choice([1.0, 2.0, 3.0, 4.0, 5.0], 1000, p=[0.05, 0.1, 0.25, 0.35, 0.25])
HEADS: dict[str, Head] = {
    "binary": BinaryHead(),
    "rest": RestHead(),
    "durations": fit_cells(amounts(), hurdle=True, whole=False, relative=False),
    "ratios": fit_cells(amounts() / 20, hurdle=True, whole=False, relative=True),
    "counts": fit_cells(counts(), hurdle=True, whole=True, relative=False),
    "stars": fit_cells(STARS, hurdle=False, whole=False, relative=False),
    "percent": fit_cells(np.append(np.linspace(0, 100, 500), np.full(300, 100.0)), False, False, False),
    "one value": fit_cells(np.ones(3), hurdle=True, whole=True, relative=False),
    "few": fit_cells(np.array([2.0, 3.5, 9.0]), hurdle=True, whole=False, relative=False),
    "below zero": fit_cells(np.random.default_rng(0).normal(0, 5, 300), False, False, False),
}


@pytest.mark.parametrize("name", HEADS)
def test_mean_and_chance_of_a_positive_value_are_those_of_the_draws(name: str) -> None:
    head = HEADS[name]
    parameters = torch.randn(4, head.width, generator=torch.Generator().manual_seed(1))
    drawn = head.sample(parameters[:, None].expand(4, 60_000, head.width), torch.Generator().manual_seed(2))
    error = drawn.std(1) / math.sqrt(60_000)
    assert ((drawn.mean(1) - head.mean(parameters)).abs() <= 5 * error + 1e-4).all()
    if name != "below zero":
        assert ((drawn > 0).float().mean(1) - head.positive(parameters)).abs().max() < 0.015


@pytest.mark.parametrize("name", ["durations", "ratios"])
def test_the_likelihood_is_a_density_beside_the_single_values(name: str) -> None:
    head = HEADS[name]
    assert isinstance(head, CellsHead)
    parameters = torch.randn(head.width, generator=torch.Generator().manual_seed(3))

    def likelihood(value: float) -> float:
        return math.exp(-head.nll(parameters, torch.tensor(value)).item())

    total = likelihood(0.0)
    for low, high in zip(head.low, head.high, strict=True):
        if low == high:
            total += likelihood(low)
        else:
            inside = np.exp(np.linspace(np.log(low), np.log(high), 400)[1:-1])
            mass = -head.nll(parameters.expand(398, head.width), torch.from_numpy(inside).float())
            total += float(integrate.trapezoid(mass.exp().numpy(), inside))
    assert total == pytest.approx(1.0, abs=0.02)


def test_whole_numbers_have_probabilities_that_add_up_to_one() -> None:
    head = HEADS["counts"]
    assert isinstance(head, CellsHead)
    parameters = torch.randn(head.width, generator=torch.Generator().manual_seed(4))
    value = torch.arange(head.high[-1] + 1)
    mass = torch.exp(-head.nll(parameters.expand(value.shape[0], head.width), value))
    assert mass.sum().item() == pytest.approx(1.0, abs=1e-3)
    drawn = head.sample(parameters.expand(100_000, head.width), torch.Generator().manual_seed(5))
    assert torch.equal(drawn, drawn.floor())
    for number in (0, 1, 2, 5, 12):
        assert (drawn == number).float().mean().item() == pytest.approx(mass[number].item(), abs=0.01)


@pytest.mark.parametrize(
    ("values", "whole"), [(amounts(), False), (counts(), True), (STARS, False)], ids=["amounts", "counts", "stars"]
)
def test_cells_with_the_shares_of_a_log_draw_its_histogram(values: np.ndarray, whole: bool) -> None:
    hurdle = values is not STARS
    head = fit_cells(values, hurdle=hurdle, whole=whole, relative=False)
    parameters = head.marginal(torch.from_numpy(values).float())
    parameters = torch.cat([torch.full((int(hurdle),), 50.0), parameters])
    drawn = head.sample(parameters.expand(200_000, head.width), torch.Generator().manual_seed(0)).numpy()
    for point in np.quantile(values, [0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99]):
        assert (drawn <= point).mean() == pytest.approx((values <= point).mean(), abs=0.02)
    assert drawn.mean() == pytest.approx(values.mean(), rel=0.03)
    assert values.min() * 0.999 <= drawn.min()
    assert drawn.max() <= values.max() * 1.001


def test_a_watched_video_is_told_from_one_that_was_broken_off() -> None:
    draw = np.random.default_rng(1)
    head = fit_cells(np.exp(draw.normal(0, 1, 4000)), hurdle=True, whole=False, relative=True)
    assert not any(low < 1.0 < high for low, high in zip(head.low, head.high, strict=True)), "no range spans 1"


def test_ratings_of_a_real_log_are_drawn_as_its_levels() -> None:
    values = np.loadtxt(shared_data("ml-100k") / "ml-100k.inter", skiprows=1, usecols=2)
    head = fit_cells(values, hurdle=False, whole=False, relative=False)
    drawn = head.sample(head.marginal(torch.from_numpy(values).float()).expand(100_000, 5), torch.Generator())
    for level in range(1, 6):
        assert (drawn == level).float().mean().item() == pytest.approx((values == level).mean(), abs=0.01)
