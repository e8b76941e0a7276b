"""Each reader on a tiny log in the layout of the public download, value by value."""

from pathlib import Path

import polars as pl
import pytest

from recgym.data import InteractionLog, LeftOut, convert_log, read_log, to_frame
from tests.data import samples

SAMPLES = {
    "u.data": (samples.movielens_100k, "movielens"),
    "ratings.dat": (samples.movielens_1m, "movielens"),
    "ratings.csv": (samples.movielens_latest, "movielens"),
    "kuairand": (samples.kuairand_pure, "kuairand"),
    "lastfm-1k": (samples.lastfm_1k, "lastfm-1k"),
    "retailrocket": (samples.retailrocket, "retailrocket"),
    "yoochoose": (samples.yoochoose_public, "yoochoose"),
    "online-retail": (samples.online_retail_csv, "online-retail"),
    "ebnerd": (samples.ebnerd_parts, "ebnerd"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_reading_in_pieces_equals_reading_at_once(name: str, tmp_path: Path) -> None:
    make, format = SAMPLES[name]
    path = make(tmp_path / "in")
    whole = read_log(path, format)
    convert_log(path, format, tmp_path / "out", rows=1)
    pieces = read_log(tmp_path / "out", "recgym")
    assert pieces.frame.equals(whole.frame)
    assert pieces.user_ids.equals(whole.user_ids)
    assert pieces.item_ids.equals(whole.item_ids)
    assert pieces.left_out == whole.left_out
    assert pieces.notes == whole.notes
    for features in ("user_features", "item_features"):
        expected = getattr(whole, features)
        found = getattr(pieces, features)
        assert (found is None) == (expected is None)
        assert expected is None or found.equals(expected)


def values(log: InteractionLog, *columns: str) -> list[tuple[object, ...]]:
    return to_frame(log).select(columns).rows()


def test_movielens_100k(tmp_path: Path) -> None:
    log = read_log(samples.movielens_100k(tmp_path), "movielens")
    assert values(log, "user", "item", "time_s", "rating") == [
        (22, 377, 878887116.0, 1.0), (196, 242, 881250949.0, 3.0), (196, 377, 881250950.0, 4.0),
    ]  # fmt: skip
    assert log.item_features is not None
    assert log.item_features.row(0) == ("Café (1996)", "01-Jan-1996", "Comedy|Thriller")
    assert log.user_features is not None
    assert log.user_features["age"].to_list() == ["25", "49"]


@pytest.mark.parametrize("make", [samples.movielens_1m, samples.movielens_latest])
def test_movielens_1m_and_latest(make: object, tmp_path: Path) -> None:
    folder = make(tmp_path)  # type: ignore[operator]
    log = read_log(folder, "movielens")
    assert log.n_rows == 3
    assert log.frame["slate"].null_count() == 3
    if make is samples.movielens_1m:
        assert values(log, "user", "item", "rating") == [(1, 1193, 5.0), (1, 661, 3.0), (2, 1193, 4.0)]
        assert log.item_features is not None
        assert log.item_features["title"].to_list() == ["James: the Giant Peach (1996)", "Amélie"]
    else:
        assert values(log, "user", "item", "rating") == [(1, 3, 0.5), (1, 1, 4.0), (7, 1, 5.0)]
        assert log.item_features is not None
        assert log.item_features["title"].to_list() == ["Toy Story, The", "Old Men"]


def test_kuairand_public_folder(tmp_path: Path) -> None:
    log = read_log(samples.kuairand_pure(tmp_path), "kuairand")
    assert values(log, "user", "item", "time_s", "click", "hate", "watch_time", "comment_stay") == [
        (0, 10, 1649400000.0, 1.0, 0.0, 5.0, 0.0), (0, 11, 1650600000.0, 1.0, 0.0, 1.5, 0.25),
        (1, 11, 1649403600.0, 0.0, 0.0, 0.0, 0.0), (1, 12, 1650646800.0, 0.0, 1.0, pytest.approx(0.7), 0.0),
    ]  # fmt: skip
    assert log.frame["slate"].to_list() == [0, 1, 2, 3]
    assert log.user_features is not None
    assert log.user_features.rows() == [("full_active", 799), ("low", 3)]
    assert log.item_features is not None
    assert log.item_features.select("author_id", "tag", "show_cnt", "duration_s").rows() == [
        (7, "39", 100, 4.0), (8, "39,1", None, 9.0), (None, None, 5, 3.0),
    ]  # fmt: skip
    assert "25.0%" in log.notes[0]


def test_lastfm_1k(tmp_path: Path) -> None:
    log = read_log(samples.lastfm_1k(tmp_path), "lastfm-1k")
    assert values(log, "user", "item", "time_s", "play") == [
        ("user_000001", "t-1", 1241445250.0, 1.0),
        ("user_000001", "Deep Dish - Fuck Me Im Famous", 1241478537.0, 1.0),
        ("user_000002", "t-1", 1241445250.0, 1.0),
    ]
    assert set(log.left_out) == {
        LeftOut("event without a track id and without a track name", 1), LeftOut("exact duplicate of another row", 1),
    }  # fmt: skip
    assert log.item_features is not None
    assert log.item_features["artist"].to_list() == ["Deep Dish", "Underworld"]
    assert log.user_features is not None
    assert log.user_features["country"].to_list() == ["Japan", None]


def test_retailrocket_joins_events_of_one_moment(tmp_path: Path) -> None:
    log = read_log(samples.retailrocket(tmp_path), "retailrocket")
    assert values(log, "user", "item", "view", "addtocart", "transaction") == [
        (257597, 355908, 1.0, 0.0, 0.0), (992329, 248676, 1.0, 1.0, 0.0), (992329, 248676, 0.0, 0.0, 1.0),
    ]  # fmt: skip
    assert sum(entry.rows for entry in log.left_out) == 2


def test_yoochoose_public_files(tmp_path: Path) -> None:
    log = read_log(samples.yoochoose_public(tmp_path), "yoochoose")
    assert values(log, "user", "item", "click", "buy") == [
        (1, 214536502, 1.0, 0.0), (1, 214536500, 1.0, 0.0), (2, 214662742, 1.0, 0.0), (2, 214662742, 0.0, 1.0),
    ]  # fmt: skip
    assert log.frame["time_s"][0] == 1396867869.277


def test_online_retail_from_a_spreadsheet(tmp_path: Path) -> None:
    log = read_log(samples.online_retail_csv(tmp_path), "online-retail")
    assert values(log, "user", "item", "quantity", "time_s") == [
        (17850, "85123A", 8.0, 1291191960.0), (17850, "71053", 3.0, 1294919520.0),
    ]  # fmt: skip
    assert log.frame["price"][0] == pytest.approx(2.45)
    assert log.item_features is not None
    assert "HEART, WHITE" in log.item_features["description"].to_list()
    assert {entry.rows for entry in log.left_out} == {1}
    assert len(log.left_out) == 4


def test_online_retail_refuses_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "Online Retail.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"Excel workbook; expected its sheet exported as CSV"):
        read_log(tmp_path, "online-retail")


def test_ebnerd_train_and_validation(tmp_path: Path) -> None:
    log = read_log(samples.ebnerd_parts(tmp_path), "ebnerd")
    assert values(log, "user", "item", "slate", "position", "session", "click", "read_time", "scroll") == [
        (1, 90, None, None, None, 1.0, 7.0, 50.0), (1, 91, None, None, None, 1.0, 7.0, 50.0),
        (1, 100, 0, 0, 0, 0.0, 0.0, 0.0), (1, 101, 0, 1, 0, 1.0, 9.0, None), (1, 102, 0, 2, 0, 0.0, 0.0, 0.0),
        (1, 104, 1, 0, 1, 1.0, None, 10.0), (1, 101, 1, 1, 1, 0.0, 0.0, 0.0),
        (2, 100, 2, 0, 2, 1.0, None, None), (2, 103, 2, 1, 2, 1.0, None, None),
    ]  # fmt: skip
    assert {entry.reason: entry.rows for entry in log.left_out} == {
        "user without any read in the history": 1,
        "history read within the time of the impressions, which tell of it already": 1,
        "exact duplicate of another row": 1,
    }
    assert log.item_features is not None
    assert log.item_features.columns == ["category"]
    assert log.item_features["category"][log.item_ids.index_of(101)] == 5  # type: ignore[index]


def test_sequences_in_either_form_are_the_same(tmp_path: Path) -> None:
    pairs = read_log(samples.write(tmp_path / "pairs.txt.gz", "b 5\na 7\nb 5\nb x\n"), "sequences")
    lines = read_log(samples.write(tmp_path / "lines.txt", "b 5 5  x\n\na\t7\r\n"), "sequences")
    assert values(pairs, "user", "item", "time_s") == [
        ("a", "7", 0.0),
        ("b", "5", 0.0),
        ("b", "5", 1.0),
        ("b", "x", 2.0),
    ]
    assert lines.frame.equals(pairs.frame)
    assert lines.left_out == (LeftOut("blank line", 1),)
    assert pairs.time_unit == "order"


TABLE = "u,v,ms,c,play,stars,s,pos,p\n7,b,2000,1,1500,4,1,0,0.5\n7,a,2000,true,,1,1,1,\n3,b,1000,0,0,5,,,1\n"
MAPPING = (
    "user=u,item=v,time=ms:ms,click=c,watch=play:duration:ms,stars=stars:rating:1:5,slate=s,position=pos,propensity=p"
)
TABLE_VALUES = [
    (3, "b", 1.0, None, None, 1.0, 0.0, 0.0, 5.0), (7, "b", 2.0, 0, 0, 0.5, 1.0, 1.5, 4.0),
    (7, "a", 2.0, 0, 1, None, 1.0, None, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet"])
def test_table_in_every_container(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "t.parquet":
        frame = pl.read_csv(TABLE.replace("true", "1").encode())
        frame.write_parquet(path)
    else:
        samples.write(path, TABLE.replace(",", "\t") if name == "t.tsv" else TABLE)
    log = read_log(path, "table", columns=MAPPING)
    assert (
        values(log, "user", "item", "time_s", "slate", "position", "propensity", "click", "watch", "stars")
        == TABLE_VALUES
    )


ISO = "u:x;i;iso;us\n1;1;2024-05-01T12:30:00.5Z;1000000\n1;2;2024-05-01 14:30:00+02:00;3\n1;3;2024-05-01;4\n"


def test_table_time_units_and_types(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "t.csv", ISO)
    log = read_log(path, "table", columns="user=u:x,item=i,time=iso:iso")
    assert log.frame["time_s"].to_list() == [1714521600.0, 1714566600.0, 1714566600.5]
    assert log.schema.names == ("event",)
    assert read_log(path, "table", columns="user=u:x,item=i,time=us:us").frame["time_s"][2] == 1.0
    parquet = tmp_path / "t.parquet"
    pl.read_csv(path, separator=";").with_columns(pl.col("us").cast(pl.Datetime("us"))).write_parquet(parquet)
    assert read_log(parquet, "table", columns="user=u:x,item=i,time=us").frame["time_s"][2] == 1.0


def test_table_without_time_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i\n2,5\n1,9\n2,4\n2,5\n")
    log = read_log(path, "table", columns="user=u,item=i")
    assert values(log, "user", "item", "time_s") == [(1, 9, 0.0), (2, 5, 0.0), (2, 4, 1.0), (2, 5, 2.0)]


def test_table_of_items_shown_by_themselves(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i,t,c\n1,1,5,0\n1,2,5,1\n1,2,5,0\n")
    log = read_log(path, "table", columns="user=u,item=i,time=t,click=c,slate=*")
    assert log.frame["slate"].to_list() == [0, 1, 2]
    assert log.consumed.sum() == 1


def test_unsorted_and_duplicate_rows_are_sorted_and_counted(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i,t,c\n1,1,9,0\n1,1,3,1\n1,1,9,0\n1,1,9,1\n")
    log = read_log(path, "table", columns="user=u,item=i,time=t,click=c")
    assert values(log, "time_s", "click") == [(3.0, 1.0), (9.0, 0.0)]
    assert [entry.rows for entry in log.left_out] == [1, 1]


def test_ids_that_are_not_plain_numbers_stay_text(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i\n007,1\n7,2\n")
    log = read_log(path, "table", columns="user=u,item=i")
    assert log.user_ids.to_list() == ["007", "7"]
    assert log.item_ids.to_list() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "told"),
    [("click=c", True), ("click=c,slate=*", False), ("click=c,slate=t", False), ("stars=c:rating:0:1", False)],
)
def test_a_table_of_feedback_without_slates_says_that_rows_count_as_taken(
    tmp_path: Path, columns: str, told: bool
) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i,t,c\n1,1,5,0\n1,2,6,1\n")
    notes = read_log(path, "table", columns=f"user=u,item=i,time=t,{columns}").notes
    assert any("slate=*" in note for note in notes) == told


def test_a_unit_of_what_is_no_time_is_refused(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "t.csv", "u,i,t\n1,1,5\n")
    with pytest.raises(ValueError, match="expected a unit for time only; 'tiem' is none of user, item, time"):
        read_log(path, "table", columns="user=u,item=i,tiem=t:s")
