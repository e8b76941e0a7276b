"""How far a fitted simulator can be trusted: held against behaviour that it has not seen, beside simple baselines."""

from recgym.evaluation.fidelity.channels import ChannelFidelity, Scores
from recgym.evaluation.fidelity.check import check_fidelity
from recgym.evaluation.fidelity.distances import Distance
from recgym.evaluation.fidelity.free_run import FreeRun, FreeRunConfig
from recgym.evaluation.fidelity.gate import GateCheck, GateConfig
from recgym.evaluation.fidelity.report import FidelityReport
from recgym.evaluation.fidelity.sessions import SessionLength
from recgym.evaluation.fidelity.slices import Slice
from recgym.evaluation.fidelity.two_sample import Telltale, TwoSample

__all__ = [
    "check_fidelity", "FidelityReport",
    "ChannelFidelity", "Scores", "SessionLength",
    "FreeRun", "FreeRunConfig", "Distance", "Slice", "Telltale", "TwoSample",
    "GateCheck", "GateConfig",
]  # fmt: skip
