"""Where sessions end, and how long a step takes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from recgym.data.schema import ChannelKind, FeedbackSchema
from recgym.simulators.learned.lengths import UNIT_S
from recgym.simulators.learned.pace import Pace
from recgym.simulators.learned.steps import Behaviour

MAX_GAPS = 10_000

__all__ = ["LeaveLabels", "SessionFacts", "leave_labels", "seconds_of", "step_seconds"]


@dataclass(frozen=True)
class LeaveLabels:
    """Whether each exposure was the last of its session.

    Attributes:
        last: it was.
        known: the log shows it. It does not near the end of the log, where a session may go on unseen, nor where there
            are no sessions.
    """

    last: Bool[np.ndarray, "S"]
    known: Bool[np.ndarray, "S"]


def leave_labels(behaviour: Behaviour, end_time: float, session_gap_s: float) -> LeaveLabels:
    """Label the exposures of a log that ends at ``end_time``."""
    session = behaviour.step_session
    final = np.zeros(int(session.max(initial=-1)) + 2, dtype=np.int64)
    np.maximum.at(final, session, np.arange(session.size))
    ended = behaviour.step_time[final[session]] + session_gap_s <= end_time
    return LeaveLabels(final[session] == np.arange(session.size), (session >= 0) & ended)


def seconds_of(schema: FeedbackSchema) -> Float64[np.ndarray, "F"]:
    """How many seconds one unit of each channel is: 0 for channels that are no time."""
    return np.array(
        [UNIT_S.get(c.unit, 0.0) if c.kind is ChannelKind.DURATION else 0.0 for c in schema.channels], dtype=np.float64
    )


def step_seconds(behaviour: Behaviour, base_step_s: float) -> Float64[np.ndarray, "S"]:
    """How long each exposure's step took: the durations among its feedback and a fixed rest."""
    spent = behaviour.row_labels.astype(np.float64) @ seconds_of(behaviour.schema)
    total: np.ndarray = np.add.reduceat(spent, behaviour.step_rows[:-1]) + base_step_s
    return total


@dataclass(frozen=True)
class SessionFacts:
    """The clock of simulated users.

    Attributes:
        base_step_s: seconds that a step takes beside the durations among its feedback: the median over the log's
            steps of (time to the next step of the session - durations), at least 1 s. Without times every step takes
            1 s.
        leave_probability: chance of leaving after any step if the log cannot teach it; NaN if it can.
        gaps_s: sorted pauses between the end of a session and the start of the user's next, at most 10,000. The pause
            after a user's last logged session is not known and left out, so long absences are under-represented; the
            return model of the learned users makes up for that.
        pace: pauses between the steps of a session; None if they are not drawn, and every step takes its durations
            and the base.
    """

    base_step_s: float
    leave_probability: float
    gaps_s: Float64[np.ndarray, "gaps"]
    pace: Pace | None = None

    @classmethod
    def of(cls, behaviour: Behaviour, learnable: bool, mean_session_steps: float) -> "SessionFacts":
        """Read them off a log; ``learnable`` says whether sessions can be told apart."""
        if not learnable:
            return cls(1.0, 1.0 / mean_session_steps, np.zeros(0))
        same_user = behaviour.step_user[1:] == behaviour.step_user[:-1]
        known = (behaviour.step_session[1:] >= 0) & (behaviour.step_session[:-1] >= 0)
        same_session = same_user & known & (behaviour.step_session[1:] == behaviour.step_session[:-1])
        pause = np.diff(behaviour.step_time)
        rest = np.maximum(pause - step_seconds(behaviour, 0.0)[:-1], 0.0)[same_session]
        gaps = np.sort(pause[same_user & ~same_session & known])
        if gaps.size > MAX_GAPS:
            gaps = np.quantile(gaps, np.linspace(0, 1, MAX_GAPS))
        return cls(max(float(np.median(rest)) if rest.size else 1.0, 1.0), float("nan"), gaps)
