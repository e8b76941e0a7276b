"""Settings of a baseline, chosen on validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from recgym.encoders.baselines import Baseline, BaselineConfig
from recgym.encoders.sequences import Sequences

__all__ = ["Choice", "choose_settings"]

Config = TypeVar("Config", bound=BaselineConfig)


@dataclass(frozen=True)
class Choice(Generic[Config]):
    """The settings that did best.

    Attributes:
        config: these.
        model: fitted with them.
        scores: what each of the settings achieved, in their order.
    """

    config: Config
    model: Baseline
    scores: tuple[float, ...]


def choose_settings(
    configs: Sequence[Config], sequences: Sequences, validate: Callable[[Baseline], float]
) -> Choice[Config]:
    """Fit with each of the settings and keep the best; of equally good ones the first.

    Args:
        configs: the settings.
        sequences: what to fit on.
        validate: how good a model is on other data, higher is better.

    Raises:
        ValueError: there are no settings.
    """
    if not configs:
        raise ValueError("settings can only be chosen among at least one, found none")
    best, scores = None, []
    for config in configs:
        model = config.fit(sequences)
        scores.append(validate(model))
        if best is None or scores[-1] > max(scores[:-1]):
            best = (config, model)
    assert best is not None
    return Choice(*best, tuple(scores))
