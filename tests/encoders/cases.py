"""Every encoder, small: what the contract checks and the tests of training run on."""

from recgym.encoders import EventConfig, FitConfig, ModelConfig, SASRecConfig

_FIT = FitConfig(epochs=12, batch_size=20, step_size=2e-2)

CASES: dict[str, ModelConfig] = {
    "sasrec": SASRecConfig(width=16, window=6, dropout=0.1, fit=_FIT),
    "sasrec-events": SASRecConfig(width=16, window=6, events=EventConfig(feedback=True, gaps=True), fit=_FIT),
    "sasrec-rotary": SASRecConfig(width=16, window=6, heads=2, rotary=True, fit=_FIT),
}
"""Name -> settings. The window is at most 18, so that the checks' histories outgrow it."""
