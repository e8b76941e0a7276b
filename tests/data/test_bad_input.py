"""Bad input: one sentence that says what was found, where, and what was expected; and nothing half-written."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from recgym.data import InteractionLog, convert_log, read_log
from recgym.data.readers.table import parse_columns
from tests.data.samples import movielens_100k, retailrocket, write

COLUMNS = "user=u,item=i,time=t,click=c,watch=w:duration"
HEADER = "u,i,t,c,w\n"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,2,3,1,1\n1,2,4,2,1\n", r"t\.csv: row 3, column 'c': found '2', expected 0 or 1"),
        ("1,2,3,1,inf\n", r"row 2, column 'w': found 'inf', expected a finite number"),
        ("1,2,3,nan,1\n", r"row 2, column 'c': found 'nan', expected 0 or 1"),
        ("1,2,3,1,-5\n", r"row 2, column 'w': found '-5', expected a finite number, 0 or more"),
        ("1,2,3,yes,1\n", r"row 2, column 'c': found 'yes', expected 0 or 1"),
        ("1,2,noon,1,1\n", r"row 2, column 't': found 'noon', expected a finite time in s"),
        ("1,2,inf,1,1\n", r"row 2, column 't': found 'inf', expected a finite time in s"),
        ("1,,3,1,1\n", r"row 2, column 'i': found 'nothing', expected an id"),
        ("1,2\n", r"row 2, column 't': found 'nothing', expected a finite time"),
        (
            "99999999999999999999,2,3,1,1\n",
            r"found id 99999999999999999999, expected a whole number of at most 64 bits",
        ),
        ("", r"the log is empty, at least one row was expected"),
        ("1,2,3,1,1\n1,2,3,1,1,8\n", r"t\.csv cannot be read: row 3 of t\.csv has 6 fields, expected 5"),
    ],
)
def test_a_bad_value_is_named_with_its_row_and_column(rows: str, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", HEADER + rows)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_log(path, "table", columns=COLUMNS)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=sentence):
        convert_log(path, "table", tmp_path / "out", columns=COLUMNS)
    assert sorted(tmp_path.iterdir()) == [path], "nothing may be left behind"


def test_a_missing_column_is_named_with_those_found(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "u,i,t,c\n1,2,3,1\n")
    with pytest.raises(ValueError, match=r"t\.csv: column 'w' is missing; found u, i, t, c"):
        read_log(path, "table", columns=COLUMNS)


def test_a_column_of_a_wrong_type_is_named(tmp_path: Path) -> None:
    pl.DataFrame({"u": [1], "i": [[1, 2]], "t": [1.0]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(
        ValueError, match=r"row 1, column 'i': found 'List\(Int64\)' in a column of type List.*expected an id"
    ):
        read_log(tmp_path / "t.parquet", "table", columns="user=u,item=i,time=t")


def test_ids_of_a_parquet_file_must_fit(tmp_path: Path) -> None:
    pl.DataFrame({"u": pl.Series([1, 2**64 - 1], dtype=pl.UInt64), "i": [1, 1]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"row 2, column 'u': found '18446744073709551615'.* at most 64 bits"):
        read_log(tmp_path / "t.parquet", "table", columns="user=u,item=i")


def test_movielens_ids_must_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "u.data", "1\t2\t3\t4\n1\t99999999999999999999\t3\t5\n")
    with pytest.raises(
        ValueError, match=r"u\.data: row 2, column 'item': found '9+', expected a whole number of at most 64"
    ):
        read_log(path, "movielens")


@pytest.mark.parametrize("cut", [5, 40, 200])
def test_a_truncated_gzip_is_named(cut: int, tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{i} {i * 7919 % 1000}\n" for i in range(500)).encode())
    path = tmp_path / "s.txt.gz"
    path.write_bytes(whole[:cut])
    with pytest.raises(ValueError, match=r"s\.txt\.gz is a damaged or truncated gzip"):
        read_log(path, "sequences")
    with pytest.raises(ValueError, match=r"s\.txt\.gz is a damaged or truncated gzip"):
        read_log(path, "table", columns="user=u,item=i")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    for content in (b"", gzip.compress(b"")):
        (tmp_path / "s.txt").write_bytes(content)
        with pytest.raises(ValueError, match=r"s\.txt is empty, at least one row was expected"):
            read_log(tmp_path / "s.txt", "sequences")


def test_an_unreadable_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"u": range(1000), "i": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"t\.parquet cannot be read"):
        read_log(path, "table", columns="user=u,item=i")


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"u,i\n\xff\xfe,2\n")
    with pytest.raises(ValueError, match=r"t\.csv cannot be read"):
        read_log(path, "table", columns="user=u,item=i")


@pytest.mark.parametrize(
    ("format", "hint"),
    [("movielenz", "; did you mean 'movielens'?"), ("EBNERD", "; did you mean 'ebnerd'?"), ("xyz", "")],
)
def test_a_wrong_format_name(format: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no log format") as caught:
        read_log(tmp_path, format)
    assert "kuairand, lastfm-1k, lastfm-hetrec, movielens" in str(caught.value)
    assert str(caught.value).endswith(hint or "yoochoose")


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere does not exist, a log of the format 'movielens' was expected there"):
        read_log(tmp_path / "nowhere", "movielens")


@pytest.mark.parametrize(
    "format", ["movielens", "kuairand", "ebnerd", "open-bandit", "lastfm-1k", "lastfm-hetrec", "online-retail",
               "yoochoose", "retailrocket", "sequences", "recgym"]
)  # fmt: skip
def test_a_folder_of_something_else_says_what_was_expected(format: str, tmp_path: Path) -> None:
    write(tmp_path / "notes.md", "nothing here\n")
    with pytest.raises(ValueError, match=r"expected"):
        read_log(tmp_path, format)


@pytest.mark.parametrize(
    "format",
    [
        "movielens",
        "kuairand",
        "open-bandit",
        "lastfm-1k",
        "lastfm-hetrec",
        "online-retail",
        "yoochoose",
        "retailrocket",
    ],
)
def test_a_file_of_something_else_is_refused(format: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"notes\.md"):
        read_log(write(tmp_path / "notes.md", "# nothing here\nat all\n"), format)


def test_columns_belong_to_tables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a column mapping belongs to the format 'table'"):
        read_log(movielens_100k(tmp_path), "movielens", columns="user=u,item=i")
    with pytest.raises(ValueError, match="needs to know the columns of"):
        read_log(tmp_path / "u.data", "table")


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("user=u", "'item' is missing"),
        ("user=u,item", "found 'item'"),
        ("user=u,item=i,user=v", "found 'user=v'"),
        ("user=u,item=i,stars=r:rating", "expected the bounds of the rating"),
        ("user=u,item=i,stars=r:rating:5:1", "low must be below high"),
        ("user=u,item=i,bad name=r", "is not a word"),
        ("user=u,item=i,time_s=r", "is taken by a column of the log"),
    ],
)
def test_a_mapping_that_does_not_follow_the_grammar(mapping: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_columns(mapping)


def test_an_uneven_file_of_a_folder_is_named(tmp_path: Path) -> None:
    file = retailrocket(tmp_path) / "events.csv"
    file.write_text(file.read_text() + "1433221332117,257597,view,355908,,7\n")
    with pytest.raises(ValueError, match=r"cannot be read: row 7 of events\.csv has 6 fields, expected 5"):
        read_log(tmp_path, "retailrocket")


def test_an_unknown_event_is_named(tmp_path: Path) -> None:
    path = retailrocket(tmp_path) / "events.csv"
    path.write_text(path.read_text().replace("transaction,248676", "refund,248676"))
    with pytest.raises(
        ValueError, match=r"row 5, column 'event': found 'refund', expected one of view, addtocart, transaction"
    ):
        read_log(path, "retailrocket")


def test_a_sequence_line_needs_an_item(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"row 2, column 'item': found 'nothing'"):
        read_log(write(tmp_path / "s.txt", "1 2\n3\n"), "sequences")


def test_an_unwritable_output_folder(tmp_path: Path) -> None:
    blocker = write(tmp_path / "file", "x")
    with pytest.raises(ValueError, match=r"cannot be written"):
        convert_log(movielens_100k(tmp_path / "in"), "movielens", blocker / "deep" / "out")


def test_a_failed_conversion_keeps_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert_log(movielens_100k(tmp_path / "in"), "movielens", out)
    with pytest.raises(ValueError, match="expected 0 or 1"):
        convert_log(write(tmp_path / "t.csv", "u,i,c\n1,1,5\n"), "table", out, columns="user=u,item=i,c=c")
    assert InteractionLog.load(out).n_rows == 3


def test_piece_sizes_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows must be at least 1"):
        convert_log(movielens_100k(tmp_path / "in"), "movielens", tmp_path / "out", rows=0)
