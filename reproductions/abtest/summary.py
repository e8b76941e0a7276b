"""What the runs could have shown to be false."""

from typing import Any

from scipy import stats

from reproductions.abtest.studies import ALWAYS_VALID
from reproductions.claims import Claim

__all__ = ["claims"]

_LEVEL = 0.05
_PEEKING = 0.40
_POWER = 0.80
_POINTS = 0.02


def claims(rows: list[dict[str, Any]], replications: int, points: float = _POINTS) -> list[Claim]:
    """All claims.

    Args:
        rows: of every study.
        replications: of each.
        points: by how much power may differ from its plan.
    """
    made = []
    for row in rows:
        study = row["study"]
        if study == "A/A":
            made.append(_level(row, replications))
        elif study.startswith("A/B"):
            made += _power(row, points)
        elif study.startswith("Thompson"):
            made.append(_coverage(row))
        else:
            most = float(stats.binom.ppf(0.9995, replications, row["planned"])) / replications
            made.append(
                Claim("check of the split at 0.001 on sound experiments, upper 99.9 % bound", row["rejected"],
                      row["rejected"], row["rejected"], most, row["rejected"] <= most)
            )  # fmt: skip
    return made


def _level(row: dict[str, Any], replications: int) -> Claim:
    method, rate = row["method"], row["rejected"]
    least, most = (float(stats.binom.ppf(q, replications, _LEVEL)) / replications for q in (0.0005, 0.9995))
    if method == "peeking":
        text, reference, holds = "A/A: a fixed horizon with peeking rejects 40 % or more", _PEEKING, rate >= _PEEKING
    elif method in ALWAYS_VALID:
        text, reference, holds = f"A/A: {method}, looked at 200 times, is not above its level", _LEVEL, rate <= most
    else:
        text = f"A/A: {method} is inside the 99.9 % binomial interval of its level, {least:.4f} to {most:.4f}"
        reference, holds = _LEVEL, least <= rate <= most
    return Claim(text, rate, row["low"], row["high"], reference, holds)


def _power(row: dict[str, Any], points: float) -> list[Claim]:
    rate, planned, name = row["rejected"], row["planned"], f"{row['study']}: {row['method']}, {row['users']} users"
    made = [
        Claim(f"{name}: power within {points:.0%} of its plan", rate, row["low"], row["high"], planned,
              abs(rate - planned) <= points)
    ]  # fmt: skip
    if row["study"] == "A/B, planted":
        made.append(
            Claim(
                f"{name}: finds its planned effect in 80 % or more",
                rate,
                row["low"],
                row["high"],
                _POWER,
                rate >= _POWER,
            )
        )
    return made


def _coverage(row: dict[str, Any]) -> Claim:
    rate = row["coverage"]
    if row["method"] == "plain":
        return Claim("Thompson: plain means cover below 93 %", rate, rate, rate, 0.93, rate < 0.93)
    return Claim("Thompson: adaptive weights cover in 93 to 97 %", rate, rate, rate, 0.95, 0.93 <= rate <= 0.97)
