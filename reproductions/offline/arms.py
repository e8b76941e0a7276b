"""The arms of the table, and what each of them needs of a log."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from recgym.agents.constrained import BasisConfig, Responses, TSCACConfig
from recgym.agents.decision_transformer import CoreConfig, DT4IERConfig, DTConfig, FeedbackAndReturns, OptimiserConfig
from recgym.agents.offline import BCConfig, OfflineConfig

__all__ = [
    "ARMS", "BASES", "FULL", "LEARNERS", "QUICK", "RL", "WORLDS", "Budget", "Run", "Signals", "config_of", "missing",
]  # fmt: skip

WORLDS = ("short-video", "ebnerd")
_D3RLPY = ("discrete_cql", "discrete_bcq", "iql", "td3_bc")
RL = (*_D3RLPY, "dt", "dt4ier", "tscac")
LEARNERS = ("bc", "bc_greedy", "bc10", *RL)
ARMS = ("random", *LEARNERS)
"""``bc_greedy`` is cloning that takes its likeliest action, as d3rlpy's policies do; all others draw theirs."""
BASES = {arm: "bc_greedy" if arm in _D3RLPY else "bc" for arm in ("bc10", *RL)}
"""What an arm is held against: cloning that is served alike, for to draw no longer is worth something by itself."""


@dataclass(frozen=True)
class Signals:
    """What counts in the feedback of a log.

    Attributes:
        main: channel that TSCAC maximises.
        auxiliary: channels that TSCAC must not let suffer.
        costs: those among them of which less is better.
        immediate: names and weights of the first return that DT4IER is asked for.
    """

    main: str
    auxiliary: tuple[str, ...]
    costs: tuple[str, ...]
    immediate: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Budget:
    """How large everything is.

    Attributes:
        updates: of every agent.
        clone: of TSCAC's, those that learn the log's behaviour.
        stage1: of TSCAC's, those that follow and learn the auxiliary policies.
        model: updates of each model of values.
        resamples: of the users, for intervals.
        steps: of the log of short videos, at least.
        sessions: of an episode, at most.
        users: that a policy serves, for each of ``user_seeds``.
        user_seeds: how many.
    """

    updates: int
    clone: int
    stage1: int
    model: int
    resamples: int
    steps: int
    sessions: int
    users: int
    user_seeds: int


FULL = Budget(3000, 750, 500, 2000, 500, 100_000, 3, 1024, 4)
QUICK = Budget(500, 150, 100, 300, 200, 10_000, 2, 512, 4)


@dataclass(frozen=True)
class Run:
    """One arm on one log.

    Attributes:
        world: of :data:`WORLDS`.
        arm: of :data:`ARMS`.
        seed: of the log (or of who is held out) and of the agent.
    """

    world: str
    arm: str
    seed: int

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.world}_{self.arm}_{self.seed}"


def missing(arm: str) -> str:
    """Why an arm cannot run here, and what would help; empty if it can."""
    if arm not in _D3RLPY:
        return ""
    try:
        version("d3rlpy")
    except PackageNotFoundError:
        return "needs d3rlpy; pip install 'recgym[offline]' installs it"
    return ""


def config_of(arm: str, signals: Signals, budget: Budget) -> OfflineConfig:
    """The agent of an arm.

    Raises:
        ModuleNotFoundError: it is one of d3rlpy's, which is not installed.
    """
    if arm in _D3RLPY:
        from recgym.agents.d3rlpy import D3RLPY_CONFIGS

        return D3RLPY_CONFIGS[f"d3rlpy-{arm.replace('_', '-')}"]()
    core, optimiser = CoreConfig(width=64, heads=8, dropout=0.0), OptimiserConfig(batch_size=64, learning_rate=1e-3)
    responses = Responses(signals.main, signals.auxiliary, signals.costs)
    basis = BasisConfig(responses, clone_updates=budget.clone)
    made: dict[str, OfflineConfig] = {
        "bc": BCConfig(),
        "bc_greedy": BCConfig(),
        "bc10": BCConfig(best=0.1),
        "dt": DTConfig(core, optimiser=optimiser),
        "dt4ier": DT4IERConfig(core, returns=FeedbackAndReturns(signals.immediate), optimiser=optimiser),
        "tscac": TSCACConfig(stage1_updates=budget.stage1, basis=basis),
    }
    return made[arm]
