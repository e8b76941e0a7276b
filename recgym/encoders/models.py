"""Which models there are, by the names that the command line and saved encoders call them."""

from pathlib import Path
from typing import TypeAlias

from recgym.encoders.bert4rec import BERT4RecConfig
from recgym.encoders.cape import CAPEConfig
from recgym.encoders.comirec import ComiRecConfig
from recgym.encoders.fitted import FittedEncoder
from recgym.encoders.gru4rec import GRU4RecConfig
from recgym.encoders.hstu import HSTUConfig
from recgym.encoders.icsrec import ICSRecConfig
from recgym.encoders.mean_pool import MeanPoolConfig
from recgym.encoders.mqsa_ted import MQSATEDConfig
from recgym.encoders.rearec import ReaRecConfig
from recgym.encoders.sasrec import SASRecConfig
from recgym.encoders.sigma import SIGMAConfig

__all__ = ["MODELS", "AnyModelConfig", "load_encoder"]

AnyModelConfig: TypeAlias = (
    BERT4RecConfig
    | CAPEConfig
    | ComiRecConfig
    | GRU4RecConfig
    | HSTUConfig
    | ICSRecConfig
    | MeanPoolConfig
    | MQSATEDConfig
    | ReaRecConfig
    | SASRecConfig
    | SIGMAConfig
)

MODELS: dict[str, type[AnyModelConfig]] = {
    "bert4rec": BERT4RecConfig,
    "cape": CAPEConfig,
    "comirec": ComiRecConfig,
    "gru4rec": GRU4RecConfig,
    "hstu": HSTUConfig,
    "icsrec": ICSRecConfig,
    "mean-pool": MeanPoolConfig,
    "mqsa-ted": MQSATEDConfig,
    "rearec": ReaRecConfig,
    "sasrec": SASRecConfig,
    "sigma": SIGMAConfig,
}
"""Name -> settings."""


def load_encoder(folder: Path | str) -> FittedEncoder:
    """Read a fitted encoder; never runs code that the files name.

    Raises:
        ValueError: the folder holds no encoder, or a file of it is damaged; the sentence names it.
    """
    return FittedEncoder.load(Path(folder), dict(MODELS))
