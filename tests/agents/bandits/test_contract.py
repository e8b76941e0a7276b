"""Every bandit keeps the contract, and learns which arm is best."""

from typing import Any, ClassVar

import numpy as np
import pytest

from recgym.agents.bandits import BanditSpec, Context, EpsilonGreedy, LinTS
from recgym.testing.bandit import check_bandit
from tests.agents.bandits.cases import BANDITS, PLAIN, SLATE_BANDITS, USERS


@pytest.mark.parametrize("name", [*BANDITS, *SLATE_BANDITS])
def test_the_contract(name: str) -> None:
    bandit, spec = {**BANDITS, **SLATE_BANDITS}[name]
    check_bandit(bandit, spec)


def _context(spec: BanditSpec, users: int, generator: np.random.Generator) -> Context:
    shape = (spec.replications, users)
    user = np.ones((*shape, spec.width))  # a constant: the best arm is the same for all
    items = np.broadcast_to(np.eye(spec.arms)[:, : spec.item_width], (*shape, spec.arms, spec.item_width))
    return Context(user, items if spec.item_width else None)


@pytest.mark.parametrize("users", [1, 4])
@pytest.mark.parametrize("name", BANDITS)
def test_learns_the_best_arm(name: str, users: int) -> None:
    bandit, spec = BANDITS[name]
    if users > 1 and name in ("tvucb", "tvtp"):
        pytest.skip("learns from one user a round")
    spec = spec._replace(replications=4)
    generator = np.random.default_rng(0)
    state, chance = bandit.init_state(spec), np.array([0.2, 0.9, 0.1, 0.2, 0.1])
    late = []
    for step in range(600 // users):
        context = _context(spec, users, generator)
        action = bandit.choose(state, context, generator)
        state = bandit.update(state, context, action, (generator.random(action.shape) < chance[action]) * 1.0)
        if step >= 300 // users:
            late.append(chance[action].mean())
    assert np.mean(late) > 0.5, "no better than chance, 0.3, would allow"


@pytest.mark.parametrize("name", SLATE_BANDITS)
def test_learns_the_best_slate(name: str) -> None:
    bandit, spec = SLATE_BANDITS[name]
    spec = spec._replace(replications=4)
    generator = np.random.default_rng(0)
    state, chance = bandit.init_state(spec), np.array([0.1, 0.6, 0.5, 0.05, 0.05])
    late = []
    for step in range(1500):
        context = _context(spec, 1, generator)
        slate = bandit.choose(state, context, generator)
        click = generator.random(slate.shape) < chance[slate]
        state = bandit.update(state, context, slate, click * (click.cumsum(-1) == 1) * 1.0)
        if step >= 1000:
            late.append(1 - (1 - chance[slate]).prod(-1))
    uniform = 1 - (1 - chance.mean()) ** bandit.slate_size
    assert np.mean(late) > uniform + 0.1


class _Boastful(EpsilonGreedy):
    """Explores more than it says."""

    def choose(self, state: Any, context: Context, generator: np.random.Generator) -> Any:
        return EpsilonGreedy(2 * self.epsilon).choose(state, context, generator)


class _Narrow(LinTS):
    """Draws more widely than it says."""

    exact: ClassVar[bool] = True

    def probabilities(self, state: Any, context: Context, generator: np.random.Generator) -> Any:
        return LinTS(0.3 * self.scale).probabilities(state, context, generator)


class _Deaf(EpsilonGreedy):
    """Learns from what it should not."""

    def update(self, state: Any, context: Context, action: Any, reward: Any, mask: Any = None) -> Any:
        return super().update(state, context, action, reward)


@pytest.mark.parametrize(
    ("bandit", "spec", "message"),
    [
        (_Boastful(0.3), PLAIN, "its propensity says"),
        (_Narrow(), USERS, "its propensity says"),
        (_Deaf(0.3), PLAIN, "learns from a masked reward"),
    ],
)
def test_broken_promises_are_told(bandit: Any, spec: BanditSpec, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_bandit(bandit, spec)
