"""What a fitted simulator says of behaviour that it has not seen, row by row."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.schema import InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.learned.continued import Continued
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.passes import explain, row_blocks
from recgym.simulators.learned.sessions import leave_labels
from recgym.simulators.learned.steps import exposure_source
from recgym.simulators.learned.threads import one_thread

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
    seen = Continued.of(fitted, log, make_generator(seed, "imputed exposures of a check", device="numpy"))
    data, behaviour = seen.data, seen.data.behaviour
    steps = np.flatnonzero(behaviour.step_time > seen.cut[behaviour.step_user])
    if steps.size == 0:
        raise ValueError(f"{log.source}: no exposure lies after the end of the log that the simulator was fitted to")
    rows, positive, mean = [], [], []
    for block in row_blocks(behaviour, steps):
        explained = explain(fitted.network, data, steps[block], seen.before[torch.from_numpy(steps[block])])
        lengths = data.row_length[torch.from_numpy(explained.rows)]
        rows.append(explained.rows)
        parameters = fitted.plan.slates.alone_rows(explained.parameters, explained.owner)
        positive.append(torch.stack(fitted.plan.positive(parameters), 1).numpy())
        mean.append(torch.stack(fitted.plan.given_gate(parameters, lengths), 1).numpy())
    row = np.concatenate(rows)
    labels = behaviour.row_labels[row]
    open_ = fitted.plan.open(torch.from_numpy(labels), torch.from_numpy(behaviour.row_observed[row])).numpy()
    leave = Ends.of(fitted.network, data, np.arange(behaviour.n_steps)).leave(fitted.network, seen.after)
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
        history_rows=int((~seen.new).sum()),
    )


def _leave_end(fitted: FittedSimulator, log: InteractionLog) -> float:
    """The end of the log as far as session ends go; minus infinity if no leave model was learned."""
    if not np.isnan(fitted.sessions.leave_probability):
        return -np.inf
    return float(log.frame["time_s"].max())  # type: ignore[arg-type]
