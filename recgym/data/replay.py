"""Logged rounds for replay: what was known, what was shown, what it brought; everything else was never seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Float64, Int64

from recgym.data.features import FeatureEncoder
from recgym.data.schema import InteractionLog

__all__ = ["ReplayRounds"]


@dataclass(frozen=True)
class ReplayRounds:
    """Rounds of a log in the order of time.

    In a round of one shown item, the log answers for that item alone: a bandit that would have shown another learns
    nothing. In a round of a slate, the log answers for every item of the slate, so the question is which of these one
    would have put first: ``allowed`` says that only they may be chosen.

    Attributes:
        context: what was known of the user.
        shown: items; -1 where the slate of this round is shorter than the longest.
        reward: what each brought; 0 at -1.
        propensity: probability of what was shown; None if the log does not say.
        allowed: items on offer, such as the articles of the day; None for all.
        arms: items in all.
    """

    context: Float32[np.ndarray, "n d"]
    shown: Int64[np.ndarray, "n K"]
    reward: Float32[np.ndarray, "n K"]
    propensity: Float64[np.ndarray, "n"] | None
    allowed: Bool[np.ndarray, "n A"] | None
    arms: int

    def __post_init__(self) -> None:
        n = len(self.context)
        parts = (self.shown, self.reward, self.propensity, self.allowed)
        if n == 0 or any(part is not None and len(part) != n for part in parts):
            raise ValueError(f"rounds for replay: every array must have one row a round, and {n} contexts were found")
        if not -1 <= int(self.shown.min()) <= int(self.shown.max()) < self.arms:
            raise ValueError(f"rounds for replay: items must be in 0..{self.arms - 1}, found {self.shown.max()}")

    @property
    def n(self) -> int:
        """How many rounds there are."""
        return len(self.context)

    @classmethod
    def from_log(
        cls, log: InteractionLog, reward: str | None = None, columns: Sequence[str] | None = None
    ) -> "ReplayRounds":
        """Every slate of a log as a round.

        Args:
            log: with slates.
            reward: feedback channel that counts; the first by default.
            columns: of the users' features that make the context; all by default. Where items were shown alone at
                several positions, as in the Open Bandit Dataset, the position is part of the context.

        Raises:
            ValueError: the log has no slates, or a column is missing.
        """
        if not log.has_slates:
            raise ValueError(f"{log.source}: replay needs a log that says what was shown, found one without slates")
        channel = log.schema.names[log.schema.index(reward)] if reward is not None else log.schema.names[0]
        rows = log.frame.filter(pl.col("slate").is_not_null() & pl.col(channel).is_not_null())
        slates = rows.sort("slate", "position", "item").group_by("slate", maintain_order=True)
        rounds = slates.agg(
            pl.col("user", "time_s", "position", "propensity").first(), pl.col("item", channel)
        ).sort("time_s", "slate")  # fmt: skip
        length = int(rounds["item"].list.len().max())  # type: ignore[arg-type]
        shown = _padded(rounds["item"], length, -1).astype(np.int64)
        gained = _padded(rounds[channel], length, 0).astype(np.float32)
        propensity = None if rounds["propensity"].null_count() else rounds["propensity"].to_numpy()
        allowed = None
        if length > 1:
            allowed = np.zeros((len(shown), log.n_items + 1), bool)
            np.put_along_axis(allowed, shown, True, 1)  # -1 is the last column, which goes
            allowed = allowed[:, :-1]
        return cls(_context(log, rounds, length, columns), shown, gained, propensity, allowed, log.n_items)


def _padded(lists: pl.Series, length: int, value: float) -> np.ndarray:
    """Lists of up to ``length`` values as rows."""
    sizes = lists.list.len().to_numpy()
    table = np.full((len(sizes), length), value, np.float64)
    table[np.arange(length) < sizes[:, None]] = lists.explode().to_numpy()
    return table


def _context(
    log: InteractionLog, rounds: pl.DataFrame, length: int, columns: Sequence[str] | None
) -> Float32[np.ndarray, "n d"]:
    """Encoded features of the users, the position where items were shown alone, and a constant."""
    features = log.user_features
    if columns is not None and features is not None:
        missing = [name for name in columns if name not in features.columns]
        if missing:
            raise ValueError(f"{log.source}: there is no user feature {missing[0]!r}")
        features = features.select(columns)
    elif features is not None and "id" in features.columns:
        features = features.drop("id")
    by_user = FeatureEncoder.fit(features).encode(features, log.n_users)
    by_user = by_user[:, by_user.min(0, initial=1) < by_user.max(0, initial=-1)]
    parts = [by_user[rounds["user"].to_numpy()], np.ones((len(rounds), 1), np.float32)]
    place = rounds["position"]
    if length == 1 and not place.null_count() and place.n_unique() > 1:
        number = place.to_numpy()
        parts.append(np.eye(int(number.max()) + 1, dtype=np.float32)[number])
    return np.concatenate(parts, 1).astype(np.float32)
