"""What one should know of a log before one trusts what was learned from it."""

import numpy as np

from recgym.data.schema import ChannelKind, InteractionLog
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.steps import Behaviour, ExposureSource, simulated_schema
from recgym.stats import auc

__all__ = ["notes"]

_FEWEST_ANSWERS = 100
_SUSPICIOUS = 0.4


def notes(
    log: InteractionLog, behaviour: Behaviour, source: ExposureSource, config: LearnedConfig, sessions_known: bool
) -> tuple[str, ...]:
    """What a user of the simulator should know of the log that it was fitted to.

    Args:
        log: the log.
        behaviour: the same as arrays.
        source: where exposures were known from.
        config: settings of the fit.
        sessions_known: whether sessions could be told apart.
    """
    found = []
    if source is ExposureSource.IMPUTED:
        channel = simulated_schema(log, source)[1]
        among = "of all items of the log"
        if log.time_unit == "s":
            among = "of the items seen strictly before it, and first appearances of items were left out"
        found.append(
            f"EXPOSURES WERE IMPUTED: the log does not say what users passed over; {config.negatives} random items "
            f"were added to each consumption, with {channel} = 0, drawn out {among}. The order of items is learned "
            "from that, the level of the rate is not."
        )
    elif behaviour.step_taken.all():
        found.append(
            "every exposure in the log got some feedback: what users do after a slate that they pass over "
            "is not learnable from it"
        )
    if not sessions_known:
        found.append(
            "the log has no times: no leave model, pause or item context was learned; sessions end with probability"
            f" {1 / config.mean_session_steps:.3g} a step"
        )
    return (*found, *_selected(behaviour))


def _selected(behaviour: Behaviour) -> list[str]:
    """Answers that hang on whether an item is ever shown again: a sign of how the log's rows were chosen.

    A log that keeps some answers only for items with many of them, and others for all items, makes "seen before" tell
    the answer. The model is right to use it, within such a log.
    """
    if not behaviour.row_real.all():
        return []
    rows = np.bincount(behaviour.row_item)[behaviour.row_item]
    found = []
    for index, channel in enumerate(behaviour.schema.channels):
        seen = behaviour.row_observed[:, index]
        answer = behaviour.row_labels[seen, index] > 0
        if channel.kind is not ChannelKind.BINARY or min(answer.sum(), (~answer).sum()) < _FEWEST_ANSWERS:
            continue
        area = auc((rows[seen] > 1).astype(np.float64), answer)
        if abs(area - 0.5) > _SUSPICIOUS:
            found.append(
                f"{channel.name}: how the log was selected gives it away. Whether an item has a single row tells it "
                f"with an AUC of {max(area, 1 - area):.2f}, so that high scores for it say little about users"
            )
    return found
