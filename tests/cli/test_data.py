"""``recgym data`` from the command line: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest

from recgym.cli.main import main
from recgym.data import markov_log, random_transitions, read_log
from tests.data import samples
from tests.shared import shared_data


def test_describe_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples.kuairand_pure(tmp_path)
    assert main(["data", "describe", str(tmp_path), "--format", "kuairand", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["users"], described["items"], described["rows"], described["exposures"]) == (2, 3, 4, 4)
    assert [channel["name"] for channel in described["channels"]][:2] == ["click", "like"]
    assert "25.0%" in described["notes"][0]


def test_describe_prints_tables_and_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples.online_retail_csv(tmp_path)
    assert main(["data", "describe", str(tmp_path), "--format", "online-retail"]) == 0
    printed = capsys.readouterr().out
    for words in ("repeat ratio", "2010-12-01T08:26:00+00:00", "quantity", "left out: 1 rows: line without a customer"):
        assert words in printed


def test_describe_a_table_by_its_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i\n1,2\n1,2\n")
    assert main(["data", "describe", str(path), "--format", "table", "--columns", "user=u,item=i"]) == 0
    printed = capsys.readouterr().out
    assert "times are not" in printed
    assert "50.0%" in printed


def test_convert_writes_a_log_that_reads_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = samples.movielens_1m(tmp_path / "in"), tmp_path / "out"
    assert main(["data", "convert", str(source), "--format", "movielens", "--out", str(out), "--rows", "1"]) == 0
    assert capsys.readouterr().out == ""
    assert read_log(out, "recgym").frame.equals(read_log(source, "movielens").frame)


def test_split_gives_each_user_to_one_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = markov_log(200, 9, random_transitions(20, 3, seed=0), seed=0)
    whole.save(tmp_path / "log")
    assert main(["data", "split", str(tmp_path / "log"), "--out", str(tmp_path / "parts"), "--seed", "3"]) == 0
    assert "parts/train and" in capsys.readouterr().err
    train, test = (read_log(tmp_path / "parts" / name, "recgym") for name in ("train", "test"))
    assert train.n_rows + test.n_rows == whole.n_rows
    assert set(train.frame["user"]).isdisjoint(test.frame["user"])
    assert 20 < test.frame["user"].n_unique() < 60  # of 200, a fifth
    assert train.item_ids.equals(whole.item_ids)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["t.csv", "--format", "movielenz"], "did you mean 'movielens'?"),
        (["nowhere", "--format", "movielens"], "nowhere does not exist"),
        (["t.csv", "--format", "table", "--columns", "user=u,item=z"], "column 'z' is missing; found u, i"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples.write(tmp_path / "t.csv", "u,i\n1,2\n")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "describe", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_describe_ebnerd(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", str(shared_data("ebnerd")), "--format", "ebnerd", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["slates"] == 24_724
    assert described["slate_sizes"]["smallest"] == 5
    assert described["start"] == "2023-04-27T07:00:05+00:00"
