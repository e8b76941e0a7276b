"""The arms of the comparison, each with the settings that validation may choose from."""

from dataclasses import dataclass

from recgym.agents.constrained import (
    BasisConfig,
    MultiplierConfig,
    OfflineA2CConfig,
    ParetoConfig,
    PPOLagrangianConfig,
    RCPOConfig,
    Responses,
    TSCACConfig,
)
from recgym.agents.offline import BCConfig, OfflineConfig
from reproductions.tscac.world import AUXILIARIES, COSTS, MAIN

__all__ = ["ARMS", "Budget", "FULL", "LAMBDAS", "QUICK", "Run", "config_of"]

LAMBDAS = (0.03, 0.1, 0.3, 1.0)
DUAL_RATES = (0.005, 0.05, 0.5)

ARMS: dict[str, tuple[float, ...]] = {
    "bc": (0.0,),
    "a2c": (0.1, 1.0),
    "rcpo": DUAL_RATES,
    "rcpo-per-response": DUAL_RATES,
    "ppo-lagrangian": DUAL_RATES,
    "pareto": (0.0,),
    "tscac": LAMBDAS,
}
"""Arm -> settings: weights of the auxiliary responses in A2C's sum, rates at which multipliers learn, lambdas; 0 where
there is nothing to choose."""


@dataclass(frozen=True)
class Budget:
    """How long everything learns, in updates, and how many users are served.

    Attributes:
        clone: that learn the log's behaviour.
        stage1: of TSCAC, that learn auxiliary policies.
        total: in all, of every arm.
        steps: of the log.
        users: a seed.
        logged_tests: steps of the log on which policies are valued off-policy.
    """

    clone: int
    stage1: int
    total: int
    steps: int
    users: int
    logged_tests: int


FULL = Budget(1000, 500, 4000, 100_000, 1000, 20_000)
QUICK = Budget(500, 150, 1100, 40_000, 500, 0)


@dataclass(frozen=True)
class Run:
    """One arm at one setting on one log.

    Attributes:
        variant: of the users.
        arm: name of the arm.
        setting: see :data:`ARMS`.
        seed: of the log and of the agent.
    """

    variant: str
    arm: str
    setting: float
    seed: int

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.variant}_{self.arm}_{self.setting:g}_{self.seed}"


def config_of(run: Run, budget: Budget) -> OfflineConfig:
    """The agent of a run."""
    basis = BasisConfig(Responses(MAIN, AUXILIARIES, COSTS), clone_updates=budget.clone)
    multipliers = MultiplierConfig(rate=run.setting)
    made: dict[str, OfflineConfig] = {
        "bc": BCConfig(),
        "a2c": OfflineA2CConfig((run.setting,), basis),
        "rcpo": RCPOConfig(False, multipliers, basis),
        "rcpo-per-response": RCPOConfig(True, multipliers, basis),
        "ppo-lagrangian": PPOLagrangianConfig(multipliers=multipliers, basis=basis),
        "pareto": ParetoConfig(basis=basis),
    }
    if run.arm == "tscac":
        return TSCACConfig((run.setting,), stage1_updates=budget.stage1, basis=basis)
    return made[run.arm]
