"""Each reader on the real log, against the counts that are known of it."""

import time
from datetime import UTC

import polars as pl
import pytest

from recgym.data import InteractionLog, read_log
from tests.shared import shared_data

pytestmark = pytest.mark.data


def left_out(log: InteractionLog) -> int:
    return sum(entry.rows for entry in log.left_out)


@pytest.mark.parametrize(
    ("path", "format", "rows", "users", "items"),
    [
        ("ml-100k", "movielens", 100_000, 943, 1_682),
        ("ml-1m/sequences.txt.gz", "sequences", 1_000_209, 6_040, 3_706),
        ("wikipedia", "sequences", 157_474, 8_227, 1_000),
        ("amazon-sequences/Beauty.txt", "sequences", 198_502, 22_363, 12_101),
        ("amazon-sequences/Toys_and_Games.txt", "sequences", 167_597, 19_412, 11_924),
        ("kuairand", "kuairand", 32_148, 508, 7_732),
        ("lastfm", "lastfm-hetrec", 92_834, 1_892, 17_632),
        ("online-retail", "online-retail", 541_909, 4_339, 3_665),
        ("yoochoose", "yoochoose", 83_846, 21_210, 2_933),
        ("open-bandit/random/all", "open-bandit", 10_000, 10_000, 80),
        ("open-bandit/random/men", "open-bandit", 10_000, 10_000, 34),
        ("open-bandit/random/women", "open-bandit", 10_000, 10_000, 46),
        ("open-bandit/bts/all", "open-bandit", 10_000, 10_000, 80),
        ("open-bandit/bts/men", "open-bandit", 10_000, 10_000, 34),
        ("open-bandit/bts/women", "open-bandit", 10_000, 10_000, 46),
    ],
)
def test_every_row_is_in_the_log_or_counted(path: str, format: str, rows: int, users: int, items: int) -> None:
    log = read_log(shared_data(path), format)
    assert log.n_rows + left_out(log) == rows
    assert (log.n_users, log.n_items) == (users, items)
    assert log.frame["user"].n_unique() == users
    assert log.frame["item"].n_unique() == items


def test_online_retail_says_what_it_left_out() -> None:
    log = read_log(shared_data("online-retail"), "online-retail")
    counts = {entry.reason: entry.rows for entry in log.left_out}
    unusable = counts["cancellation (invoice number begins with C)"] + counts["line without a customer"]
    assert 541_909 - unusable == 397_924
    assert log.frame["session"].null_count() == 0
    raw = pl.read_parquet(shared_data("online-retail/online_retail.parquet"))
    raw = raw.unique(["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"])
    bought = raw.filter(pl.col("CustomerID").is_not_null(), ~pl.col("InvoiceNo").str.starts_with("C"))
    assert log.frame["quantity"].cast(pl.Float64).sum() == bought["Quantity"].cast(pl.Float64).sum()


def test_kuairand_uses_unix_time_and_tells_of_zero_lengths() -> None:
    log = read_log(shared_data("kuairand/like_hate_kcore15.tsv"), "kuairand")
    raw = pl.read_csv(shared_data("kuairand/like_hate_kcore15.tsv"), separator="\t")
    text = raw["timestamp"].str.to_datetime().dt.epoch("s")
    assert (text - raw["time_ms"] // 1000).abs().max() == 0, "the text is UTC"
    assert log.frame["time_s"].max() == raw["time_ms"].max() / 1e3  # type: ignore[operator]
    assert (log.frame["like"] + log.frame["hate"] == 1).all()
    share = (raw["duration_ms"] == 0).sum() / raw.height
    assert f"{share:.1%}" in log.notes[0]
    assert log.item_features is not None
    assert log.item_features["duration_s"].min() > 0  # type: ignore[operator]
    assert log.frame["slate"].n_unique() == log.n_rows
    assert (log.frame["position"] == 0).all()


def test_ebnerd_slates_are_the_impressions() -> None:
    log = read_log(shared_data("ebnerd"), "ebnerd")
    behaviors = pl.read_parquet(shared_data("ebnerd/behaviors.parquet"))
    shown = log.frame.filter(pl.col("slate").is_not_null())
    assert shown.height == behaviors["article_ids_inview"].list.len().sum()
    assert shown["slate"].n_unique() == behaviors.height == 24_724
    assert shown["click"].sum() == behaviors["article_ids_clicked"].list.unique().list.len().sum()
    assert shown["session"].n_unique() == behaviors["session_id"].n_unique()
    assert shown.filter(pl.col("click") == 0).select((pl.col("read_time") + pl.col("scroll")).sum()).item() == 0
    history = log.frame.filter(pl.col("slate").is_null())
    assert history.height + left_out(log) == 258_318
    assert history["session"].null_count() == history.height
    # One impression, looked up by its time and user.
    one = behaviors.row(0, named=True)
    user = log.user_ids.index_of(one["user_id"])
    moment = one["impression_time"].replace(tzinfo=UTC).timestamp()
    rows = shown.filter(pl.col("user") == user, pl.col("time_s") == moment)
    assert log.item_ids.gather(rows["item"]).to_list() == one["article_ids_inview"]
    assert rows["position"].to_list() == list(range(rows.height))
    clicked = rows.filter(pl.col("click") == 1)
    assert log.item_ids.gather(clicked["item"]).to_list() == one["article_ids_clicked"]
    assert clicked["read_time"].item() == one["next_read_time"]
    assert log.user_features is not None
    assert log.user_features.height == log.n_users == 1_590


def test_open_bandit_keeps_propensities_and_contexts() -> None:
    log = read_log(shared_data("open-bandit/bts/men"), "open-bandit")
    raw = pl.read_csv(shared_data("open-bandit/bts/men/men.csv.gz"))
    rows = log.frame.sort("user")
    assert rows["propensity"].to_list() == raw["propensity_score"].to_list()
    assert log.item_ids.gather(rows["item"]).to_list() == raw["item_id"].to_list()
    assert (rows["position"] + 1).to_list() == raw["position"].to_list()
    assert log.user_features is not None
    assert log.user_features["user_feature_2"].to_list() == raw["user_feature_2"].to_list()
    assert log.user_features.width == 4 + 34


def test_open_bandit_names_the_campaigns_of_a_wider_folder() -> None:
    with pytest.raises(ValueError, match=r"choose one of bts/all, bts/men, .*random/women"):
        read_log(shared_data("open-bandit"), "open-bandit")


def test_movielens_features_belong_to_their_ids() -> None:
    log = read_log(shared_data("ml-100k"), "movielens")
    assert log.item_features is not None
    assert log.user_features is not None
    assert log.item_features["movie_title"][log.item_ids.index_of(1)] == "Toy Story"  # type: ignore[index]
    assert log.user_features["occupation"][log.user_ids.index_of(2)] == "other"  # type: ignore[index]


def test_a_million_rows_take_seconds() -> None:
    path = shared_data("ml-1m/sequences.txt.gz")
    start = time.perf_counter()
    read_log(path, "sequences")
    assert time.perf_counter() - start < 15, "about one second on an idle core"
