"""Rounds of the Open Bandit Dataset, and the target policy that its second log is from.

The data set holds two logs of a fashion site: one of a policy that draws items at random and one of Bernoulli Thompson
sampling ("bts"). The value of bts is estimated from the random log and held against the mean click rate of the other.
A slate has three places; a round is one place of it, and both policies have a law a place.
"""

import json
from importlib.resources import files
from typing import Literal

import numpy as np
from jaxtyping import Float64

from recgym.data.schema import InteractionLog
from recgym.ope.base import LoggedRounds

__all__ = ["bts_distribution", "open_bandit_rounds"]

Campaign = Literal["all", "men", "women"]


def bts_distribution(campaign: Campaign) -> Float64[np.ndarray, "N K"]:
    """Probability of each item at each place under the bts policy, ``[N, 3]``.

    Counted from 100,000 draws of the policy's prior (numpy's ``RandomState(12345)``) with the parameters that come with
    Open Bandit Pipeline, as that package does; ``tests/truth/make_obp_reference.py`` makes the counts.

    Args:
        campaign: which of the data set's three.
    """
    found = json.loads(files("recgym.ope").joinpath("bts.json").read_text(encoding="utf-8"))
    share: np.ndarray = np.array(found["counts"][campaign], dtype=np.float64) / found["draws"]
    return share


def open_bandit_rounds(
    log: InteractionLog, distribution: Float64[np.ndarray, "N K"], channel: str = "click"
) -> LoggedRounds:
    """The rows of a log as rounds, each weighed by the target policy's law at its place.

    Args:
        log: with propensities and positions, as the reader ``open-bandit`` gives it. Actions are the items' numbers in
            the source, which name the distribution's rows.
        distribution: of the target policy, a column a place, each summing to 1.
        channel: the reward.

    Raises:
        ValueError: the log has rows without propensity, position or reward, or items or positions that the distribution
            does not know.
    """
    frame = log.frame
    for name in ("propensity", "position", channel):
        if name not in frame.columns or frame[name].null_count():
            raise ValueError(f"{log.source}: column {name!r} is missing or has empty cells, every round needs one")
    items, places = distribution.shape
    action = log.item_ids.cast(int).to_numpy().astype(np.int64)[frame["item"].to_numpy()]
    position = frame["position"].to_numpy().astype(np.int64)
    if action.max(initial=0) >= items or position.max(initial=0) >= places:
        raise ValueError(
            f"{log.source}: item {action.max()} at position {position.max()} is outside the distribution of {items} "
            f"items x {places} positions"
        )
    return LoggedRounds(
        action, frame[channel].to_numpy().astype(np.float64), frame["propensity"].to_numpy(),
        np.ascontiguousarray(distribution.T)[position],
    )  # fmt: skip
