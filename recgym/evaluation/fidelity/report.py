"""What a check of fidelity found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recgym.evaluation.fidelity.channels import ChannelFidelity
from recgym.evaluation.fidelity.free_run import FreeRun
from recgym.evaluation.fidelity.gate import GateCheck
from recgym.evaluation.fidelity.plain import plain
from recgym.evaluation.fidelity.sessions import SessionLength

__all__ = ["FidelityReport"]


@dataclass(frozen=True)
class FidelityReport:
    """What a check found.

    Attributes:
        channels: predictions of each feedback channel, by name.
        primary: the channel that says whether the user took an item.
        session_length: along the logged sessions; None if no leave model was learned or no whole session was held out.
        leave_auc: AUC of the leave head, NaN likewise.
        free_run: sessions simulated beside the real ones; None if there were too few, or no slates or times.
        checks: of the gate.
        notes: what was evaluated.
    """

    channels: Mapping[str, ChannelFidelity]
    primary: str
    session_length: SessionLength | None
    leave_auc: float
    free_run: FreeRun | None
    checks: tuple[GateCheck, ...]
    notes: tuple[str, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the gate is not passed, one sentence each; empty if it is."""
        return tuple(check.failure for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether the gate is passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold; null for what is not defined."""
        length = self.session_length
        return {
            "channels": {name: channel.to_json() for name, channel in self.channels.items()},
            "primary": self.primary,
            "session_length": None if length is None else {**length.to_json(), **plain({"leave_auc": self.leave_auc})},
            "free_run": None if self.free_run is None else self.free_run.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "passed": self.passed,
            "failures": list(self.failures),
            "notes": list(self.notes),
        }
