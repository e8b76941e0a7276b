"""From columns of user or item features to a matrix, and the same way again for another log."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32

__all__ = ["Category", "FeatureEncoder", "Numeric", "Tags"]

MAX_VALUES = 32
MAX_CODES = 12


@dataclass(frozen=True)
class Numeric:
    """A number: standardised, cut at 5 standard deviations; a null is 0 and sets an indicator."""

    name: str
    mean: float
    sd: float

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 2

    def encode(self, column: pl.Series) -> Float32[np.ndarray, "n width"]:
        """The columns for these values."""
        value = column.cast(pl.Float64, strict=False).fill_nan(None)
        missing = value.is_null().to_numpy()
        scaled = (value.fill_null(self.mean).to_numpy() - self.mean) / self.sd
        return np.stack([np.clip(scaled, -5, 5), missing], 1).astype(np.float32)


@dataclass(frozen=True)
class Category:
    """One of a few values: one column a value, and one for null and for values that the encoder has not met."""

    name: str
    values: tuple[str, ...]

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.values) + 1

    def encode(self, column: pl.Series) -> Float32[np.ndarray, "n width"]:
        """The columns for these values."""
        known = pl.Enum(self.values)
        codes = column.cast(pl.String, strict=False).cast(known, strict=False).to_physical()
        index = codes.cast(pl.Int64).fill_null(len(self.values)).to_numpy()
        one_hot: np.ndarray = np.eye(self.width, dtype=np.float32)[index]
        return one_hot


@dataclass(frozen=True)
class Tags:
    """A list of values, such as genres: one column a value."""

    name: str
    values: tuple[str, ...]

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.values)

    def encode(self, column: pl.Series) -> Float32[np.ndarray, "n width"]:
        """The columns for these values."""
        if not isinstance(column.dtype, pl.List):
            column = pl.Series(self.name, [None] * len(column), dtype=pl.List(pl.String))
        has = [
            column.cast(pl.List(pl.String)).list.contains(value).fill_null(False).to_numpy() for value in self.values
        ]
        return np.stack(has, 1).astype(np.float32)


_KINDS: dict[str, type[Numeric] | type[Category] | type[Tags]] = {
    "numeric": Numeric,
    "category": Category,
    "tags": Tags,
}


@dataclass(frozen=True)
class FeatureEncoder:
    """Encodes a frame of features, one row a user (or item).

    Numbers are standardised, categories become one-hot, lists of categories multi-hot; a null has an indicator of its
    own. A column that a later frame lacks reads as null.

    Attributes:
        columns: one encoder a column of features.
        ignored: columns of the frame that are not used: constants, and texts with too many values.
    """

    columns: tuple[Numeric | Category | Tags, ...]
    ignored: tuple[str, ...] = ()

    @classmethod
    def fit(cls, frame: pl.DataFrame | None) -> "FeatureEncoder":
        """Choose an encoder for each column; without a frame there are none."""
        columns: list[Numeric | Category | Tags] = []
        ignored: list[str] = []
        for column in frame if frame is not None else ():
            chosen = _choose(column)
            if chosen is None:
                ignored.append(column.name)
            else:
                columns.append(chosen)
        return cls(tuple(columns), tuple(ignored))

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return sum(column.width for column in self.columns)

    def encode(self, frame: pl.DataFrame | None, n: int) -> Float32[np.ndarray, "n width"]:
        """The matrix of ``n`` rows; without a frame every value is null."""
        blocks = [np.zeros((n, 0), dtype=np.float32)]
        for encoder in self.columns:
            present = frame is not None and encoder.name in frame.columns
            column = frame[encoder.name] if frame is not None and present else pl.Series(encoder.name, [None] * n)
            blocks.append(encoder.encode(column))
        return np.concatenate(blocks, axis=1)

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        kinds = {kind: name for name, kind in _KINDS.items()}
        return {
            "columns": [{"kind": kinds[type(column)], **vars(column)} for column in self.columns],
            "ignored": list(self.ignored),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "FeatureEncoder":
        """The inverse of :meth:`to_json`."""
        columns: list[Numeric | Category | Tags] = []
        for entry in value["columns"]:
            arguments: dict[str, Any] = {
                name: tuple(v) if isinstance(v, list) else v for name, v in entry.items() if name != "kind"
            }
            columns.append(_KINDS[entry["kind"]](**arguments))
        return cls(tuple(columns), tuple(value["ignored"]))


def _choose(column: pl.Series) -> Numeric | Category | Tags | None:
    """The encoder that suits a column, or None if it is of no use."""
    dtype = column.dtype
    if isinstance(dtype, pl.List) and dtype.inner == pl.String:
        return _tags(column)
    if dtype.is_nested() or dtype.is_temporal() or dtype == pl.Null:
        return None
    distinct = column.drop_nulls().n_unique()
    if distinct + (column.null_count() > 0) < 2:
        return None
    if dtype.is_float() or (dtype.is_integer() and distinct > MAX_CODES):
        value = column.cast(pl.Float64).fill_nan(None).drop_nulls()
        mean, sd = float(value.mean() or 0.0), float(value.std() or 0.0)  # type: ignore[arg-type]
        return Numeric(column.name, mean, sd if sd > 0 else 1.0)
    if distinct > 2 * MAX_VALUES:
        return None
    return Category(column.name, _frequent(column.cast(pl.String)))


def _tags(column: pl.Series) -> Tags | None:
    values = _frequent(column.explode())
    return Tags(column.name, values) if values else None


def _frequent(column: pl.Series) -> tuple[str, ...]:
    """The most frequent values, in alphabetical order."""
    counts = column.drop_nulls().rename("value").value_counts().sort(["count", "value"], descending=[True, False])
    return tuple(sorted(counts["value"].head(MAX_VALUES).to_list()))
