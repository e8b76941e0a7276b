"""Every encoder, small: what the contract checks and the tests of training run on."""

from dataclasses import replace

from recgym.encoders import CAPEConfig, EventConfig, FitConfig, HSTUConfig, ModelConfig, SASRecConfig, SIGMAConfig
from recgym.encoders.bert4rec import BERT4RecConfig
from recgym.encoders.comirec import CapsulesConfig, ComiRecConfig
from recgym.encoders.gru4rec import GRU4RecConfig
from recgym.encoders.icsrec import ICSRecConfig
from recgym.encoders.losses import BPRMaxConfig, FullSoftmaxConfig, GBCEConfig, SampledSoftmaxConfig
from recgym.encoders.mean_pool import MeanPoolConfig
from recgym.encoders.mqsa_ted import MQSATEDConfig
from recgym.encoders.rearec import Ensemble, ReaRecConfig
from recgym.encoders.sessions import SessionGaps, SessionNumbers

_FIT = FitConfig(epochs=12, batch_size=20, step_size=2e-2)

_LONGER = FitConfig(epochs=30, batch_size=20, step_size=2e-2)
_EVENTS = EventConfig(feedback=True, gaps=True)
_SAMPLED = SampledSoftmaxConfig(count=16, in_batch=8)
_CLOZE_FIT = FitConfig(epochs=50, batch_size=40, step_size=1e-2, warmup=20)

_BASE = SASRecConfig(spread=0.25, width=16, window=6, heads=2, fit=_FIT)

CASES: dict[str, ModelConfig] = {
    "sasrec": SASRecConfig(width=16, window=6, dropout=0.1, fit=_FIT),
    "sasrec-events": SASRecConfig(width=16, window=6, events=EventConfig(feedback=True, gaps=True), fit=_FIT),
    "sasrec-gbce": SASRecConfig(width=16, spread=0.25, window=6, loss=GBCEConfig(count=16), fit=_LONGER),
    "sigma": SIGMAConfig(width=16, states=4, window=9, dropout=0.1, fit=_FIT),
    "sasrec-rotary": SASRecConfig(width=16, window=6, heads=2, rotary=True, fit=_FIT),
    "cape": CAPEConfig(width=16, window=6, heads=2, positions=4, fit=_FIT),
    "hstu": HSTUConfig(width=16, window=6, negatives=60, fit=_FIT),
    "hstu-sliding": HSTUConfig(width=16, window=6, heads=2, absolute=False, negatives=60, fit=_FIT),
    "hstu-actions": HSTUConfig(
        width=16,
        blocks=1,
        window=6,
        absolute=False,
        actions=True,
        dropout=0.1,
        negatives=60,
        events=EventConfig(feedback=True),
        fit=FitConfig(epochs=20, batch_size=20, step_size=5e-3),
    ),
    "gru4rec": GRU4RecConfig(width=16, window=6, loss=_SAMPLED, fit=_FIT),
    "gru4rec-sessions": GRU4RecConfig(
        width=16, layers=2, window=6, sessions=SessionNumbers(), loss=BPRMaxConfig(_SAMPLED), events=_EVENTS, fit=_FIT
    ),
    "gru4rec-pauses": GRU4RecConfig(width=16, window=6, sessions=SessionGaps(8000), loss=FullSoftmaxConfig(), fit=_FIT),
    "bert4rec": BERT4RecConfig(width=32, blocks=1, window=6, dropout=0.0, ratio=0.3, fit=_CLOZE_FIT),
    "bert4rec-events": BERT4RecConfig(
        width=32, blocks=1, window=6, dropout=0.0, last_only=0.3, pre_norm=True, events=_EVENTS, fit=_CLOZE_FIT
    ),
    # With several interests, that the best of them is right says little of the others, which take part in the maximum.
    "comirec-capsules": ComiRecConfig(CapsulesConfig(), count=1, width=16, window=6, fit=_LONGER),
    "icsrec": ICSRecConfig(_BASE, intents=8, pairs=32),
    "mqsa-ted": MQSATEDConfig(_BASE),
    "mqsa-ted-rotary": MQSATEDConfig(replace(_BASE, rotary=True, events=_EVENTS), newest=2, share=0.3),
    "rearec": ReaRecConfig(_BASE),
    "rearec-ensemble": ReaRecConfig(replace(_BASE, rotary=True), learning=Ensemble()),
    "mean-pool": MeanPoolConfig(width=16, window=6, dropout=0.0, fit=FitConfig(30, 20, 2e-2)),
}
"""Name -> settings. The window is at most 18, so that the checks' histories outgrow it."""
