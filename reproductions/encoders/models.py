"""The models of the table, with their settings on each data set."""

from dataclasses import dataclass, replace

from recgym.encoders import FitConfig, HSTUConfig, ModelConfig, SASRecConfig
from recgym.encoders.baselines import BaselineConfig, PopularityConfig, RecencyConfig
from recgym.encoders.bert4rec import BERT4RecConfig
from recgym.encoders.cape import CAPEConfig
from recgym.encoders.comirec import ComiRecConfig
from recgym.encoders.gru4rec import GRU4RecConfig
from recgym.encoders.icsrec import ICSRecConfig
from recgym.encoders.losses import FullSoftmaxConfig, GBCEConfig
from recgym.encoders.mean_pool import MeanPoolConfig
from recgym.encoders.mqsa_ted import MQSATEDConfig
from recgym.encoders.neighbours import ItemKNNConfig, MarkovConfig
from recgym.encoders.rearec import Ensemble, ReaRecConfig
from recgym.encoders.sigma import SIGMAConfig

__all__ = ["BASELINES", "CONFIGS", "RUNS", "Run"]

_LONG = FitConfig(epochs=60, patience=8)
_SMALL = FitConfig(epochs=60, patience=8, batch_size=32)
_SPARSE = FitConfig(epochs=100, patience=10, batch_size=256)

_SASREC = {
    "beauty": SASRecConfig(width=64, blocks=1, window=50, dropout=0.2, fit=_SPARSE),
    "ml-1m": SASRecConfig(width=64, blocks=2, window=200, dropout=0.2, fit=_LONG),
    "ml-100k": SASRecConfig(width=64, blocks=2, window=100, dropout=0.2, fit=_SMALL),
}
_HSTU = HSTUConfig(width=64, blocks=2, window=100, timed=False, fit=_SMALL)

CONFIGS: dict[str, dict[str, ModelConfig]] = {
    "sasrec": dict(_SASREC),
    "gbce": {name: replace(config, loss=GBCEConfig()) for name, config in _SASREC.items()},
    "gru4rec": {
        "beauty": GRU4RecConfig(width=64, window=50, loss=FullSoftmaxConfig(), fit=_SPARSE),
        "ml-1m": GRU4RecConfig(width=128, window=200, loss=FullSoftmaxConfig(), fit=_LONG),
    },
    "bert4rec": {
        "beauty": BERT4RecConfig(window=50, ratio=0.6, fit=replace(_SPARSE, epochs=150, validate_every=2, decay=0.0)),
        "ml-1m": BERT4RecConfig(window=200, fit=replace(_LONG, epochs=120, validate_every=2, decay=0.0)),
    },
    "hstu": {
        "beauty": HSTUConfig(width=64, blocks=2, window=50, timed=False, fit=_SPARSE),
        "ml-1m": HSTUConfig(width=64, blocks=2, window=200, timed=False, negatives=1024, fit=_LONG),
        "ml-100k": _HSTU,
    },
    "hstu-times": {"ml-100k": replace(_HSTU, timed=True)},
    "hstu-query-time": {"ml-100k": replace(_HSTU, timed=True, sees_query_time=True)},
    "sigma": {
        "beauty": SIGMAConfig(width=64, window=50, fit=_SPARSE),
        "ml-1m": SIGMAConfig(width=64, window=200, fit=_LONG),
    },
    "comirec": {
        "beauty": ComiRecConfig(width=64, window=50, fit=_SPARSE),
        "ml-1m": ComiRecConfig(width=64, window=200, fit=_LONG),
    },
    "cape": {
        "beauty": CAPEConfig(width=64, blocks=1, window=50, fit=_SPARSE),
        "ml-1m": CAPEConfig(width=64, blocks=2, window=200, fit=_LONG),
    },
    "icsrec": {name: ICSRecConfig(base=_SASREC[name]) for name in ("beauty", "ml-1m")},
    "mqsa-ted": {name: MQSATEDConfig(base=_SASREC[name]) for name in ("beauty", "ml-1m")},
    "rearec-erl": {name: ReaRecConfig(base=_SASREC[name], learning=Ensemble()) for name in ("beauty", "ml-1m")},
    "rearec-prl": {name: ReaRecConfig(base=_SASREC[name]) for name in ("beauty", "ml-1m")},
    "mean-pool": {
        "beauty": MeanPoolConfig(window=50, fit=_SPARSE),
        "ml-1m": MeanPoolConfig(window=200, fit=_LONG),
    },
}
"""Model -> data set -> settings."""


BASELINES: dict[str, BaselineConfig] = {
    "popularity": PopularityConfig(),
    "recency": RecencyConfig(),
    "item-knn": ItemKNNConfig(decay=0.8),
    "markov": MarkovConfig(),
}
"""What is counted, not learned: model -> settings, the same on every data set."""


@dataclass(frozen=True)
class Run:
    """One cell of the table.

    Attributes:
        dataset: name in :data:`reproductions.encoders.data.DATASETS`.
        model: name in :data:`CONFIGS` or :data:`BASELINES`.
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
    twice, datasets = ("sasrec", "hstu"), ("beauty", "ml-1m", "ml-100k")
    counted = tuple(Run(dataset, model, 0) for dataset in datasets for model in BASELINES)
    return counted + tuple(
        Run(dataset, model, seed)
        for dataset in datasets
        for model, configs in CONFIGS.items()
        if dataset in configs
        for seed in range(2 if model in twice else 1)
    )


RUNS = _runs()
"""All of them, in the order in which they are run."""
