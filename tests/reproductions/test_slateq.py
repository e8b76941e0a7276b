from pathlib import Path
from typing import Any

import pytest

from recgym.agents.slateq import Learning, NullItem, Optimiser
from reproductions.slateq.arms import ARMS, LONG_TERM, MYOPIC, PUBLISHED, RECSIM, Job
from reproductions.slateq.runs import reference, run_job
from reproductions.slateq.summary import best_long_term, claims, lifts, rows, user_claims


def test_arms_are_what_their_names_say() -> None:
    assert ARMS[MYOPIC].gamma == 0
    served = {"TS": Optimiser.TOP_K, "GS": Optimiser.GREEDY, "OS": Optimiser.EXACT}
    aimed = {"TT": Optimiser.TOP_K, "GT": Optimiser.GREEDY, "OT": Optimiser.EXACT}
    for name in LONG_TERM:
        config = ARMS[name]
        assert config.gamma == 0.99
        assert config.serving is served[name[-2:]]
        assert (config.learning is Learning.SARSA) == name.startswith("SARSA")
        if name.startswith("QL"):
            assert config.target is aimed[name.split("-")[1]]
    assert [name for name, config in ARMS.items() if config.null_item is NullItem.WORTHLESS] == [RECSIM]


def test_a_run_is_kept_and_its_users_are_those_of_the_reference(tmp_path: Path) -> None:
    job = Job("QL-OT-OS", 0, 3000)
    run = run_job(job, tmp_path, users=40)
    assert run_job(job, tmp_path, users=40) == run
    random, oracle = reference(0, tmp_path, users=40)
    assert random["return"] == pytest.approx(161, abs=6)
    assert oracle["return"] > random["return"]
    assert len(run["returns"]) == len(random["returns"]) == 40
    assert run["learned"] >= 3000
    assert run["least_exact_minus_greedy"] >= -1e-4


def made_up(arm: str, seed: int, minutes: float) -> dict[str, Any]:
    run = {"arm": arm, "seed": seed, "return": minutes, "quality": -0.5, "steps": 70.0,
           "returns": [minutes - 1, minutes + 1, minutes]}  # fmt: skip
    trained = {"choice_error": 0.02, "exact_minus_greedy": 0.1, "least_exact_minus_greedy": 0.0, "steps_per_s": 1}
    return run | (trained if arm in ARMS else {})


MEANS = {"random": 160.0, MYOPIC: 166.0, RECSIM: 168.0, **dict.fromkeys(LONG_TERM, 172.0), "QL-OT-OS": 175.0}


def runs(means: dict[str, float]) -> list[dict[str, Any]]:
    return [made_up(arm, seed, mean + 0.1 * seed) for arm, mean in means.items() for seed in range(3)]


def test_claims_follow_the_runs() -> None:
    good = runs(MEANS)
    assert best_long_term(good) == "QL-OT-OS"
    assert all(claim.holds for claim in claims(good))
    assert len(claims(good)) == 4 + len(LONG_TERM)
    worse = runs({**MEANS, MYOPIC: 174.0})
    failing = [claim.claim for claim in claims(worse) if not claim.holds]
    assert any("at most 7" in claim for claim in failing)
    assert any("SARSA-TS minus" in claim for claim in failing)
    short = runs({**MEANS, "QL-OT-OS": 170.0})
    assert any("at least 8" in claim.claim and not claim.holds for claim in claims(short))
    short[-1]["least_exact_minus_greedy"] = -0.5
    assert not claims(short)[-1].holds


def test_rows_stand_beside_what_was_published() -> None:
    table = {row["arm"]: row for row in rows(runs(MEANS))}
    assert set(table) == set(MEANS)
    assert table["QL-OT-OS"]["published"] == PUBLISHED["QL-OT-OS"] == 174.6
    assert table["QL-OT-OS"]["published_lift_percent"] == pytest.approx(9.67, abs=0.01)
    assert table[RECSIM]["published"] is None
    assert table[MYOPIC]["lift_percent"] == pytest.approx(sum(lifts(runs(MEANS), MYOPIC)) / 3)


def test_one_seed_decides_by_its_users() -> None:
    few = [made_up(arm, 0, MEANS[arm]) for arm in ("random", MYOPIC, "QL-OT-OS")]
    assert all(claim.holds for claim in user_claims(few))
    turned = [made_up(arm, 0, MEANS[other]) for arm, other in
              (("random", "random"), (MYOPIC, "QL-OT-OS"), ("QL-OT-OS", MYOPIC))]  # fmt: skip
    assert [claim.holds for claim in user_claims(turned)] == [False, False, True]
