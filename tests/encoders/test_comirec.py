"""ComiRec against its equations, written out prefix by prefix."""

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.encoders import Batch, Catalogue, FitConfig, Sequences, fit, seeded
from recgym.encoders.comirec import Capsules, CapsulesConfig, ComiRecConfig, Interests
from recgym.testing import check_encoder

_FIT = FitConfig(epochs=30, batch_size=20, step_size=2e-2)


def _batch(lengths: list[int]) -> Batch:
    longest = max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return Batch(torch.zeros((len(lengths), longest), dtype=torch.int64), mask)


def _linear(layer: torch.nn.Module) -> torch.nn.Linear:
    assert isinstance(layer, torch.nn.Linear)
    return layer


def _attend(head: Interests, states: Tensor) -> Tensor:
    """The interests of one history, ``[T, D]``, by the paper's equation."""
    first, second = _linear(head.weigh[0]), _linear(head.weigh[2])
    hidden = torch.tanh((states + head.positions[: len(states)]) @ first.weight.T + first.bias)
    interests: Tensor = torch.softmax(hidden @ second.weight.T + second.bias, 0).T @ states
    return interests


def _route(head: Capsules, states: Tensor, through: bool = True) -> Tensor:
    """The capsules of one history, by algorithm 1 of the paper; ``through``: with gradients of all rounds."""
    events, width = states.shape
    maps = [head.maps[:, :, k * width : (k + 1) * width] for k in range(head.interests)]
    said = torch.stack([torch.stack([states[j] @ part[j] for part in maps]) for j in range(events)])
    logits = torch.zeros(events, head.interests)
    for _ in range(head.rounds):
        total = (torch.softmax(logits, 1)[..., None] * said).sum(0)
        length = total.square().sum(1, keepdim=True).sqrt()
        capsules: Tensor = length**2 / (1 + length**2) * total / length
        update = (said * capsules).sum(-1)
        logits = logits + (update if through else update.detach())
    return capsules


@torch.no_grad()
@pytest.mark.parametrize("kind", ["attention", "capsules"])
def test_each_prefix_has_the_interests_of_the_equations(kind: str) -> None:
    with seeded(0, kind):
        head = Interests(6, 3, 9) if kind == "attention" else Capsules(6, 3, 9)
        states = 2 * torch.randn(2, 8, 6)
    batch = _batch([8, 5])
    queries = head.queries(states, batch)
    for user, length in enumerate([8, 5]):
        for events in range(1, length + 1):
            so_far = states[user, :events]
            expected = _attend(head, so_far) if isinstance(head, Interests) else _route(head, so_far)
            torch.testing.assert_close(queries[user, events - 1], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(head.final(states, batch)[user], queries[user, length - 1], rtol=1e-4, atol=1e-5)


def test_attention_is_stable_however_large_its_logits_are() -> None:
    with seeded(0, "attention"):
        head, states = Interests(6, 3, 200), torch.randn(1, 200, 6).requires_grad_()
    with torch.no_grad():
        _linear(head.weigh[2]).weight.mul_(3000.0)
    queries = head.queries(states, _batch([200]))
    expected = torch.stack([_attend(head, states[0, : t + 1]) for t in range(200)])
    torch.testing.assert_close(queries[0], expected, rtol=1e-3, atol=1e-4)
    (gradient,) = torch.autograd.grad(queries.square().sum(), states)
    assert bool(torch.isfinite(gradient).all())


def test_routing_sends_gradients_through_its_last_round_alone() -> None:
    with seeded(0, "capsules"):
        head, states = Capsules(6, 3, 9), torch.randn(1, 4, 6)

    def gradient(capsules: Tensor) -> Tensor:
        return torch.autograd.grad(capsules.square().sum(), head.maps)[0]

    found = gradient(head.queries(states, _batch([4]))[0, -1])
    torch.testing.assert_close(found, gradient(_route(head, states[0], through=False)), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found, gradient(_route(head, states[0], through=True)), atol=1e-3)


@pytest.mark.parametrize("interests", [ComiRecConfig().interests, CapsulesConfig()], ids=["attention", "capsules"])
def test_contract(interests: CapsulesConfig) -> None:
    check_encoder(ComiRecConfig(interests, count=3, width=16, window=6))


def test_attention_learns_what_follows_what_among_the_unseen() -> None:
    """As interests are means of item vectors, the items of a history themselves score best: these are left out."""
    rng = np.random.default_rng(0)
    users, length, n = 60, 9, 20
    items = (rng.integers(0, n, (users, 1)) + np.arange(length)) % n
    train = Sequences(items[:, :-1].ravel(), np.arange(users + 1) * (length - 1), n)
    config, catalogue = ComiRecConfig(count=2, width=16, window=8, fit=_FIT), Catalogue.of(train)
    with seeded(1, "model"):
        model = config.build(catalogue)
    fit(model, train, config.stages(catalogue), seed=1)
    scores = model.score(train.histories(np.arange(users), 8))
    scores.scatter_(1, torch.from_numpy(items[:, :-1].copy()), -torch.inf)
    assert float((scores.argmax(1).numpy() == items[:, -1]).mean()) > 0.6


def test_rounds_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds must be at least 1, found 0"):
        CapsulesConfig(rounds=0)
