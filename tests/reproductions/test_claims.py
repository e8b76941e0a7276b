import json
from pathlib import Path

import pytest

from reproductions.claims import at_least, at_most, difference, write_result

OURS, THEIRS = [0.90, 0.88, 0.93], [0.40, 0.41, 0.38]


def test_differences_are_paired_over_seeds() -> None:
    claim = difference("ours above theirs", OURS, THEIRS, 0.1)
    assert claim.value == pytest.approx(0.507, abs=1e-3)
    # Student's t of three differences: 4.303 standard errors to either side.
    assert claim.high - claim.value == pytest.approx(0.1004, abs=1e-3)
    assert claim.holds


def test_a_difference_whose_interval_reaches_the_reference_does_not_hold() -> None:
    assert not difference("noise", [0.1, -0.1, 0.2], [0.0, 0.0, 0.0]).holds
    assert not difference("too small", OURS, THEIRS, 0.45).holds


def test_means_against_a_reference() -> None:
    assert at_least("x", OURS, 0.9).holds
    assert not at_least("x", OURS, 0.91).holds
    assert at_most("x", THEIRS, 0.4).holds
    assert not at_most("x", THEIRS, 0.39).holds


def test_a_claim_that_fails_is_written_as_failing(tmp_path: Path) -> None:
    claims = [at_least("good", OURS, 0.5), at_least("bad", THEIRS, 0.5)]
    out = tmp_path / "result.json"
    assert not write_result(out, "demo", "python -m reproductions.demo", [0, 1, 2], 1.0, [], claims, ["a note"])
    written = json.loads(out.read_text())
    assert [claim["holds"] for claim in written["claims"]] == [True, False]
    assert {"name", "command", "seeds", "seconds", "versions", "rows", "claims"} <= set(written)
    assert write_result(out, "demo", "python -m reproductions.demo", [0], 1.0, [], claims[:1])
