"""PISA, and what is left of it without some of its parts, as models of the table."""

from collections.abc import Callable
from dataclasses import replace

from recgym.encoders import Epoch
from recgym.encoders.pisa import PISA, PISAConfig, fit_pisa
from recgym.encoders.settings import settings_to_json
from recgym.evaluation.sessions import evaluate_sessions
from reproductions.pisa.data import Cut
from reproductions.pisa.fitting import Fit, Fitted, quick_look

__all__ = ["LEARNED"]

_QUESTIONS = 500
_BASE = PISAConfig(epochs=60)
_SETTINGS: dict[str, Callable[[PISAConfig], PISAConfig]] = {
    "session-sasrec": lambda base: replace(PISAConfig.session_sasrec(), width=base.width, epochs=base.epochs),
    "pisa-p": lambda base: base,
    "pisa-u": lambda base: replace(base, negatives=0.0),
    "pisa-bl": lambda base: replace(base, spreading=False, matching=False),
    "pisa-bl-spr": lambda base: replace(base, matching=False),
}


def _fit(name: str) -> Fit:
    def fit(cut: Cut, seed: int) -> Fitted:
        longest = int(cut.split.train.frame.group_by("session").len()["len"].max())  # type: ignore[arg-type]
        config = replace(_SETTINGS[name](_BASE), gap_s=cut.pause_s, session=min(longest, _BASE.session))
        asked = quick_look(cut.split.validation, seed, _QUESTIONS)
        epochs: list[Epoch] = []

        def validate(model: PISA) -> float:
            return evaluate_sessions(model, asked).means()["ndcg@10"]

        model = fit_pisa(config, cut.split.train, seed, validate, epochs.append)
        best = max(epochs, key=lambda epoch: epoch.validation or 0.0)
        notes = {
            "settings": settings_to_json(config), "validation_ndcg@10": best.validation, "best_epoch": best.number,
            "epochs": len(epochs), "training_seconds": round(sum(epoch.seconds for epoch in epochs), 1),
            "parameters": sum(part.numel() for part in model.network.parameters()),
        }  # fmt: skip
        return Fitted(model, notes)

    return fit


LEARNED: dict[str, Fit] = {name: _fit(name) for name in _SETTINGS}
"""By name: SASRec over sessions, PISA with popular and with uniform negatives, PISA-P with fewer components."""
