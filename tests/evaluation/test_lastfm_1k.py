"""The layout of Last.fm-1K from end to end: file, log, sessions, baselines, evaluation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from recgym.data import InteractionLog, distinct_sessions, read_log
from recgym.encoders import Sequences
from recgym.encoders.baselines import BaselineConfig, PopularityConfig
from recgym.encoders.repeat import ACTRRepeatConfig, PersonalTopConfig
from recgym.evaluation.sessions import evaluate_sessions, session_split

USERS, DAYS, TRACKS = 30, 12, 120
PAUSE_S = 1200.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People who listen to ten tracks a day, most of them out of fifteen of their own; newest rows first.

    Every tenth track has no id, and some plays have neither id nor name of a track.
    """
    rng = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        own = rng.choice(TRACKS, 15, replace=False)
        begin = datetime(2006, 8, 13, 12, tzinfo=UTC)
        for day in range(DAYS):
            liked = rng.choice(own, 8, replace=False)
            for place, track in enumerate([*liked, *rng.choice(TRACKS, 4, replace=False)]):
                when = begin + timedelta(days=day, minutes=4 * place)
                rows.append((user, when, int(track)))
    lines = [_line(*row) for row in sorted(rows, key=lambda row: (row[0], -row[1].timestamp()))]
    lines.append("user_000001\t2006-08-30T12:00:00Z\t\tSomebody\t\t")
    folder = tmp_path_factory.mktemp("lastfm-dataset-1K")
    (folder / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def _line(user: int, when: datetime, track: int) -> str:
    artist = track // 10
    known = "" if track % 10 == 0 else f"track-{track:04d}-0000"
    return "\t".join(
        [f"user_{user + 1:06d}", when.strftime("%Y-%m-%dT%H:%M:%SZ"), f"artist-{artist:03d}", f"Artist {artist}",
         known, f'Song "{track}" (Live)']
    )  # fmt: skip


@pytest.fixture(scope="module")
def log(file: Path) -> InteractionLog:
    return read_log(file, "lastfm-1k")


def test_tracks_without_ids_go_by_their_names(log: InteractionLog) -> None:
    assert (log.n_users, log.n_items) == (USERS, TRACKS)
    names = [name for name in log.item_ids.to_list() if name.startswith("Artist ")]
    assert len(names) == TRACKS / 10
    assert [(entry.reason, entry.rows) for entry in log.left_out if "without a track" in entry.reason] == [
        ("event without a track id and without a track name", 1)
    ]


def test_sessions_are_counted_and_foreseen(log: InteractionLog) -> None:
    sessions = distinct_sessions(log, PAUSE_S)
    assert sum(entry.rows for entry in sessions.left_out) == log.n_rows - sessions.n_rows + 1
    sizes = sessions.frame.group_by("session").len()["len"]
    assert sizes.unique().to_list() == [10]
    split = session_split(sessions, test=2, validation=2)
    sequences = Sequences.from_log(split.train)
    configs: dict[str, BaselineConfig] = {
        "g-top": PopularityConfig(),
        "p-top": PersonalTopConfig(pause_s=PAUSE_S),
        "actr-repeat": ACTRRepeatConfig(pause_s=PAUSE_S),
    }
    reports = {name: evaluate_sessions(config.fit(sequences), split.test) for name, config in configs.items()}
    found = {name: report.means() for name, report in reports.items()}
    assert len(reports["p-top"].ranking.queries) == 2 * sessions.frame["user"].n_unique()
    # Eight of ten are drawn from fifteen of one's own, so a list of ten own tracks holds about half of a session.
    assert found["p-top"]["recall@10"] == pytest.approx(0.5, abs=0.1)
    assert found["p-top"]["ndcg@10"] > found["g-top"]["ndcg@10"] + 0.3
    assert found["p-top"]["repeats@10"] == 1.0
    assert found["actr-repeat"]["ndcg@10_explored"] == 0.0
    assert reports["p-top"].metrics()["ndcg@10"].low > reports["g-top"].metrics()["ndcg@10"].high
