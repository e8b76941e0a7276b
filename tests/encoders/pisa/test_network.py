"""The network and its loss against the equations, written out item by item."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recgym.encoders import seeded
from recgym.encoders.activation import partial_matching
from recgym.encoders.batch import Where
from recgym.encoders.pisa.components import Components, components_to_train
from recgym.encoders.pisa.config import PISAConfig
from recgym.encoders.pisa.network import PISANetwork
from recgym.encoders.pisa.training import losses
from tests.encoders.pisa.examples import SMALL, histories, small_log
from tests.encoders.pisa.test_components import association_of

_VARIANTS = [
    SMALL,
    dataclasses.replace(SMALL, matching=False),
    dataclasses.replace(SMALL, matching=False, spreading=False),
    dataclasses.replace(SMALL, long_term=False, power=1.0),
    dataclasses.replace(SMALL, base_level=False, spreading=False, matching=False, long_term=False, skip=False),
]


def _setting(config: PISAConfig) -> tuple[PISANetwork, Components]:
    """A network of random weights, and windows of all users."""
    found = histories(small_log())
    with seeded(0, "network"):
        network = PISANetwork(config, found.num_items)
        network.strengths.data = torch.tensor([1.7, 0.3, 0.4])
        for name, part in network.named_parameters():
            if name == "backbone.position.table":
                part.data.normal_()
    known = components_to_train(found, association_of(found), config)
    return network.eval(), known.take(found.windows(config.window, config.stride))


def _norm(vector: Tensor) -> Tensor:
    return vector / vector.norm() if vector.norm() > 0 else vector


def _session(network: PISANetwork, sessions: Components, row: int, column: int, level: Tensor) -> Tensor:
    """``x`` of one session, by its items one at a time."""
    config, table = network.config, network.items.weight
    n = network.items.num_items
    held = [item for item in sessions.items[row, column].tolist() if item < n]
    before = [item for item in sessions.items[row, column - 1].tolist() if item < n] if column else []
    grades = []
    for place, item in enumerate(held):
        matching = sum((float(table[item] @ table[other]) for other in before if other != item), 0.0)
        parts = []
        for on, strength, part in zip(
            (config.base_level, config.spreading, config.matching),
            network.strengths.tolist(),
            (float(level[place]), float(sessions.spread[row, column, place]), matching),
            strict=True,
        ):
            parts += [max(strength, 0.0) * max(part, 0.0)] if on else []
        grades.append(sum(parts) ** config.power if parts else 1.0)
    total = sum(grades)
    if total == 0:
        return table[held].mean(0)
    vector: Tensor = sum(grade / total * table[item] for grade, item in zip(grades, held, strict=True))  # type: ignore[assignment]
    return vector


def _wanted(network: PISANetwork, sessions: Components, row: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Targets, short and long-term interests of one window."""
    config, table = network.config, network.items.weight
    count = int((sessions.items[row, 1:, 0] < network.items.num_items).sum())
    inputs = [_session(network, sessions, row, c, sessions.level[row, c]) for c in range(1, count)]
    targets = [_norm(_session(network, sessions, row, c, sessions.known[row, c])) for c in range(2, count + 1)]
    where = Where(torch.arange(count - 1)[None], torch.ones((1, count - 1), dtype=torch.bool))
    states = network.backbone(torch.stack(inputs)[None] * math.sqrt(config.width), where)[0]
    shorts, longs = [], []
    for place, x in enumerate(inputs):
        favourites, favour = sessions.favourites[row, place + 1], sessions.favour[row, place + 1]
        long = torch.zeros(config.width)
        state = _norm(states[place])
        if config.long_term:
            long = _norm(favour @ table[favourites])
            share = torch.softmax(network.gate.weight @ torch.cat([long, state]) + network.gate.bias, 0)
            state = share[0] * long + share[1] * state
        shorts.append(_norm(state + x if config.skip else state))
        longs.append(long)
    return targets, shorts, longs


