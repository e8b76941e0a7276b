"""Steps of users as agents learn from them: on disk, mapped into memory, observations put together when asked for."""

from recgym.data.transitions.columns import Problem, point_columns
from recgym.data.transitions.from_log import LogTransitions, transitions_from_log
from recgym.data.transitions.readings import EventReading, PickReading, Reading, SlateReading
from recgym.data.transitions.store import Observations, Transitions, TransitionStore
from recgym.data.transitions.to_log import log_from_transitions
from recgym.data.transitions.writing import Block, TransitionWriter, in_memory, joined_blocks, writing

__all__ = [
    "Problem", "TransitionStore", "Transitions", "Observations",
    "transitions_from_log", "LogTransitions", "Reading", "SlateReading", "PickReading", "EventReading",
    "log_from_transitions",
    "writing", "TransitionWriter", "Block", "in_memory", "joined_blocks", "point_columns",
]  # fmt: skip
