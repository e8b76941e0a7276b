"""Decision transformers as agents: contract, memory, conditioning, checkpoints."""

from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recgym.agents import MixturePolicy, ScoredPolicy
from recgym.agents.decision_transformer import (
    Buckets,
    CoreConfig,
    DecisionTransformerPolicy,
    DT4IERConfig,
    DTConfig,
    FeedbackAndReturns,
    Linear,
    OneSum,
    OptimiserConfig,
)
from recgym.agents.decision_transformer.balance import balance_loss, contrastive_loss
from recgym.agents.decision_transformer.network import steps_of
from recgym.agents.decision_transformer.returns import logged_returns
from recgym.agents.loading import load_policy
from recgym.agents.offline import OfflineAgent, load_offline
from recgym.arrays import where_rows
from recgym.data.transitions import TransitionStore
from recgym.envs import Task, make_task
from recgym.evaluation import action_spec, record
from recgym.seeding import make_generator
from recgym.testing import check_agent
from recgym.types import Decision
from tests.agents.offline.cases import log_of, task_of

CORE = CoreConfig(window=4, width=16, heads=2)
OPTIMISER = OptimiserConfig(batch_size=32, learning_rate=3e-3, warmup=10)
SMALL: dict[str, Any] = {"core": CORE, "optimiser": OPTIMISER}
CASES: dict[str, tuple[Any, str]] = {
    "dt": (DTConfig(**SMALL), "items"),
    "dt-slates": (DTConfig(**SMALL), "slates"),
    "dt-flat": (DTConfig(**SMALL), "flat"),
    "dt-sum": (DTConfig(returns=OneSum(), **SMALL), "sessions"),
    "dt4rec": (DTConfig(embedding=Buckets(), **SMALL), "sessions"),
    "dt4ier": (DT4IERConfig(**SMALL), "sessions"),
    "dt4ier-slates": (DT4IERConfig(**SMALL), "slates"),
    "dt4ier-ablated": (DT4IERConfig(embedding=Linear(), balance=False, contrastive=0.0, **SMALL), "sessions"),
}


def fitted(name: str, updates: int = 20) -> tuple[OfflineAgent, TransitionStore, Task]:
    config, kind = CASES[name]
    store = log_of(kind)
    return OfflineAgent.of(config, store).fit(store, updates), store, task_of(kind)


@pytest.mark.parametrize("name", CASES)
def test_the_policy_keeps_the_contract(name: str) -> None:
    agent, store, task = fitted(name, 10)
    check_agent(agent.policy(), action_spec(task), store.observations(store.steps[:3]))


@pytest.mark.parametrize("name", ["dt", "dt-slates", "dt-flat", "dt4rec", "dt4ier", "dt4ier-slates"])
def test_a_policy_that_goes_step_by_step_is_the_network_over_windows(name: str) -> None:
    agent, _, task = fitted(name)
    policy = agent.policy()
    store = record(policy, task, 1, seed=11, max_steps=9)  # longer than its window
    so_far = logged_returns(store, policy.weights.double().numpy())  # type: ignore[attr-defined]
    # What is still asked for is the prompt less what was earned: the same as the return to go, moved by a constant.
    owner = np.repeat(np.arange(len(store.episodes)), store.lengths)
    to_go = np.zeros_like(so_far.to_go)
    prompt = policy.prompt.numpy()  # type: ignore[attr-defined]
    to_go[store.steps] = prompt - (so_far.episodes[owner] - so_far.to_go[store.steps])
    rows = np.arange(0, len(store), 5)
    network: Any = policy.network  # type: ignore[attr-defined]
    steps = steps_of(store, rows, CORE.window, to_go)
    with torch.no_grad():
        chance = network.decide(steps.hidden(network), steps.observation).log_prob(steps.action)
    last = torch.zeros_like(steps.mask)
    last[torch.arange(len(rows)), steps.mask.sum(1) - 1] = True
    np.testing.assert_allclose(
        chance[last[steps.mask]], store.columns["log_propensity"][store.steps[rows]], atol=2e-4
    )  # fmt: skip


