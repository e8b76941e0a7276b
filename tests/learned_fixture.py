"""A small fitted simulator, made once a test process."""

from functools import lru_cache

from recgym.evaluation.embedded import embedded_log
from recgym.simulators.learned import FittedSimulator, LearnedConfig, fit


@lru_cache(maxsize=1)
def small_simulator() -> FittedSimulator:
    """Users learned from 200 users of the embedded log in a few seconds; good enough to step, not to believe."""
    return fit(embedded_log(users=200).log, LearnedConfig(hidden=16, item_width=8, max_epochs=2))