@torch.no_grad()
@pytest.mark.parametrize("config", _VARIANTS)
def test_interests_and_losses_are_the_equations(config: PISAConfig) -> None:
    network, sessions = _setting(config)
    table, n = network.items.table(), network.items.num_items
    generator = torch.Generator().manual_seed(0)
    negatives = torch.randint(n, sessions.items[:, 2:].shape, generator=generator)
    embedded = network.embed(sessions, table)
    found = network.interests(embedded.inputs[:, 1:-1], Components(*(part[:, 1:-1] for part in sessions)), table)
    scores = network.scores(found, table)
    ranked: dict[str, list[float]] = {"target": [], "short": [], "long": []}
    distances = []
    for row in range(len(sessions.items)):
        targets, shorts, longs = _wanted(network, sessions, row)
        for place, vectors in enumerate(zip(targets, shorts, longs, strict=True)):
            target, short, long = vectors
            torch.testing.assert_close(found.short[row, place], short, rtol=1e-3, atol=2e-4)
            torch.testing.assert_close(found.long[row, place], long, rtol=1e-3, atol=2e-4)
            torch.testing.assert_close(scores[row, place], table[:n] @ (short + 0.5 * long), rtol=1e-3, atol=1e-3)
            held = sessions.items[row, place + 2].tolist()
            for positive, negative in zip(held, negatives[row, place].tolist(), strict=True):
                if positive < n and negative not in held:
                    for name, vector in zip(ranked, vectors, strict=True):
                        apart = float(vector @ table[positive] - vector @ table[negative])
                        ranked[name].append(math.log1p(math.exp(-apart)))
            distances.append(1 - float(short @ target))
    means = {name: sum(values) / len(values) for name, values in ranked.items()}
    loss = losses(network, sessions, negatives)
    for name, mean in means.items():
        assert float(getattr(loss, name)) == pytest.approx(mean, rel=1e-3)
    distance = sum(distances) / len(distances)
    assert float(loss.distance) == pytest.approx(distance, rel=1e-3)
    long_part = 0.5 * means["long"] if config.long_term else 0.0
    whole = 0.9 * (0.9 * means["target"] + 0.1 * means["short"] + long_part) + 0.1 * distance
    assert float(loss.total(config)) == pytest.approx(whole, rel=1e-3)


@torch.no_grad()
def test_matching_is_partial_matching() -> None:
    network, sessions = _setting(SMALL)
    table, n = network.items.table(), network.items.num_items
    vectors = functional.embedding(sessions.items, table)
    found = network._matching(sessions, vectors, table)[:, 1:].flatten(0, 1)
    before = sessions.items[:, :-1].flatten(0, 1)
    wanted = partial_matching(table[:n], sessions.items[:, 1:].flatten(0, 1), before, before < n)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    "change",
    [
        {"power": 1.0}, {"matching": False}, {"spreading": False}, {"base_level": False}, {"long_term": False},
        {"skip": False}, {"long": 0.0},
    ],
)  # fmt: skip
def test_every_part_matters(change: dict[str, float]) -> None:
    """A model that leaves out one part of the equations gives other scores, far beyond rounding."""
    network, sessions = _setting(SMALL)
    other = PISANetwork(dataclasses.replace(SMALL, **change), network.items.num_items)  # type: ignore[arg-type]
    other.load_state_dict(network.state_dict())

    def scores(model: PISANetwork) -> Tensor:
        table = model.items.table()
        inputs = Components(*(part[:, 1:-1] for part in sessions))
        real = inputs.items[..., 0] < model.items.num_items
        found: Tensor = model.scores(
            model.interests(model.embed(sessions, table).inputs[:, 1:-1], inputs, table), table
        )[real]
        return found

    assert float((scores(network) - scores(other.eval())).abs().max()) > 0.01


@torch.no_grad()
def test_later_sessions_leave_earlier_states_identical() -> None:
    network, sessions = _setting(SMALL)
    table = network.items.table()

    def states(windows: Components) -> Tensor:
        inputs = Components(*(part[:, 1:-1] for part in windows))
        found: Tensor = network.interests(network.embed(windows, table).inputs[:, 1:-1], inputs, table).short
        return found

    changed = Components(*(part.clone() for part in sessions))
    for part in changed:
        part[:, 3:] = part[torch.randperm(len(part), generator=torch.Generator().manual_seed(0))][:, 3:]
    before, after = states(sessions), states(changed)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2:], after[:, 2:])


def test_gradients_are_finite_where_all_components_are_nothing() -> None:
    network, sessions = _setting(SMALL)
    nothing = sessions._replace(
        level=torch.zeros_like(sessions.level), known=torch.zeros_like(sessions.known),
        spread=torch.zeros_like(sessions.spread), favour=torch.zeros_like(sessions.favour),
    )  # fmt: skip
    network.strengths.data.fill_(-1.0)
    loss = losses(network, nothing, torch.zeros_like(sessions.items[:, 2:])).total(SMALL)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(bool(torch.isfinite(part.grad).all()) for part in network.parameters() if part.grad is not None)
