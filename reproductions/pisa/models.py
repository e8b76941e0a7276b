"""The models of the table: how each is fitted to a cut log."""

from collections.abc import Callable, Sequence

from recgym.encoders import Sequences
from recgym.encoders.baselines import Baseline, BaselineConfig, PopularityConfig, RecencyConfig
from recgym.encoders.repeat import (
    ACTRRepeatConfig,
    PersonalTopConfig,
    RepeatGateConfig,
    TIFUKNNConfig,
    UPCFConfig,
    choose_settings,
    personal_grid,
    tifu_knn_grid,
    upcf_grid,
)
from recgym.encoders.settings import settings_to_json
from recgym.evaluation.sessions import evaluate_sessions
from reproductions.pisa.bounds import BOUNDS
from reproductions.pisa.data import Cut
from reproductions.pisa.fitting import Fit, Fitted, quick_look
from reproductions.pisa.learned import LEARNED

__all__ = ["BASELINES", "MODELS", "SEEDED"]

_WINDOW = 1000


def _chosen(settings: Callable[[float], Sequence[BaselineConfig]]) -> Fit:
    """The best by NDCG@10 on validation of the settings that are made for a pause between sessions."""

    def fit(cut: Cut, seed: int) -> Fitted:
        asked = quick_look(cut.split.validation, seed)

        def validate(model: Baseline) -> float:
            return evaluate_sessions(model, asked).means()["ndcg@10"]

        configs = settings(cut.pause_s)
        sequences = Sequences.from_log(cut.split.train)
        if len(configs) == 1:
            return Fitted(configs[0].fit(sequences), {"settings": settings_to_json(configs[0])})
        choice = choose_settings(configs, sequences, validate)
        notes = {"settings": settings_to_json(choice.config), "chosen_among": len(configs)}
        return Fitted(choice.model, {**notes, "validation_ndcg@10": max(choice.scores)})

    return fit


def _gate(cut: Cut, seed: int) -> Fitted:
    return _chosen(lambda pause_s: [RepeatGateConfig(seed=seed, window=_WINDOW, pause_s=pause_s)])(cut, seed)


def _actr_grid(pause_s: float) -> Sequence[ACTRRepeatConfig]:
    return [
        ACTRRepeatConfig(spreading=spreading, matching=matching, window=_WINDOW, pause_s=pause_s)
        for spreading in (0.1, 0.3)
        for matching in (0.1, 0.3, 1.0)
    ]


BASELINES: dict[str, Fit] = {
    "g-top": _chosen(lambda pause_s: [PopularityConfig()]),
    "p-top": _chosen(lambda pause_s: [PersonalTopConfig(window=_WINDOW, pause_s=pause_s)]),
    "recency": _chosen(lambda pause_s: [RecencyConfig(_WINDOW)]),
    "p-top-decay": _chosen(lambda pause_s: personal_grid(PersonalTopConfig(window=_WINDOW, pause_s=pause_s))),
    "up-cf": _chosen(lambda pause_s: upcf_grid(UPCFConfig(window=_WINDOW, pause_s=pause_s))),
    "tifu-knn": _chosen(lambda pause_s: tifu_knn_grid(TIFUKNNConfig(window=_WINDOW, pause_s=pause_s))),
    "repeat-gate": _gate,
    "actr-repeat-bl": _chosen(lambda pause_s: [ACTRRepeatConfig(window=_WINDOW, pause_s=pause_s)]),
    "actr-repeat": _chosen(_actr_grid),
}
"""Recommenders of counts; ``actr-repeat`` has all components, ``actr-repeat-bl`` the base level alone."""

MODELS: dict[str, Fit] = {**BASELINES, **LEARNED, **BOUNDS}
"""All models, by the names that the claims use."""

SEEDED = frozenset({"repeat-gate", *LEARNED})
"""Models that differ from seed to seed on the same log."""
