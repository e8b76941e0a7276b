"""The check of a fitted simulator against what came after its log."""

import numpy as np

from recgym.data.schema import InteractionLog
from recgym.evaluation.fidelity.channels import judge_channel
from recgym.evaluation.fidelity.free_run import FreeRunConfig, free_run
from recgym.evaluation.fidelity.gate import GateConfig, gate_checks
from recgym.evaluation.fidelity.report import FidelityReport
from recgym.evaluation.fidelity.sessions import SessionLength
from recgym.simulators.learned import FittedSimulator, Predictions, predict
from recgym.stats import auc

__all__ = ["check_fidelity"]


def check_fidelity(
    fitted: FittedSimulator,
    log: InteractionLog,
    seed: int = 0,
    replicates: int = 400,
    level: float = 0.95,
    gate: GateConfig | None = None,
    sessions: FreeRunConfig | None = None,
) -> FidelityReport:
    """Hold a simulator against the part of a log that lies after what it was fitted to.

    Row by row, predictions are teacher-forced, see :func:`recgym.simulators.learned.predict`. Intervals resample users;
    those of gains resample simulator and baseline alike. Where exposures are imputed, they are sampled alike in the
    check, so that calibration is a test there too. Beyond rows, whole sessions are simulated beside the held-out ones,
    see :class:`FreeRun`, where the log has slates and times.

    Args:
        fitted: the simulator.
        log: a log with rows after the simulator's end of log; rows before serve as history.
        seed: root seed of the resampling.
        replicates: bootstrap replicates.
        level: confidence level of the intervals.
        gate: the thresholds of the gate.
        sessions: how many sessions are simulated.

    Raises:
        ValueError: the log does not fit the simulator, or holds nothing new.
    """
    predictions = predict(fitted, log, seed)
    names = fitted.schema.names
    channels = {
        name: judge_channel(predictions, fitted, index, seed, replicates, level)
        for index, name in enumerate(names)
        if predictions.modelled[:, index].any()
    }
    primary = names[fitted.plan.primary]
    if primary not in channels:
        raise ValueError(f"{log.source}: channel {primary!r} has no value after the simulator's end of log")
    run = free_run(fitted, log, sessions or FreeRunConfig(), seed, replicates, level)
    return FidelityReport(
        channels=channels,
        primary=primary,
        session_length=_session_length(predictions),
        leave_auc=auc(predictions.leave, predictions.last),
        free_run=run,
        checks=gate_checks(gate or GateConfig(), channels, primary, run),
        notes=_notes(predictions, fitted),
    )


def _session_length(predictions: Predictions) -> SessionLength | None:
    whole = np.isin(predictions.session, predictions.session[predictions.step_index == 0])
    if not whole.any():
        return None
    return SessionLength.of(predictions.step_index[whole], predictions.leave[whole], predictions.last[whole])


def _notes(predictions: Predictions, fitted: FittedSimulator) -> tuple[str, ...]:
    notes = [f"evaluated on {predictions.labels.shape[0]:,} rows of exposures after the end of the simulator's log"]
    if predictions.history_rows:
        notes.append(f"{predictions.history_rows:,} rows up to the end of the simulator's log served as history only")
    return (*notes, *fitted.report.notes)
