"""The arms of the comparison: one log, one Transformer, one budget."""

from dataclasses import dataclass, replace
from typing import Any

from recgym.agents.decision_transformer import (
    CoreConfig,
    DT4IERConfig,
    DTConfig,
    Linear,
    OneSum,
    OptimiserConfig,
)
from recgym.agents.offline import BCConfig

__all__ = ["ABLATIONS", "ARMS", "SCALAR", "Job", "Size"]

SCALAR = ("dt", "dt_sum")
ABLATIONS = ("no_balance", "no_buckets", "no_contrast")
ARMS = ("bc", *SCALAR, "dt4ier", *ABLATIONS)


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes:
        width: d.
        heads: of each block.
        batch: windows in an update.
        updates: of each decision transformer.
        log_steps: of the log, at least.
        users: of the test.
        validation: users on whom prompts are settled.
    """

    width: int = 64
    heads: int = 8
    batch: int = 64
    updates: int = 2000
    log_steps: int = 320_000
    users: int = 512
    validation: int = 64


@dataclass(frozen=True)
class Job:
    """One training and its test.

    Attributes:
        arm: which.
        seed: of the log, the weights and the users.
        size: how large.
    """

    arm: str
    seed: int
    size: Size

    @property
    def key(self) -> str:
        """A name for files."""
        size = self.size
        return f"{self.arm}_{self.seed}_d{size.width}_u{size.updates}_b{size.batch}_{size.log_steps}_{size.users}"

    def config(self) -> Any:
        """The settings of the agent."""
        size = self.size
        core = CoreConfig(width=size.width, heads=size.heads, dropout=0.0)
        optimiser = OptimiserConfig(batch_size=size.batch, learning_rate=1e-3 if size.width >= 64 else 2e-3)
        full = DT4IERConfig(core, optimiser=optimiser)
        return {
            "bc": BCConfig(),
            "dt": DTConfig(core, optimiser=optimiser),
            "dt_sum": DTConfig(core, returns=OneSum(), optimiser=optimiser),
            "dt4ier": full,
            "no_balance": replace(full, balance=False),
            "no_buckets": replace(full, embedding=Linear()),
            "no_contrast": replace(full, contrastive=0.0),
        }[self.arm]
