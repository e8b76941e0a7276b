"""A log becomes rounds: items by their number in the source, the target's law by position."""

import numpy as np
import polars as pl
import pytest

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.ope import open_bandit_rounds

SHARE = np.array([[0.5, 0.1], [0.2, 0.2], [0.3, 0.7]])


def log(position: list[int | None], items: tuple[int, ...] = (0, 2)) -> InteractionLog:
    frame = pl.DataFrame(
        {
            "user": [0, 1, 2], "item": [0, 1, 1], "time_s": [0.0, 1.0, 2.0], "session": [None] * 3, "slate": [0, 1, 2],
            "position": position, "propensity": [0.5, 0.25, 0.25], "click": [1.0, 0.0, 1.0],
        },
        schema_overrides={"session": pl.Int64, "position": pl.Int32, "click": pl.Float32},
    )  # fmt: skip
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    return InteractionLog(frame, schema, pl.Series([0, 1, 2]), pl.Series(items))


def test_rounds_of_a_log() -> None:
    rounds = open_bandit_rounds(log([0, 1, 0]), SHARE)
    assert rounds.action.tolist() == [0, 2, 2]
    assert rounds.reward.tolist() == [1, 0, 1]
    assert rounds.target == pytest.approx(SHARE.T[[0, 1, 0]])
    assert rounds.weight == pytest.approx([0.5 / 0.5, 0.7 / 0.25, 0.3 / 0.25])


def test_what_the_law_does_not_know() -> None:
    with pytest.raises(ValueError, match="item 3 at position 1 is outside the distribution of 3 items x 2 positions"):
        open_bandit_rounds(log([0, 1, 0], (0, 3)), SHARE)
    with pytest.raises(ValueError, match="at position 2 is outside"):
        open_bandit_rounds(log([0, 2, 0]), SHARE)
    with pytest.raises(ValueError, match="column 'position' is missing or has empty cells"):
        open_bandit_rounds(log([0, None, 0]), SHARE)
    with pytest.raises(ValueError, match="column 'like' is missing"):
        open_bandit_rounds(log([0, 1, 0]), SHARE, "like")
