"""Tiny logs in the layouts of the public downloads, and a log made in memory."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl

from recgym.data import Channel, ChannelKind, FeedbackSchema, InteractionLog

SCHEMA = FeedbackSchema((Channel("click", ChannelKind.BINARY), Channel("watch", ChannelKind.DURATION, "s")))


def random_log(
    seed: int, n_users: int = 12, n_items: int = 9, slates: bool = True, ties: bool = True
) -> InteractionLog:
    """Users with 0 to 20 steps, each a slate of 1 to 4 items or an organic row; times may tie across users."""
    generator = np.random.default_rng(seed)
    rows: list[tuple[int, int, float, int | None, int | None, float, float | None]] = []
    slate = 0
    for user in range(n_users):
        steps = int(generator.integers(0, 21))
        times = np.sort(generator.integers(0, 40 if ties else 10**9, size=steps).astype(float))
        for time in np.unique(times):
            if slates and generator.random() < 0.7:
                items = generator.permutation(n_items)[: generator.integers(1, 5)]
                for position, item in enumerate(items):
                    click = float(generator.random() < 0.3)
                    rows.append((user, int(item), float(time), slate, position, click, None if click else 0.0))
                slate += 1
            else:
                rows.append(
                    (user, int(generator.integers(n_items)), float(time), None, None, 1.0, float(generator.random()))
                )
    frame = pl.DataFrame(
        rows,
        schema={
            "user": pl.Int64, "item": pl.Int64, "time_s": pl.Float64, "slate": pl.Int64, "position": pl.Int32,
            "click": pl.Float32, "watch": pl.Float32,
        },
        orient="row",
    ).with_columns(session=pl.lit(None, dtype=pl.Int64), propensity=pl.lit(None, dtype=pl.Float64))  # fmt: skip
    ids = [pl.Series("id", [f"{kind}{i}" for i in range(n)]) for kind, n in (("u", n_users), ("i", n_items))]
    return InteractionLog(frame, SCHEMA, ids[0], ids[1], source="random log")


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write a text file, gzip if its name says so, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def movielens_100k(folder: Path) -> Path:
    write(folder / "u.data", "196\t242\t3\t881250949\n22\t377\t1\t878887116\n196\t377\t4\t881250950\n")
    flags = "|".join("1" if index in (5, 16) else "0" for index in range(19))
    write(
        folder / "u.item",
        f"242|Café (1996)|01-Jan-1996||http://x|{flags}\n377|B|01-Jan-1990||http://y|{flags}\n",
        "latin-1",
    )
    write(folder / "u.user", "196|49|M|writer|55105\n22|25|M|writer|40206\n")
    return folder


def movielens_1m(folder: Path) -> Path:
    write(folder / "ratings.dat", "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n")
    write(
        folder / "movies.dat", "661::James: the Giant Peach (1996)::Animation|Musical\n1193::Amélie::Drama\n", "latin-1"
    )
    write(folder / "users.dat", "1::F::1::10::48067\n2::M::56::16::70072\n")
    return folder


def movielens_latest(folder: Path) -> Path:
    write(
        folder / "ratings.csv",
        "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,0.5,964981247\n7,1,5.0,964982224\n",
    )
    write(folder / "movies.csv", 'movieId,title,genres\n1,"Toy Story, The",Adventure\n3,Old Men,Comedy\n')
    return folder


KUAIRAND_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)


def kuairand_pure(folder: Path) -> Path:
    """The public folder: three log files, one of them tab-separated, and features under ``data/``."""
    data = folder / "data"
    rows = ["0,10,20220408,1200,1649400000000,1,0,0,0,0,0,1,5000,4000,0,0,0,0,1",
            "1,11,20220408,1300,1649403600000,0,0,0,0,0,0,0,0,0,0,0,0,0,1"]  # fmt: skip
    write(data / "log_standard_4_08_to_4_21_pure.csv", "\n".join([KUAIRAND_HEADER, *rows]) + "\n")
    later = "0,11,20220422,1200,1650600000000,1,1,0,0,0,0,0,1500,9000,0,250,0,0,1"
    write(data / "log_standard_4_22_to_5_08_pure.csv", "\n".join([KUAIRAND_HEADER, later]) + "\n")
    drawn = "1,12,20220423,0100,1650646800000,0,0,0,0,0,1,0,700,3000,0,0,0,1,1"
    write(data / "log_random_4_22_to_5_08_pure.csv", "\n".join([KUAIRAND_HEADER, drawn]).replace(",", "\t") + "\n")
    write(
        data / "user_features_pure.csv",
        "user_id,user_active_degree,register_days\n0,full_active,799\n1,low,3\n5,low,1\n",
    )
    write(data / "video_features_basic_pure.csv", 'video_id,author_id,tag\n10,7,39\n11,8,"39,1"\n')
    write(data / "video_features_statistic_pure.csv", "video_id,show_cnt\n10,100\n12,5\n")
    return folder


def lastfm_1k(folder: Path) -> Path:
    lines = [
        "user_000001\t2009-05-04T23:08:57Z\tf1b1\tDeep Dish\t\tFuck Me Im Famous",
        "user_000001\t2009-05-04T13:54:10Z\ta7f7\tUnderworld\tt-1\tBoy \"Boy\" Boy",
        "user_000002\t2009-05-04T13:54:10Z\ta7f7\tUnderworld\tt-1\tBoy \"Boy\" Boy",
        "user_000002\t2009-05-04T13:58:10Z\ta7f7\tUnderworld\t\t",
        "user_000002\t2009-05-04T13:54:10Z\ta7f7\tUnderworld\tt-1\tBoy \"Boy\" Boy",
    ]  # fmt: skip
    write(folder / "userid-timestamp-artid-artname-traid-traname.tsv", "\n".join(lines) + "\n")
    write(
        folder / "userid-profile.tsv", "#id\tgender\tage\tcountry\tregistered\nuser_000001\tm\t\tJapan\tAug 13, 2006\n"
    )
    return folder


def retailrocket(folder: Path) -> Path:
    lines = [
        "timestamp,visitorid,event,itemid,transactionid",
        "1433221332117,257597,view,355908,",
        "1433224214164,992329,view,248676,",
        "1433224214164,992329,addtocart,248676,",
        "1433224244282,992329,transaction,248676,4000",
        "1433221332117,257597,view,355908,",
    ]
    write(folder / "events.csv", "\n".join(lines) + "\n")
    return folder


def yoochoose_public(folder: Path) -> Path:
    write(
        folder / "yoochoose-clicks.dat",
        "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n2,2014-04-07T13:56:37.614Z,214662742,0\n",
    )
    write(folder / "yoochoose-buys.dat", "2,2014-04-07T14:00:00.000Z,214662742,12462,1\n")
    return folder


def online_retail_csv(folder: Path) -> Path:
    lines = [
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        '536365,85123A,"HEART, WHITE",6,12/1/2010 8:26,2.55,17850,United Kingdom',
        '536365,85123A,"HEART, WHITE",6,12/1/2010 8:26,2.55,17850,United Kingdom',
        '536365,85123A,"HEART, WHITE",2,12/1/2010 8:26,2.35,17850,United Kingdom',
        "C536379,D,Discount,-1,12/1/2010 9:41,27.5,14527,United Kingdom",
        "536414,22139,,56,12/1/2010 11:52,0,,United Kingdom",
        "536415,71053,LANTERN £,3,13/1/2010 11:52,1.0,17850,France",
    ]
    lines[-1] = lines[-1].replace("13/1/2010", "1/13/2011")
    write(folder / "data.csv", "\n".join(lines) + "\n", "latin-1")
    return folder


def ebnerd_parts(folder: Path) -> Path:
    """The public folders ``train`` and ``validation``: the second history tells of the first part's click once more."""
    from datetime import datetime

    def time(day: int, hour: int = 8) -> datetime:
        return datetime(2023, 5, day, hour)

    def part(
        name: str, impressions: list[tuple[int, int, datetime, list[int], list[int], float | None, float | None]]
    ) -> None:
        (folder / name).mkdir(parents=True)
        pl.DataFrame(
            [(*row, 1, False, None, row[0] // 10) for row in impressions],
            schema={
                "impression_id": pl.UInt32, "user_id": pl.UInt32, "impression_time": pl.Datetime("us"),
                "article_ids_inview": pl.List(pl.Int32), "article_ids_clicked": pl.List(pl.Int32),
                "next_read_time": pl.Float32, "next_scroll_percentage": pl.Float32, "device_type": pl.Int8,
                "is_subscriber": pl.Boolean, "age": pl.Int8, "session_id": pl.UInt32,
            },
            orient="row",
        ).write_parquet(folder / name / "behaviors.parquet")  # fmt: skip

    def history(name: str, reads: list[tuple[int, list[datetime], list[int]]]) -> None:
        pl.DataFrame(
            [(user, times, [50.0 for _ in times], items, [7.0 for _ in times]) for user, times, items in reads],
            schema={
                "user_id": pl.UInt32, "impression_time_fixed": pl.List(pl.Datetime("us")),
                "scroll_percentage_fixed": pl.List(pl.Float32), "article_id_fixed": pl.List(pl.Int32),
                "read_time_fixed": pl.List(pl.Float32),
            },
            orient="row",
        ).write_parquet(folder / name / "history.parquet")  # fmt: skip

    part(
        "train",
        [(10, 1, time(10), [100, 101, 102], [101], 9.0, None), (11, 2, time(10), [100, 103], [100, 103], 5.0, 80.0)],
    )
    history("train", [(1, [time(1), time(2)], [90, 91]), (2, [], [])])
    part("validation", [(20, 1, time(20), [104, 101], [104], None, 10.0)])
    history("validation", [(1, [time(2), time(10)], [91, 101])])
    pl.DataFrame(
        {"article_id": [100, 101], "category": [4, 5], "topics": [["a"], ["b"]]},
        schema={"article_id": pl.Int32, "category": pl.Int16, "topics": pl.List(pl.String)},
    ).write_parquet(folder / "articles.parquet")
    return folder
