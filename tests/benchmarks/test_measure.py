import json
import time
from pathlib import Path

import pytest

from benchmarks.measure import Row, paired, rate, report, write_result


def test_rate_is_count_over_time() -> None:
    def call() -> int:
        time.sleep(0.002)
        return 10

    # A sleep may last longer than asked for, never shorter.
    assert 1000 < rate(call, seconds=0.2) <= 5000


def test_rate_leaves_the_warm_up_out() -> None:
    pauses = iter([0.2] + [0.001] * 10_000)

    def call() -> int:
        time.sleep(next(pauses))
        return 1

    assert rate(call, seconds=0.1) > 200


def test_pairs_take_turns() -> None:
    turns: list[str] = []
    speeds = {"ours": iter([10.0, 30.0, 20.0]), "theirs": iter([5.0, 5.0, 20.0])}

    def run(side: str) -> float:
        turns.append(side)
        return next(speeds[side])

    ratio = paired("a", "b", 1, lambda: run("ours"), lambda: run("theirs"), repeats=3)
    assert turns == ["ours", "theirs"] * 3
    assert (ratio.min, ratio.median, ratio.max) == (1.0, 2.0, 6.0)
    assert ratio.ours == [10.0, 30.0, 20.0]


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one pair is needed, found repeats=0"):
        paired("a", "b", 1, lambda: 1.0, lambda: 1.0, repeats=0)


def test_a_result_says_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "results" / "speed.json"
    write_result(path, report([Row("a", "core", 4, 2.5)], []))
    body = json.loads(path.read_text())
    assert body["rows"] == [{"env": "a", "face": "core", "B": 4, "steps_per_s": 2.5}]
    assert body["processor"]
    assert body["command"].startswith("python ")
    assert set(body["versions"]) >= {"python", "recgym", "gymnasium", "numpy", "torch"}
    assert [p.name for p in path.parent.iterdir()] == ["speed.json"]


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"output folder .*file cannot be written"):
        write_result(tmp_path / "file" / "speed.json", report([], []))