def test_rows_of_a_policy_are_reset_by_mask() -> None:
    agent, store, _ = fitted("dt4ier")
    policy = agent.policy()
    seen = store.observations(store.steps[:6])
    state = policy.init_state(6, "cpu")
    for _ in range(6):
        _, state = policy.act(seen, state, make_generator(0, "a"))
    mask = torch.tensor([True, False] * 3)
    mixed = where_rows(mask, policy.init_state(6, "cpu"), state)
    one, after = policy.act(seen, mixed, make_generator(1, "a"))
    fresh, _ = policy.act(seen, policy.init_state(6, "cpu"), make_generator(1, "a"))
    old, _ = policy.act(seen, state, make_generator(1, "a"))
    torch.testing.assert_close(one.log_propensity[mask], fresh.log_propensity[mask])
    torch.testing.assert_close(one.log_propensity[~mask], old.log_propensity[~mask])
    assert after.steps.tolist() == [1, 4, 1, 4, 1, 4]


@cache
def log_of_two_kinds() -> TransitionStore:
    """Half of the users are shown glittering items, which are clicked, the others dull ones, which bring them back."""
    task = make_task("recgym/Retention-v0", {"num_candidates": 6, "window": 6})
    glitter = torch.as_tensor(task.model.item_features)[:, -1]

    def kind(sign: float) -> ScoredPolicy[Any]:
        return ScoredPolicy(action_spec(task), lambda seen: sign * glitter[seen["candidates"]], 0.3)

    return record(MixturePolicy([kind(1.0), kind(-1.0)], (0.5, 0.5)), task, 1, seed=1, max_steps=20)


def glitter_shown(policy: DecisionTransformerPolicy, store: TransitionStore, prompt: list[float]) -> float:
    """Mean glitter of what is shown to new users at the first step."""
    seen = store.observations(store.episodes[:500, 0])
    asked = policy.prompted(torch.tensor([prompt]))
    decision, _ = asked.act(seen, asked.init_state(500, "cpu"), make_generator(0, "a"))
    shown = seen["candidates"].gather(1, torch.as_tensor(decision.action)[:, None])[:, 0]
    return float(store.item_features[shown.numpy(), -1].mean())


@pytest.mark.parametrize("name", ["dt", "dt4rec", "dt4ier"])
def test_what_is_asked_for_decides_what_is_shown(name: str) -> None:
    store = log_of_two_kinds()
    both = FeedbackAndReturns()
    configs: dict[str, Any] = {
        "dt": DTConfig(returns=both, **SMALL),
        "dt4rec": DTConfig(returns=both, embedding=Buckets(), **SMALL),
        "dt4ier": DT4IERConfig(**SMALL),
    }
    policy: Any = OfflineAgent.of(configs[name], store).fit(store, 150).policy()
    episodes = logged_returns(store, both.weights(store)).episodes
    most = episodes[episodes[:, 0] >= np.quantile(episodes[:, 0], 0.9)].mean(0).tolist()
    least = episodes[episodes[:, 0] <= np.quantile(episodes[:, 0], 0.1)].mean(0).tolist()
    assert glitter_shown(policy, store, most) > glitter_shown(policy, store, least) + 0.5


def test_preference_vectors() -> None:
    task = replace(make_task("recgym/Retention-v0", {"num_candidates": 5, "window": 6}), action="preference")

    class Drift:
        """Vectors about a fixed one."""

        def init_state(self, users: int, device: str) -> tuple[()]:
            return ()

        def act(self, observation: Any, state: Any, generator: Any, greedy: bool = False) -> Any:
            users = len(observation["history_items"])
            draw = 0.3 + 0.1 * torch.randn((users, 9), generator=generator)
            return Decision(draw.clamp(-0.99, 0.99), torch.zeros(users)), state

    store = record(Drift(), task, 1, seed=0, max_steps=6)
    agent = OfflineAgent.of(DTConfig(**SMALL), store).fit(store, 150)
    policy = agent.policy()
    seen = store.observations(store.steps[:50])
    decision, _ = policy.act(seen, policy.init_state(50, "cpu"), make_generator(0, "a"), True)
    assert abs(float(torch.as_tensor(decision.action).mean()) - 0.3) < 0.08
    with pytest.raises(ValueError, match="actions that are items"):
        OfflineAgent.of(DT4IERConfig(**SMALL), store)


