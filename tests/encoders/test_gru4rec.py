"""GRU4Rec's recurrence, its sessions and its losses, written out slowly."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from recgym.encoders import Catalogue, Dot, GRU4RecConfig, GRUBackbone, SessionGaps, SessionNumbers, Where, seeded
from recgym.encoders.losses import BPRMaxConfig, SampledSoftmaxConfig
from recgym.encoders.sessions import Borders
from recgym.testing.encoder import encoder_sequences


def _slow(gru: torch.nn.GRU, vectors: np.ndarray, starts: list[bool]) -> np.ndarray:
    """One history, event by event: arXiv 1511.06939, eqs. 1-4, with h = 0 where a session starts."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(gru, name).detach().numpy() for name in names]

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-x)))

    hidden, states = np.zeros(gru.hidden_size), []
    for vector, start in zip(vectors, starts, strict=True):
        hidden = np.zeros_like(hidden) if start else hidden
        from_input = np.split(weights[0] @ vector + weights[2], 3)
        from_hidden = np.split(weights[1] @ hidden + weights[3], 3)
        reset, keep = (sigmoid(x + h) for x, h in zip(from_input[:2], from_hidden[:2], strict=True))
        candidate = np.tanh(from_input[2] + reset * from_hidden[2])
        hidden = (1 - keep) * candidate + keep * hidden
        states.append(hidden)
    return np.array(states)


def _backbone(borders: Borders | None) -> GRUBackbone:
    with seeded(0, "gru"):
        return GRUBackbone(8, borders=borders).eval()


