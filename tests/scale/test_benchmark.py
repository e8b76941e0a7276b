"""The benchmark of scaling runs and says what it measured."""

import pytest

from benchmarks.scaling import bare, run


def test_rows_hold_ratios_of_pairs() -> None:
    pytest.importorskip("ray")
    rows = run(2, 0.01, 1)
    assert [row.what for row in rows] == ["rollout", "replicate"]
    for row in rows:
        assert row.median == pytest.approx(row.together[0] / row.alone[0])
        assert row.per_worker == pytest.approx(row.together[0] / 2)
        assert row.result_bytes > 0
        assert row.setup_bytes > 1000


def test_bare_processes_run_side_by_side() -> None:
    assert all(ratio > 0 for ratio in bare(2, 0.05, 1))