@pytest.mark.parametrize("name", ["dt", "dt4ier"])
def test_an_interrupted_agent_learns_the_same_and_is_served_from_its_folder(name: str, tmp_path: Path) -> None:
    config, kind = CASES[name]
    store = log_of(kind)
    whole = OfflineAgent.of(config, store, seed=3).fit(store, 12, stretch=4)
    OfflineAgent.of(config, store, seed=3).fit(store, 8, stretch=4, folder=tmp_path)
    resumed = load_offline(tmp_path).fit(store, 12, stretch=4)
    assert resumed.losses == whole.losses
    for key, value in whole.learner.module.state_dict().items():
        assert torch.equal(value, resumed.learner.module.state_dict()[key]), key
    resumed.save(tmp_path / "checkpoint")
    mine: Any = whole.policy()
    theirs: Any = load_policy(tmp_path)
    assert torch.equal(mine.prompt, theirs.prompt)
    assert torch.equal(mine.weights, theirs.weights)
    assert float(mine.weights.abs().sum()) > 0


def test_the_chances_of_all_slates_sum_to_one() -> None:
    agent, store, _ = fitted("dt4ier-slates")
    network: Any = agent.learner.module
    m, k = store.problem.num_candidates, store.problem.slate_size
    seen = store.observations(store.steps[:4])
    with torch.no_grad():
        distribution = network.decide(torch.randn(4, CORE.width), seen)
        total = sum(
            distribution.log_prob(torch.tensor(slate).expand(4, -1)).exp() for slate in permutations(range(m), k)
        )
    torch.testing.assert_close(total, torch.ones(4))
    taken = distribution.log_prob(torch.zeros((4, k), dtype=torch.int64)).exp()
    assert torch.equal(taken, torch.zeros(4))


def test_weights_of_users_and_the_pull_apart() -> None:
    weights, returns = torch.tensor([[0.25, 0.75]]), torch.tensor([[2.0, 1.0]])
    assert float(balance_loss(weights, returns)) == pytest.approx(-(0.5 + 0.75) + 0.5 * 0.25)
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    window = torch.tensor([0, 0, 1])
    assert float(contrastive_loss(same, window, torch.tensor([True, False]), 2)) == pytest.approx(0.0)
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-3.0, 0.0]])
    assert float(contrastive_loss(apart, window, torch.tensor([True, False]), 2)) == pytest.approx(-2.0)
    assert float(contrastive_loss(apart, window, torch.tensor([False, False]), 2)) == 0.0
    agent, store, _ = fitted("dt4ier")
    network: Any = agent.learner.module
    seen = store.observations(store.steps[:5])
    torch.testing.assert_close(network.weights(seen).sum(1), torch.ones(5))
    ablated: Any = fitted("dt4ier-ablated", 2)[0]
    assert torch.equal(ablated.learner.module.weights(seen), torch.full((5, 2), 0.5))
    assert set(ablated.losses[0]) == {"updates", "loss"}
    assert set(agent.losses[0]) == {"updates", "loss", "contrastive", "balance"}


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r"quantile must lie in \[0, 1\], found 2"):
        DTConfig(quantile=2)
    with pytest.raises(ValueError, match="contrastive must not be negative"):
        DT4IERConfig(contrastive=-1.0)
    with pytest.raises(ValueError, match="needs histories"):
        OfflineAgent.of(DT4IERConfig(**SMALL), log_of("flat"))
    agent, _, _ = fitted("dt4ier", 1)
    policy: Any = agent.policy()
    with pytest.raises(ValueError, match="a prompt has 2 parts here, found 1"):
        policy.prompted(torch.ones(1, 1))
    with pytest.raises(ValueError, match="prompts for 3 users, found 2 users"):
        policy.prompted(torch.ones(3, 2)).init_state(2, "cpu")
