import json
from typing import Any

import pytest

from benchmarks.aims import AIMS, Aim, claims_of
from benchmarks.measure import RESULTS


def _ratio(env: str, peer: str, users: int, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    ratios = sorted(x / y for x, y in zip(ours, theirs, strict=True))
    return {"env": env, "peer": peer, "B": users, "ours": ours, "theirs": theirs, "median": ratios[len(ratios) // 2]}


def test_the_median_counts_either_way() -> None:
    values = {"found": [5.0, 1.0, 3.0]}
    most, least = (Aim("x", 2.0, lambda body: body["found"], least=least) for least in (False, True))
    claim = most.judge(values)
    assert claim is not None
    assert (claim.value, claim.low, claim.high, claim.holds) == (3.0, 1.0, 5.0, False)
    other = least.judge(values)
    assert other is not None
    assert other.holds


def test_what_was_not_measured_claims_nothing() -> None:
    assert claims_of("bandits", {"ratios": []}) == []
    assert claims_of("of no such name", {}) == []


def test_of_several_peers_the_best_counts() -> None:
    ratios = [_ratio("LinUCB", "slow", 1, [100.0], [1.0]), _ratio("LinUCB", "fast", 1, [100.0], [50.0])]
    (claim,) = claims_of("bandits", {"ratios": ratios})
    assert claim.value == 2.0
    assert not claim.holds


def test_a_step_that_grows_is_a_miss() -> None:
    body = {"ratios": [], "rows": [{"seconds": 1.0}, {"seconds": 1.3}], "scores_apart": 0.0}
    flat, apart = claims_of("encoder_loop", body)
    assert not flat.holds
    assert apart.holds


@pytest.mark.parametrize("name", sorted(AIMS))
def test_every_aim_reads_the_committed_result(name: str) -> None:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no result of {name} is committed")
    body = json.loads(path.read_text(encoding="utf-8"))
    claims = claims_of(name, body)
    assert len(claims) == len(AIMS[name]), "a committed result is a full one, peers included"
