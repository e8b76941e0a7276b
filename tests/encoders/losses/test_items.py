"""Sampled losses: closed forms, what correction is for, and what masking is for."""

import math

import pytest
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional

from recgym.encoders.losses import BCE, BPR, BPRMax, FullSoftmax, Popular, SampledSoftmax, UniformItems, gbce
from recgym.encoders.scorers import Dot, MLPScorer


class Fixed:
    """Gives the same negatives each time, and says that all are alike."""

    def __init__(self, items: list[int], num_items: int) -> None:
        self.items, self.num_items = torch.tensor(items), num_items

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Int64[Tensor, "*shape"]:
        return self.items.reshape(-1)[: math.prod(shape)].reshape(shape)

    def log_probability(self, items: Int64[Tensor, "*shape"]) -> Float32[Tensor, "*shape"]:
        return torch.full(items.shape, -math.log(self.num_items))


def _parts(n: int = 5, items: int = 6, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    queries, vectors = torch.randn(n, 3, generator=generator), torch.randn(items, 3, generator=generator)
    return queries, vectors, torch.randint(items, (n,), generator=generator), generator


def test_bce_of_one_negative_is_that_of_the_paper() -> None:
    queries, vectors, targets, generator = _parts()
    negatives = (targets + 1) % 6
    loss = BCE(Fixed(negatives.tolist(), 6))(Dot(), queries, vectors, targets, generator)
    positive, negative = (queries * vectors[targets]).sum(1), (queries * vectors[negatives]).sum(1)
    expected = -(torch.sigmoid(positive).log() + (1 - torch.sigmoid(negative)).log()).mean()
    torch.testing.assert_close(loss, expected)


def test_gbce_at_full_sampling_is_bce_and_its_beta_follows_the_paper() -> None:
    everything = gbce(UniformItems(101), 100, 101, calibration=0.3)
    assert everything.beta == pytest.approx(1.0)
    rate = 10 / 100
    assert gbce(UniformItems(101), 10, 101, calibration=1.0).beta == pytest.approx(rate)
    assert gbce(UniformItems(101), 10, 101, calibration=0.0).beta == pytest.approx(1.0)


def test_bpr_is_the_softplus_of_the_gap_and_skips_negatives_that_are_the_target() -> None:
    queries, vectors, targets, generator = _parts()
    negatives = (targets + 2) % 6
    negatives[0] = targets[0]
    loss = BPR(Fixed(negatives.tolist(), 6))(Dot(), queries, vectors, targets, generator)
    gap = ((vectors[negatives] - vectors[targets]) * queries).sum(1)
    torch.testing.assert_close(loss, functional.softplus(gap)[1:].mean())


def test_bpr_max_is_that_of_the_paper() -> None:
    queries, vectors, targets, generator = _parts()
    targets = torch.zeros_like(targets)
    negatives = [1, 2, 4]
    loss = BPRMax(SampledSoftmax(Fixed(negatives, 6), 3), 0.7)(Dot(), queries, vectors, targets, generator)
    positive, negative = queries @ vectors[0], queries @ vectors[negatives].T
    weights = negative.softmax(1)
    expected = -(weights * torch.sigmoid(positive[:, None] - negative)).sum(1).log()
    expected = expected + 0.7 * (weights * negative**2).sum(1)
    torch.testing.assert_close(loss, expected.mean())


def test_bpr_max_leaves_out_queries_without_a_negative() -> None:
    queries, vectors, _, generator = _parts()
    loss = BPRMax(SampledSoftmax(Fixed([3], 6), 1))
    some = loss(Dot(), queries, vectors, torch.tensor([3, 0, 0, 0, 0]), generator)
    torch.testing.assert_close(some, loss(Dot(), queries[1:], vectors, torch.zeros(4, dtype=torch.int64), generator))
    assert loss(Dot(), queries, vectors, torch.full((5,), 3), generator) == 0.0


@pytest.mark.parametrize("corrected", [True, False])
def test_only_with_correction_does_a_sampled_softmax_estimate_the_full_one(corrected: bool) -> None:
    queries, vectors, targets, generator = _parts(n=1, items=8)
    targets = torch.tensor([7])  # the least popular
    law = Popular(torch.tensor([1000, 500, 200, 100, 50, 20, 10, 5]), 1.0)
    loss = SampledSoftmax(law, 400_000, corrected=corrected)
    sampled = loss(Dot(), queries, vectors, targets, generator)
    full = FullSoftmax()(Dot(), queries, vectors, targets, generator)
    # The target stands once beside the negatives, so what is estimated is log(1 + count * sum of others) - ...: the
    # gap to the full softmax is that of log(count).
    other = torch.tensor([item for item in range(8) if item != 7])
    scores = (queries @ vectors.T)[0]
    exact = torch.log(scores[7].exp() / law.log_probability(targets).exp() + 400_000 * scores[other].exp().sum())
    exact = exact - scores[7] + law.log_probability(targets)[0]
    close = bool(torch.isclose(sampled, exact, rtol=5e-3))
    assert close is corrected
    assert torch.isfinite(full)


def test_a_negative_that_is_the_target_does_not_count() -> None:
    queries, vectors, _, generator = _parts()
    targets = torch.full((5,), 3)
    clean = SampledSoftmax(Fixed([0, 1], 6), 2)(Dot(), queries, vectors, targets, generator)
    hit = SampledSoftmax(Fixed([0, 1, 3], 6), 3)(Dot(), queries, vectors, targets, generator)
    torch.testing.assert_close(hit, clean)


def test_popular_draws_in_proportion_to_a_power_of_the_count() -> None:
    law = Popular(torch.tensor([1, 4, 0, 16]), 0.5)
    drawn = law.draw((200_000,), torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=4) / 200_000
    expected = torch.tensor([1.0, 2.0, 1.0, 4.0]) / 8  # what was never seen counts as seen once
    torch.testing.assert_close(share, expected, atol=4e-3, rtol=0)
    torch.testing.assert_close(law.log_probability(torch.arange(4)).exp(), expected)


def test_a_softmax_over_all_items_refuses_a_scorer_that_is_no_product() -> None:
    queries, vectors, targets, generator = _parts()
    with pytest.raises(ValueError, match="MLPScorer"):
        FullSoftmax()(MLPScorer(3, 4), queries, vectors, targets, generator)
    sampled = SampledSoftmax(UniformItems(6), 3)(MLPScorer(3, 4), queries, vectors, targets, generator)
    assert torch.isfinite(sampled)
