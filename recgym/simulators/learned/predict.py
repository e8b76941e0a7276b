"""What a fitted simulator says of behaviour that it has not seen, row by row."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.schema import InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.learned.context import ItemStream
from recgym.simulators.learned.fit import one_thread, prepare
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.passes import explain, row_blocks, running_states
from recgym.simulators.learned.sessions import leave_labels
from recgym.simulators.learned.steps import Behaviour, exposure_source

__all__ = ["Predictions", "predict"]


@dataclass(frozen=True)
class Predictions:
    """Predictions for the rows and exposures after the simulator's end of log, each made from what lies before it.

    Attributes:
        user: user of each row, in the log's ids.
        labels: feedback of each row.
        modelled: which values are to be explained: observed, and behind the gate only where it is open.
        positive: predicted probability of a value above 0; of channels behind the gate, given that it is open.
        mean: predicted mean, likewise.
        baselines: by name, (probability of a value above 0, mean) of each row and channel, from rates of the training
            log.
        steps_user: user of each exposure whose session is known to its end.
        session: its session.
        step_index: exposures before it in the same session.
        leave: predicted probability that it is the last of its session.
        last: whether it was.
        history_rows: rows of the log at or before the simulator's end of log, which served as history only.
    """

    user: Int64[np.ndarray, "R"]
    labels: Float32[np.ndarray, "R F"]
    modelled: Bool[np.ndarray, "R F"]
    positive: Float32[np.ndarray, "R F"]
    mean: Float32[np.ndarray, "R F"]
    baselines: dict[str, Float64[np.ndarray, "R F 2"]]
    steps_user: Int64[np.ndarray, "S"]
    session: Int64[np.ndarray, "S"]
    step_index: Int64[np.ndarray, "S"]
    leave: Float64[np.ndarray, "S"]
    last: Bool[np.ndarray, "S"]
    history_rows: int


def _match(ids: pl.Series, known: pl.Series) -> Int64[np.ndarray, "n"]:
    """Index of each id among the known ones, -1 if it is not there."""
    if ids.dtype != known.dtype:
        ids, known = ids.cast(pl.String), known.cast(pl.String)
    table = pl.DataFrame({"id": known}).with_row_index("index")
    found = pl.DataFrame({"id": ids}).join(table, on="id", how="left", maintain_order="left")
    return found["index"].cast(pl.Int64).fill_null(-1).to_numpy()


def _check_log(fitted: FittedSimulator, log: InteractionLog) -> None:
    wanted = [name for name in fitted.schema.names if name != fitted.facts.imputed]
    missing = [name for name in wanted if name not in log.schema.names]
    if missing:
        raise ValueError(
            f"{log.source}: feedback channels {missing} of the simulator are missing; "
            f"found {', '.join(log.schema.names)}"
        )
    if log.time_unit != fitted.facts.time_unit:
        raise ValueError(
            f"{log.source}: times are in {log.time_unit!r}, "
            f"the simulator was fitted to times in {fitted.facts.time_unit!r}"
        )
    source = exposure_source(log)
    if source is not fitted.facts.exposures:
        raise ValueError(
            f"{log.source}: exposures come from {source.value!r}, "
            f"the simulator was fitted to {fitted.facts.exposures.value!r}"
        )


@one_thread()
@torch.no_grad()
def predict(fitted: FittedSimulator, log: InteractionLog, seed: int = 0) -> Predictions:
    """Predict every exposure of a log that lies after the simulator's end of log.

    Each prediction uses all that happened before the exposure, earlier held-out behaviour included, and nothing of the
    exposure itself (teacher forcing). In a log with times, before means strictly earlier: what is recorded at the very
    time of an exposure tells nothing of it. Exposures are imputed by the rule of the fit. Rows up to the simulator's
    end of log only serve as the users' history. What was known of the items starts from what the simulator knew at its
    end of log. Items and users are matched by their original ids; unknown ones get the unknown item's embedding and a
    history of what the log holds of them.

    Args:
        fitted: the simulator.
        log: a log of the same format; it may hold what the simulator was fitted to.
        seed: root seed of imputed exposures, if the simulator needs them.

    Raises:
        ValueError: the log does not fit the simulator, or holds nothing after its end of log.
    """
    _check_log(fitted, log)
    facts = fitted.facts
    imputing = make_generator(seed, "imputed exposures of a check", device="numpy")
    network_id = _match(log.item_ids, fitted.item_ids)
    log_id = _match(fitted.item_ids, log.item_ids)
    known = None if fitted.context is None else fitted.context.remapped(log_id, log.n_items)
    behaviour = Behaviour.of(
        log, facts.exposures, fitted.config.negatives, fitted.config.session_gap_s, imputing,
        None if known is None else known.first_time,
    )  # fmt: skip
    cut, rows_after = _cut(fitted, log)
    steps = np.flatnonzero(behaviour.step_time > cut[behaviour.step_user])
    if steps.size == 0:
        raise ValueError(f"{log.source}: no exposure lies after the end of the log that the simulator was fitted to")
    context = None
    if known is not None:
        primary = fitted.schema.names[fitted.plan.primary]
        stream = ItemStream.of(log, facts.exposures, primary, fitted.size_rates).pick(rows_after)
        context = known.extended(stream)
    data = prepare(
        log, behaviour, fitted.users, context, network_id, fitted.n_items, fitted.config.history, fitted.item_lengths
    )
    states = running_states(fitted.network, data)

    rows, positive, mean = [], [], []
    for block in row_blocks(behaviour, steps):
        explained = explain(fitted.network, data, steps[block], states[0][torch.from_numpy(steps[block])])
        lengths = data.row_length[torch.from_numpy(explained.rows)]
        rows.append(explained.rows)
        parameters = fitted.plan.alone_rows(explained.parameters, explained.owner)
        positive.append(torch.stack(fitted.plan.positive(parameters), 1).numpy())
        mean.append(torch.stack(fitted.plan.given_gate(parameters, lengths), 1).numpy())
    row = np.concatenate(rows)
    labels = behaviour.row_labels[row]
    open_ = fitted.plan.open(torch.from_numpy(labels), torch.from_numpy(behaviour.row_observed[row])).numpy()
    leave = Ends.of(fitted.network, data, np.arange(behaviour.n_steps)).leave(fitted.network, states[1])
    ends = leave_labels(behaviour, _leave_end(fitted, log), fitted.config.session_gap_s)
    closed = steps[ends.known[steps]]
    return Predictions(
        user=behaviour.step_user[behaviour.row_step[row]],
        labels=labels,
        modelled=open_,
        positive=np.concatenate(positive),
        mean=np.concatenate(mean),
        baselines=fitted.rates.predict(data.row_item.numpy()[row], behaviour.row_position[row]),
        steps_user=behaviour.step_user[closed],
        session=behaviour.step_session[closed],
        step_index=behaviour.step_index[closed],
        leave=leave[torch.from_numpy(closed)].sigmoid().double().numpy(),
        last=ends.last[closed],
        history_rows=int((~rows_after).sum()),
    )


def _cut(fitted: FittedSimulator, log: InteractionLog) -> tuple[Float64[np.ndarray, "U"], Bool[np.ndarray, "n"]]:
    """For each user the time after which rows are new, and which rows are; order is counted user by user."""
    cut = np.full(log.n_users, fitted.facts.end_time)
    if fitted.facts.time_unit == "order":
        index = _match(log.user_ids, fitted.user_ids)
        cut = np.where(index >= 0, fitted.user_last[index], -np.inf)
    time, user = log.frame["time_s"].to_numpy(), log.frame["user"].to_numpy()
    return cut, time > cut[user]


def _leave_end(fitted: FittedSimulator, log: InteractionLog) -> float:
    """The end of the log as far as session ends go; minus infinity if no leave model was learned."""
    if not np.isnan(fitted.sessions.leave_probability):
        return -np.inf
    return float(log.frame["time_s"].max())  # type: ignore[arg-type]