@pytest.mark.parametrize("borders", [None, SessionNumbers(), SessionGaps(8000.0)])
def test_recurrence_and_reset_against_a_loop(borders: Borders | None) -> None:
    log, backbone = encoder_sequences(1), _backbone(borders)
    batch = log.histories(np.arange(log.num_users), 18)
    vectors = torch.randn(*batch.items.shape, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = backbone(vectors, batch.where())
    assert log.session is not None
    assert log.time_s is not None
    resets = 0
    for user in range(log.num_users):
        part = slice(log.start[user], log.start[user + 1])
        session, time_s, length = log.session[part], log.time_s[part], log.start[user + 1] - log.start[user]
        starts = [t == 0 for t in range(length)]
        for t in range(1, length):
            other, late = session[t] != session[t - 1], time_s[t] - time_s[t - 1] >= 8000.0
            starts[t] = bool(other if borders == SessionNumbers() else late and borders is not None)
        resets += sum(starts[1:])
        expected = _slow(backbone.gru, vectors[user, :length].numpy(), starts)
        np.testing.assert_allclose(states[user, :length].numpy(), expected.reshape(length, 8), atol=1e-6)
    assert (resets > 5) == (borders is not None)


def test_the_hidden_state_does_not_cross_a_border() -> None:
    where = Where(torch.arange(6)[None], torch.ones(1, 6).bool(), session=torch.tensor([[0, 0, 0, 1, 1, 1]]))
    vectors = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    changed = vectors.clone()
    changed[:, :3] += 1.0
    with torch.no_grad():
        apart, joint = _backbone(SessionNumbers()), _backbone(None)
        assert torch.equal(apart(vectors, where)[:, 3:], apart(changed, where)[:, 3:])
        assert not torch.allclose(joint(vectors, where)[:, 3:], joint(changed, where)[:, 3:])
        torch.testing.assert_close(apart(vectors, where)[:, 3:], joint(vectors[:, 3:], where._replace(
            position=where.position[:, 3:], mask=where.mask[:, 3:], session=None)))  # fmt: skip


def test_targets_in_another_session_are_not_trained() -> None:
    log = encoder_sequences(0)
    catalogue = Catalogue.of(log)
    (stage,) = GRU4RecConfig(sessions=SessionNumbers()).stages(catalogue)
    assert stage.transform is not None
    (example,) = log.examples(18, 100, np.random.default_rng(0))
    trained = stage.transform(example, torch.Generator()).targets != log.num_items
    assert log.session is not None
    same = sum(int((np.diff(log.session[a:b]) == 0).sum()) for a, b in zip(log.start[:-1], log.start[1:], strict=True))
    assert int(trained.sum()) == same
    assert int((example.targets != log.num_items).sum()) > same
    assert GRU4RecConfig().stages(catalogue)[0].transform is None


def test_pauses_need_times() -> None:
    log = encoder_sequences(0)
    untimed = Catalogue.of(type(log)(log.items, log.start, log.num_items))
    with pytest.raises(ValueError, match="knows only the order"):
        GRU4RecConfig(sessions=SessionGaps()).build(untimed)


def _skewed(num_items: int = 30) -> Catalogue:
    log = encoder_sequences(0, num_items=num_items)
    counts = (1000 / np.arange(1, num_items + 1) ** 1.5).astype(np.int64) + 1
    return Catalogue(num_items, counts, Catalogue.of(log).feedback, True)


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize(("count", "in_batch"), [(12, 4), (0, 5), (12, 0)])
def test_sampled_softmax_by_hand(count: int, in_batch: int, corrected: bool) -> None:
    """Every score is lowered by the logarithm of how often its item is expected; the target itself is no negative."""
    catalogue = _skewed()
    loss = SampledSoftmaxConfig(count, 0.5, in_batch, corrected).build(catalogue)
    queries, vectors = torch.split(torch.randn(36, 4, generator=torch.Generator().manual_seed(0)), [6, 30])
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    found = float(loss(Dot(), queries, vectors, targets, torch.Generator().manual_seed(3)))
    drawn = loss.draw(targets, torch.Generator().manual_seed(3)).tolist()
    assert len(drawn) == count + in_batch
    counts = catalogue.counts.astype(float)
    expected = count * counts**0.5 / (counts**0.5).sum() + in_batch * counts / counts.sum()
    shift = torch.from_numpy(np.log(expected) * corrected)
    total = 0.0
    for query, target in zip(queries, targets.tolist(), strict=True):
        candidates = [target, *(item for item in drawn if item != target)]
        scores = torch.stack([query @ vectors[item] - shift[item] for item in candidates])
        total -= float(functional.log_softmax(scores, 0)[0])
    assert found == pytest.approx(total / 6, rel=1e-5)


def test_expected_number_of_negatives() -> None:
    catalogue = _skewed()
    loss = SampledSoftmaxConfig(count=40, alpha=0.5, in_batch=25).build(catalogue)
    counts = torch.from_numpy(catalogue.counts).double()
    expected = 40 * counts.sqrt() / counts.sqrt().sum() + 10 * counts / counts.sum()  # The batch has 10 queries.
    found = loss.log_expected(torch.arange(30), 10).exp().double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    law, generator = counts / counts.sum(), torch.Generator().manual_seed(0)
    drawn = torch.zeros(30)
    for _ in range(2000):
        targets = torch.multinomial(law, 10, True, generator=generator)
        drawn += torch.bincount(loss.draw(targets, generator), minlength=30)
    torch.testing.assert_close(drawn / 2000, expected.float(), rtol=0.1, atol=0.02)


def test_bpr_max_by_hand() -> None:
    """arXiv 1706.03847, eq. 10, with the negatives that the loss itself draws."""
    catalogue, config = _skewed(), BPRMaxConfig(SampledSoftmaxConfig(count=12, alpha=0.5, in_batch=4), penalty=0.7)
    loss = config.build(catalogue)
    queries, vectors = torch.split(torch.randn(36, 4, generator=torch.Generator().manual_seed(0)), [6, 30])
    targets = torch.tensor([0, 1, 2, 3, 4, 5])
    found = float(loss(Dot(), queries, vectors, targets, torch.Generator().manual_seed(3)))
    drawn = config.negatives.build(catalogue).draw(targets, torch.Generator().manual_seed(3)).tolist()
    total = 0.0
    for query, target in zip(queries, targets.tolist(), strict=True):
        others = [item for item in drawn if item != target]
        scores = torch.stack([query @ vectors[item] for item in others])
        weights = functional.softmax(scores, 0)
        inside = (weights * torch.sigmoid(query @ vectors[target] - scores)).sum()
        total += float(-inside.log() + 0.7 * (weights * scores**2).sum())
    assert found == pytest.approx(total / 6, rel=1e-5)


def test_negatives_there_must_be() -> None:
    with pytest.raises(ValueError, match="at least one negative"):
        SampledSoftmaxConfig(count=0, in_batch=0)
