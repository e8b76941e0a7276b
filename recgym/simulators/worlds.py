"""Parameters that may differ by row of a batch, so that groups of users live in worlds of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int64

from recgym.arrays import arange, device_of, from_numpy, zeros
from recgym.types import Array, Generator

__all__ = ["Worlds"]


@dataclass(frozen=True)
class Worlds:
    """Which world each row of a batch lives in: rows with equal parameters share one.

    Attributes:
        parameters: name to one value for all, or one value a row; all those of several values have equally many.
        device: where the tables live.

    Raises:
        ValueError: parameters have different numbers of values.
    """

    parameters: Mapping[str, float | tuple[float, ...]]
    device: str
    _group: Array = field(init=False, repr=False)
    _values: dict[str, Array] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        columns = {name: np.atleast_1d(np.asarray(v, dtype=np.float32)) for name, v in self.parameters.items()}
        rows = max(column.size for column in columns.values())
        for name, column in columns.items():
            if column.ndim != 1 or column.size not in (1, rows):
                raise ValueError(f"{name} has {column.size} values, expected 1 or, as another parameter, {rows}")
        table = np.stack([np.broadcast_to(column, rows) for column in columns.values()], 1)
        _, first, group = np.unique(table, axis=0, return_index=True, return_inverse=True)
        # Groups are numbered as they appear: the rank of a group's hidden parameters must not show in its id.
        appearance = np.argsort(np.argsort(first))
        worlds = table[np.sort(first)]
        group = appearance[group.reshape(-1)].astype(np.int64)
        object.__setattr__(self, "_group", from_numpy(group, self.device))
        values = {name: from_numpy(worlds[:, i].copy(), self.device) for i, name in enumerate(columns)}
        object.__setattr__(self, "_values", values)

    @property
    def differ(self) -> bool:
        """Whether there is more than one world."""
        return any(column.shape[0] > 1 for column in self._values.values())

    def groups(self, n: int, generator: Generator, rows: Int64[Array, "n"] | None) -> Int64[Array, "n"]:
        """The group of each row; rows ``0..n-1`` if None.

        Raises:
            ValueError: a row lies beyond the values that were given.
        """
        device = device_of(generator)
        if self._group.shape[0] == 1:
            return zeros((n,), "int64", device)
        rows = arange(n, device) if rows is None else rows
        if int(rows.max()) >= self._group.shape[0]:
            name = next(name for name, value in self.parameters.items() if np.size(value) > 1)
            raise ValueError(
                f"{name} has {self._group.shape[0]} values, found a batch of {int(rows.max()) + 1} users or more"
            )
        group: Array = self._group[rows]
        return group

    def value(self, name: str, group: Int64[Array, "n"]) -> Array:
        """The parameter in the world of each group, ``[n]`` float32."""
        return self._values[name][group]
