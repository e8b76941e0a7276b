"""A log that goes on after the end of the one that a simulator was fitted to, as its network looks at it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.data.schema import InteractionLog
from recgym.simulators.learned.context import ItemContext, ItemStream
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.passes import running_states
from recgym.simulators.learned.prepared import Prepared, prepare
from recgym.simulators.learned.steps import Behaviour

__all__ = ["Continued"]


@dataclass(frozen=True)
class Continued:
    """A log, rows up to a simulator's end of log included, which are history.

    Items and users are matched by their original ids; unknown ones get the unknown item's embedding and a history of
    what the log holds of them. What was known of the items starts from what the simulator knew at its end of log.

    Attributes:
        network_id: the simulator's id of each of the log's items, -1 if it does not know it.
        cut: for each user the time after which rows are new: the simulator's end of log, or the user's own last row
            where order is counted user by user.
        new: which rows of the log lie after it.
        context: what was known of the items at each time, in the log's ids; None without times.
        data: the log with everything that the network looks at.
        before: the network's state of users before each exposure.
        after: the same after each exposure.
    """

    network_id: Int64[np.ndarray, "N"]
    cut: Float64[np.ndarray, "U"]
    new: Bool[np.ndarray, "n"]
    context: ItemContext | None
    data: Prepared
    before: Float32[Tensor, "S H"]
    after: Float32[Tensor, "S H"]

    @classmethod
    def of(cls, fitted: FittedSimulator, log: InteractionLog, imputing: np.random.Generator) -> "Continued":
        """Look at a log as a simulator does.

        Args:
            fitted: the simulator.
            log: a log of the same kind as that which it was fitted to.
            imputing: source of imputed exposures, if the simulator needs them.
        """
        facts = fitted.facts
        network_id, log_id = _match(log.item_ids, fitted.item_ids), _match(fitted.item_ids, log.item_ids)
        known = None if fitted.context is None else fitted.context.remapped(log_id, log.n_items)
        behaviour = Behaviour.of(
            log, facts.exposures, fitted.config.negatives, fitted.config.session_gap_s, imputing,
            None if known is None else known.first_time,
        )  # fmt: skip
        cut = np.full(log.n_users, facts.end_time)
        if facts.time_unit == "order":
            user_id = _match(log.user_ids, fitted.user_ids)
            cut = np.where(user_id >= 0, fitted.user_last[user_id], -np.inf)
        new = log.frame["time_s"].to_numpy() > cut[log.frame["user"].to_numpy()]
        context = None
        if known is not None:
            primary = fitted.schema.names[fitted.plan.primary]
            context = known.extended(ItemStream.of(log, facts.exposures, primary, fitted.size_rates).pick(new))
        data = prepare(
            log, behaviour, fitted.users, context, network_id, fitted.n_items, fitted.config.history,
            fitted.item_lengths,
        )  # fmt: skip
        return cls(network_id, cut, new, context, data, *running_states(fitted.network, data))


def _match(ids: pl.Series, known: pl.Series) -> Int64[np.ndarray, "n"]:
    """Index of each id among the known ones, -1 if it is not there."""
    if ids.dtype != known.dtype:
        ids, known = ids.cast(pl.String), known.cast(pl.String)
    table = pl.DataFrame({"id": known}).with_row_index("index")
    found = pl.DataFrame({"id": ids}).join(table, on="id", how="left", maintain_order="left")
    return found["index"].cast(pl.Int64).fill_null(-1).to_numpy()
