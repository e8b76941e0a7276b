"""The data sets of the table, cut for training and judging."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from recgym.data import InteractionLog, read_log
from recgym.evaluation.encoders import EncoderSplit, encoder_split

__all__ = ["DATASETS", "split_of"]


def _ml_1m(root: Path) -> InteractionLog:
    return read_log(root / "ml-1m" / "sequences.txt.gz", "sequences")


def _ml_100k(root: Path) -> InteractionLog:
    return read_log(root / "ml-100k", "movielens")


def _beauty(root: Path) -> InteractionLog:
    return read_log(root / "amazon-sequences" / "Beauty.txt", "sequences")


DATASETS: dict[str, Callable[[Path], InteractionLog]] = {"ml-1m": _ml_1m, "ml-100k": _ml_100k, "beauty": _beauty}
"""Name -> how it is read, given the folder of all data sets."""


@cache
def split_of(dataset: str, root: Path) -> EncoderSplit:
    """The data set in three parts: training, validation queries, test queries.

    Raises:
        ValueError: the files are not there; the sentence names them.
    """
    return encoder_split(DATASETS[dataset](root))
