"""Simple recommenders of what people come back to: hard to beat where they do, and to be beaten before all else.

All have the face of :class:`recgym.encoders.baselines.Baseline`; a session begins after a pause, as
:func:`recgym.data.sessionise` cuts them. G-Top and recency are :class:`recgym.encoders.baselines.PopularityConfig` and
:class:`recgym.encoders.baselines.RecencyConfig`.
"""

from recgym.encoders.repeat.actr import ACTRRepeat, ACTRRepeatConfig
from recgym.encoders.repeat.choosing import Choice, choose_settings
from recgym.encoders.repeat.gate import RepeatGate, RepeatGateConfig
from recgym.encoders.repeat.personal import PersonalTop, PersonalTopConfig, personal_grid
from recgym.encoders.repeat.tifu_knn import TIFUKNN, TIFUKNNConfig, tifu_knn_grid
from recgym.encoders.repeat.upcf import UPCF, UPCFConfig, upcf_grid

__all__ = [
    "ACTRRepeat", "ACTRRepeatConfig",
    "PersonalTop", "PersonalTopConfig", "personal_grid",
    "RepeatGate", "RepeatGateConfig",
    "TIFUKNN", "TIFUKNNConfig", "tifu_knn_grid",
    "UPCF", "UPCFConfig", "upcf_grid",
    "Choice", "choose_settings",
]  # fmt: skip
