"""The claims on A/B tests follow from the rows, and few experiments run through."""

from typing import Any

import pytest

from reproductions.abtest.__main__ import run
from reproductions.abtest.studies import Size
from reproductions.abtest.summary import claims
from reproductions.claims import Claim

N = 10_000


def rows(**rates: float) -> list[dict[str, Any]]:
    level = {"fixed": 0.05, "peeking": 0.44, "msprt": 0.01, "pocock": 0.05} | rates
    made = [_row("A/A", name, rate, 0.05) for name, rate in level.items() if name != "power"]
    made.append(_row("A/B, planted", "msprt", rates.get("power", 0.85), 0.85))
    made.append({"study": "sample ratio", "method": "chi-square", "planned": 0.001, "rejected": 0.001})
    names = {"plain": 0.89, "adaptive weights": 0.95}
    return made + [{"study": "Thompson", "method": name, "coverage": rate} for name, rate in names.items()]


def _row(study: str, method: str, rate: float, planned: float) -> dict[str, Any]:
    return {"study": study, "method": method, "rejected": rate, "low": rate, "high": rate, "planned": planned,
            "users": 100}  # fmt: skip


def failing(made: list[Claim]) -> list[str]:
    return [claim.claim.split(":")[1].split()[0] for claim in made if not claim.holds]


def test_claims_hold_where_levels_and_plans_do() -> None:
    assert not failing(claims(rows(), N))


@pytest.mark.parametrize(
    ("rates", "wrong"),
    [
        ({"fixed": 0.06}, ["fixed"]),
        ({"pocock": 0.04}, ["pocock"]),
        ({"msprt": 0.058}, ["msprt,"]),
        ({"peeking": 0.3}, ["a"]),
        ({"power": 0.82}, ["msprt,"]),
        ({"power": 0.0}, ["msprt,", "msprt,"]),
    ],
)
def test_claims_fail_where_they_do_not(rates: dict[str, float], wrong: list[str]) -> None:
    assert failing(claims(rows(**rates), N)) == wrong


def test_few_experiments_run_through() -> None:
    made = run(Size(pool=200, replications=20, workers=1), seed=1)
    studies = [row["study"] for row in made]
    assert studies.count("A/A") == 7
    assert studies.count("A/B, planted") == 6
    assert len(claims(made, 20)) == 7 + 1 + 12 + 1 + 2
