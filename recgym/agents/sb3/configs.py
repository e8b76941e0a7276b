"""Which agents there are."""

from typing import TypeAlias

from recgym.agents.sb3.off_policy import DQNConfig, SACConfig, TD3Config
from recgym.agents.sb3.on_policy import A2CConfig, PPOConfig

__all__ = ["CONFIGS", "AnyConfig"]

AnyConfig: TypeAlias = PPOConfig | A2CConfig | DQNConfig | SACConfig | TD3Config
"""The agents there are; names on the command line and in checkpoints come from here."""

CONFIGS: dict[str, type[AnyConfig]] = {c.name: c for c in (PPOConfig, A2CConfig, DQNConfig, SACConfig, TD3Config)}
"""The same, by these names."""
