"""Sessions as flat arrays, the same for real and for simulated ones."""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.simulators.learned.steps import offsets, ranges

__all__ = ["Traces"]


@dataclass(frozen=True)
class Traces:
    """S sessions of P steps that show R items, sorted by session, step and position.

    Attributes:
        user: whose session it is.
        start_s: when it began, on the log's clock.
        gap_s: time from the beginning of its last step to the next session of the user, or how long none was seen;
            infinity: never.
        gap_seen: whether the next session was seen.
        step_session: session of each step.
        step_index: steps before it in the session.
        step_time: seconds from the beginning of the session to that of the step.
        row_step: step of each shown item.
        item: the item.
        position: its place in the slate, from 0.
        feedback: the answer to it, 0 where it was not observed.
        observed: where it was.
    """

    user: Int64[np.ndarray, "S"]
    start_s: Float64[np.ndarray, "S"]
    gap_s: Float64[np.ndarray, "S"]
    gap_seen: Bool[np.ndarray, "S"]
    step_session: Int64[np.ndarray, "P"]
    step_index: Int64[np.ndarray, "P"]
    step_time: Float64[np.ndarray, "P"]
    row_step: Int64[np.ndarray, "R"]
    item: Int64[np.ndarray, "R"]
    position: Int64[np.ndarray, "R"]
    feedback: Float32[np.ndarray, "R F"]
    observed: Bool[np.ndarray, "R F"]

    @property
    def n_sessions(self) -> int:
        """S."""
        return self.user.size

    @property
    def n_steps(self) -> int:
        """P."""
        return self.step_session.size

    @property
    def lengths(self) -> Int64[np.ndarray, "S"]:
        """Steps of each session."""
        return np.bincount(self.step_session, minlength=self.n_sessions)

    @property
    def row_session(self) -> Int64[np.ndarray, "R"]:
        """Session of each shown item."""
        session: np.ndarray = self.step_session[self.row_step]
        return session

    def step_rows(self) -> Int64[np.ndarray, "P_plus_1"]:
        """First row of each step, and the end of the last."""
        return offsets(self.row_step, self.n_steps)

    def pick(self, sessions: Int64[np.ndarray, "s"]) -> "Traces":
        """Some sessions, in the order in which they are named."""
        starts = offsets(self.step_session, self.n_sessions)
        steps = ranges(starts[sessions], starts[sessions + 1])
        first = self.step_rows()
        rows = ranges(first[steps], first[steps + 1])
        lengths = (starts[sessions + 1] - starts[sessions]).astype(np.int64)
        sizes = (first[steps + 1] - first[steps]).astype(np.int64)
        return Traces(
            self.user[sessions], self.start_s[sessions], self.gap_s[sessions], self.gap_seen[sessions],
            np.repeat(np.arange(sessions.size), lengths), self.step_index[steps], self.step_time[steps],
            np.repeat(np.arange(steps.size), sizes), self.item[rows], self.position[rows], self.feedback[rows],
            self.observed[rows],
        )  # fmt: skip

    def cut(self, steps: int) -> "Traces":
        """The first steps of each session."""
        kept = self.step_index < steps
        number = np.cumsum(kept) - 1
        rows = kept[self.row_step]
        values = {
            field.name: getattr(self, field.name)[kept if field.name.startswith("step_") else rows]
            for field in fields(self)[4:]
        }
        values["row_step"] = number[values["row_step"]]
        return replace(self, **values)
