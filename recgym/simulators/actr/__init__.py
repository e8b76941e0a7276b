"""Users who come back to what they know, after the memory of ACT-R: made by hand or fitted to a log."""

from recgym.simulators.actr.fit import ACTRFit, ACTRFitConfig, ACTRReport, fit_actr
from recgym.simulators.actr.likelihood import Estimate
from recgym.simulators.actr.logs import actr_log, log_of
from recgym.simulators.actr.making import ACTRConfig, make_items, make_world
from recgym.simulators.actr.sessions import Calendar, Taken, draw_calendar, live
from recgym.simulators.actr.users import ACTRState, ACTRUsers
from recgym.simulators.actr.world import ACTRItems, ACTRManners, ACTRMemory, ACTRRecords, ACTRTimes, ACTRWorld

__all__ = [
    "ACTRConfig", "ACTRItems", "ACTRManners", "ACTRMemory", "ACTRRecords", "ACTRState", "ACTRTimes", "ACTRUsers",
    "ACTRWorld", "make_items", "make_world",
    "Calendar", "Taken", "actr_log", "draw_calendar", "live", "log_of",
    "ACTRFit", "ACTRFitConfig", "ACTRReport", "Estimate", "fit_actr",
]  # fmt: skip
