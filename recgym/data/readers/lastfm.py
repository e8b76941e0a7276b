"""Last.fm: listening events of a thousand users, and the play counts of HetRec 2011.

``lastfm-1k``: ``userid-timestamp-artid-artname-traid-traname.tsv``, or a folder that holds it, with
``userid-profile.tsv`` beside it. Each event is a row with ``play`` 1. A tenth of the tracks have no id: such a track
goes by "artist - track". Source: http://ocelma.net/MusicRecommendationDataset/lastfm-1K.html.

``lastfm-hetrec``: ``user_artists.dat``, or a folder that holds it. Each user and artist is a row with the count
``plays``. There are no times, and the order of the rows is that of the file and means nothing: split this log by user.
Source: https://grouplens.org/datasets/hetrec-2011.
"""

from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source, find_file
from recgym.data.readers.fields import channel_field, constant, identifier, moment, parse, whole
from recgym.data.readers.text import scan_text
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read_1k", "read_hetrec"]

_PLAY = Channel("play", ChannelKind.BINARY)
_PLAYS = Channel("plays", ChannelKind.COUNT)
_NAMES_1K = ["userid", "timestamp", "artid", "artname", "traid", "traname"]


def read_1k(source: Source) -> RawLog:
    """Read the Last.fm-1K listening log.

    Raises:
        ValueError: there is no log file, or it has not six columns.
    """
    file = find_file(source.path, ("userid-timestamp-*.tsv*", "*/userid-timestamp-*.tsv*"), "Last.fm-1K listening log")
    name = pl.concat_str("artname", "traname", separator=" - ")
    raw = scan_text(file, source.scratch, "\t", _NAMES_1K).with_columns(track=pl.coalesce("traid", name))
    fields = [identifier("user", "userid"), identifier("item", "track"), moment("time_s", "timestamp", "iso")]
    drop = {"event without a track id and without a track name": pl.col("track").is_null()}
    tracks = raw.select(pl.col("track").str.strip_chars().alias("id"), "artid", "artname", "traname")
    return RawLog(
        rows=parse(raw, fields, file, drop=drop, extra={"play": constant(1.0)}),
        schema=FeedbackSchema((_PLAY,)),
        user_features=_profiles(file.parent, source.scratch),
        item_features=tracks.rename({"artid": "artist_id", "artname": "artist", "traname": "title"}),
    )


def _profiles(folder: Path, scratch: Path) -> pl.LazyFrame | None:
    file = folder / "userid-profile.tsv"
    if not file.is_file():
        return None
    table = scan_text(file, scratch, "\t").drop("line")
    return table.rename({table.collect_schema().names()[0]: "id"})  # the header calls it "#id"


def read_hetrec(source: Source) -> RawLog:
    """Read the play counts of Last.fm HetRec 2011.

    Raises:
        ValueError: there is no ``user_artists.dat``, or a column is missing.
    """
    file = find_file(source.path, ("user_artists.dat", "*/user_artists.dat"), "Last.fm HetRec play counts")
    raw = scan_text(file, source.scratch, "\t")
    fields = [whole("user", "userID"), whole("item", "artistID"), channel_field(_PLAYS, "weight")]
    names = file.parent / "artists.dat"
    artists = None
    if names.is_file():
        table = scan_text(names, source.scratch, "\t", encoding="utf8-lossy")
        artists = table.select(pl.col("id").cast(pl.Int64, strict=False), "name")
    return RawLog(
        rows=parse(raw, fields, file),
        schema=FeedbackSchema((_PLAYS,)),
        ordered=True,
        item_features=artists,
        notes=("play counts without times: the order of a user's rows is that of the file and means nothing",),
    )
