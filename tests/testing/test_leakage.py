"""The leakage canary on every sequence agent and encoder, and on variants that leak."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recgym.agents.decision_transformer import CoreConfig, DT4IERConfig, DTConfig, OptimiserConfig
from recgym.agents.decision_transformer.network import Core, Steps
from recgym.agents.offline import OfflineAgent
from recgym.encoders import SASRecConfig
from recgym.encoders.transformer import Bidirectional, Transformer
from recgym.testing import check_chance, check_encoder_no_leak, check_no_leak
from recgym.testing.encoder import encoder_model, encoder_sequences
from recgym.testing.leakage import changed_actions, encoder_logits, step_logits
from tests.agents.offline.cases import log_of
from tests.encoders.cases import CASES

CORE = CoreConfig(window=6, width=16, heads=2)
OPTIMISER = OptimiserConfig(batch_size=64, learning_rate=3e-3, warmup=10)
AGENTS: dict[str, tuple[Any, str]] = {
    "dt-items": (DTConfig(CORE, optimiser=OPTIMISER), "items"),
    "dt-slates": (DTConfig(CORE), "slates"),
    "dt-flat": (DTConfig(CORE), "flat"),
    "dt4ier-sessions": (DT4IERConfig(CORE, optimiser=OPTIMISER), "sessions"),
    "dt4ier-slates": (DT4IERConfig(CORE), "slates"),
}


def steps_and_network(name: str) -> tuple[Steps, Any, int, int]:
    config, kind = AGENTS[name]
    store = log_of(kind)
    agent = OfflineAgent.of(config, store).fit(store, 3)
    rows = np.arange(0, len(store), len(store) // 24)
    learner: Any = agent.learner
    return learner.trainer.windows(store, rows), learner.module, store.problem.num_candidates, store.problem.slate_size


@pytest.mark.parametrize("name", AGENTS)
def test_agents_do_not_leak(name: str) -> None:
    steps, network, candidates, slate = steps_and_network(name)
    # The logits may be worked out in another order where lists are read once, so the widths must not matter.
    check_no_leak(name, step_logits(network, candidates, slate), steps, changed_actions(candidates), 6)


class Shown(Core):
    """A core whose last block lets a state token see its own action."""

    def forward(self, tokens: Tensor, newest: Tensor | None = None) -> Tensor:
        shown = tokens.clone()
        shown[:, :, 1] += tokens[:, :, 2]
        return super().forward(shown, newest)


class Ahead(Core):
    """A core that sees the whole window."""

    def forward(self, tokens: Tensor, newest: Tensor | None = None) -> Tensor:
        return super().forward(tokens, newest) + tokens.mean((1, 2))[:, None]


@pytest.mark.parametrize("leaky", [Shown, Ahead])
@pytest.mark.parametrize("name", ["dt-items", "dt4ier-sessions"])
def test_agents_that_leak_are_caught(name: str, leaky: type[Core]) -> None:
    steps, network, candidates, slate = steps_and_network(name)
    network.core.__class__ = leaky
    with pytest.raises(AssertionError, match="moves logits up to that step"):
        check_no_leak(name, step_logits(network, candidates, slate), steps, changed_actions(candidates), 6)


def hits_after_shuffled_labels(name: str, leaky: type[Core] | None = None) -> tuple[np.ndarray, float]:
    """Of other users of the log, all of whose actions were drawn anew, at random."""
    config, kind = AGENTS[name]
    store = log_of(kind)
    m = store.problem.num_candidates
    store.columns["action"][:] = np.random.default_rng(0).integers(0, m, store.columns["action"].shape)
    train, test = store.split(0.3, seed=0)
    agent = OfflineAgent.of(config, train)
    learner: Any = agent.learner
    if leaky is not None:
        learner.module.core.__class__ = leaky
    agent.fit(train, 150)
    steps = learner.trainer.windows(test, np.arange(0, len(test), 7))
    with torch.no_grad():
        chosen = learner.module.decide(steps.hidden(learner.module), steps.observation).mode()
    return (chosen == steps.action).numpy().astype(np.float64), 1 / m


@pytest.mark.parametrize("name", ["dt-items", "dt4ier-sessions"])
def test_shuffled_labels_teach_agents_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = AGENTS[name][1]
    monkeypatch.setitem(log_of(kind).columns, "action", log_of(kind).columns["action"].copy())
    check_chance(name, *hits_after_shuffled_labels(name))


def test_an_agent_that_sees_its_labels_beats_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(log_of("items").columns, "action", log_of("items").columns["action"].copy())
    with pytest.raises(AssertionError, match="is shown what it should foretell"):
        check_chance("shown", *hits_after_shuffled_labels("dt-items", Shown))


@pytest.mark.parametrize("name", CASES)
def test_encoders_do_not_leak(name: str) -> None:
    check_encoder_no_leak(CASES[name])


def test_an_encoder_that_sees_ahead_is_caught() -> None:
    sequences = encoder_sequences(0)
    model = encoder_model(SASRecConfig(width=16, window=6), sequences, 0)
    backbone = model.encoder.backbone
    assert isinstance(backbone, Transformer)
    backbone.mask = Bidirectional()
    batch = sequences.histories(np.arange(sequences.num_users), 6)

    def changed(inputs: Any, step: int) -> Any:
        fresh = inputs.map(Tensor.clone)
        fresh.items[:, step:] = (inputs.items[:, step:] + 7) % model.num_items
        return fresh

    with pytest.raises(AssertionError, match="moves logits up to that step"):
        check_no_leak("ahead", encoder_logits(model), batch, changed, 6)


def test_logits_that_depend_on_nothing_test_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing was tested"):
        check_no_leak("blind", lambda inputs: torch.zeros(2, 3, 4), torch.zeros(2, 3), lambda inputs, step: inputs, 3)
