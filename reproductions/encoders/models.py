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

__all__ = ["BASELINES", "BASES", "CONFIGS", "TABLE", "Run"]

_LONG = FitConfig(epochs=60, patience=8)
_SMALL = FitConfig(epochs=60, patience=8, batch_size=32)
_SPARSE = FitConfig(epochs=100, patience=10, batch_size=256)

_SASREC = {
    "beauty": SASRecConfig(width=64, blocks=1, window=50, dropout=0.2, fit=_SPARSE),
    "ml-1m": SASRecConfig(width=64, blocks=2, window=200, dropout=0.2, fit=_LONG),
    "ml-100k": SASRecConfig(width=64, blocks=2, window=100, dropout=0.2, fit=_SMALL),
}
_HSTU = HSTUConfig(width=64, blocks=2, window=100, timed=False, fit=_SMALL)

# What the papers add their parts to, with the settings of the papers or, where those say nothing, of the released code.
_TWO_HEADS = {
    "beauty": SASRecConfig(width=64, blocks=2, heads=2, window=50, dropout=0.5, fit=_SPARSE),
    "ml-1m": SASRecConfig(width=64, blocks=2, heads=2, window=50, dropout=0.1, fit=replace(_LONG, batch_size=256)),
}
_ONE_BLOCK = SASRecConfig(width=64, blocks=1, window=50, dropout=0.5, fit=_SPARSE)

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
    "sasrec-two-heads": dict(_TWO_HEADS),
    "icsrec": {
        "beauty": ICSRecConfig(base=_TWO_HEADS["beauty"], coarse=0.3, fine=0.1, intents=256),
        "ml-1m": ICSRecConfig(base=_TWO_HEADS["ml-1m"], coarse=0.1, fine=0.1, intents=512),
    },
    "sasrec-one-block": {"beauty": _ONE_BLOCK},
    "mqsa-ted": {"beauty": MQSATEDConfig(base=_ONE_BLOCK), "ml-1m": MQSATEDConfig(base=_SASREC["ml-1m"])},
    "rearec-erl": {name: ReaRecConfig(base=base, learning=Ensemble()) for name, base in _TWO_HEADS.items()},
    "rearec-prl": {name: ReaRecConfig(base=base) for name, base in _TWO_HEADS.items()},
    "mean-pool": {
        "beauty": MeanPoolConfig(window=50, fit=_SPARSE),
        "ml-1m": MeanPoolConfig(window=200, fit=_LONG),
    },
}
"""Model -> data set -> settings."""

BASES: dict[tuple[str, str], str] = {
    ("beauty", "mqsa-ted"): "sasrec-one-block",
    **{
        (dataset, model): "sasrec-two-heads"
        for dataset in _TWO_HEADS
        for model in ("icsrec", "rearec-erl", "rearec-prl")
    },
}
"""Data set and model -> the same without what the paper adds, of the same budget; where there is none, ``sasrec``."""


BASELINES: dict[str, BaselineConfig] = {
    "popularity": PopularityConfig(),
    "recency": RecencyConfig(),
    "item-knn": ItemKNNConfig(decay=0.8),
    "markov": MarkovConfig(),
}
"""What is counted, not learned: model -> settings, the same on every data set."""


@dataclass(frozen=True)
class Run:
    """One cell of the table, or one arm of what stands beside it.

    Attributes:
        dataset: name in :data:`reproductions.encoders.data.DATASETS`, or ``"stream"`` or ``"loop"``.
        model: name in :data:`CONFIGS` or :data:`BASELINES`, or an arm of the stream or the loop.
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


TABLE = _runs()
"""The cells of the table, in the order in which they are filled."""
