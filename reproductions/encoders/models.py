"""The models of the table, with their settings on each data set."""

from dataclasses import dataclass, replace

from recgym.encoders import FitConfig, ModelConfig, SASRecConfig

__all__ = ["CONFIGS", "Run", "RUNS"]

_LONG = FitConfig(epochs=60, patience=8)
_SPARSE = FitConfig(epochs=100, patience=10, batch_size=256)

_SASREC = {
    "ml-1m": SASRecConfig(width=64, blocks=2, window=200, dropout=0.2, fit=_LONG),
    "ml-100k": SASRecConfig(width=64, blocks=2, window=100, dropout=0.2, fit=replace(_LONG, epochs=100, batch_size=32)),
    "beauty": SASRecConfig(width=64, blocks=1, window=50, dropout=0.2, fit=_SPARSE),
}

CONFIGS: dict[str, dict[str, ModelConfig]] = {
    "sasrec": dict(_SASREC),
}
"""Model -> data set -> settings."""


@dataclass(frozen=True)
class Run:
    """One cell of the table.

    Attributes:
        dataset: name in :data:`reproductions.encoders.data.DATASETS`.
        model: name in :data:`CONFIGS`.
        seed: root seed.
    """

    dataset: str
    model: str
    seed: int

    @property
    def key(self) -> str:
        """What its files are called."""
        return f"{self.dataset}_{self.model}_{self.seed}"


def _runs() -> tuple[Run, ...]:
    twice = ("sasrec", "hstu")
    return tuple(
        Run(dataset, model, seed)
        for dataset in ("beauty", "ml-1m", "ml-100k")
        for model, configs in CONFIGS.items()
        if dataset in configs
        for seed in range(2 if model in twice else 1)
    )


RUNS = _runs()
"""All of them, in the order in which they are run."""
