import json
from pathlib import Path

from benchmarks import logs


def test_both_files_of_the_generated_log_are_read(tmp_path: Path) -> None:
    out = tmp_path / "logs.json"
    assert logs.main(["--quick", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["log"] for row in rows] == ["generated log.csv", "generated log.parquet"]
    assert all(row["rows"] == 10_000 and row["rows_per_s"] > 0 for row in rows)
