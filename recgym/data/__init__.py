"""Logs of user behaviour: one schema, one reader a public format, sessions, splits and batches."""

from recgym.data.batches import (
    Events,
    HistoryBatch,
    consumed_events,
    gather_events,
    histories,
    history_before,
    iter_histories,
)
from recgym.data.describe import ChannelSummary, LogDescription, SlateSizes, describe
from recgym.data.export import to_frame, write_csv
from recgym.data.large import describe_saved, drawn_users, saved_events, split_saved
from recgym.data.merging import merge_saved
from recgym.data.pieces import iter_log, scan_log
from recgym.data.readers import READERS, convert_log, read_log
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema, InteractionLog, LeftOut
from recgym.data.sessions import distinct_sessions, sessionise
from recgym.data.splits import LeaveOneOut, Split, leave_one_out, split_by_time, split_by_user, split_each_user
from recgym.data.streams import StreamConfig, new_item_stream
from recgym.data.synthetic import iid_log, markov_log, random_transitions, zipf_popularity

__all__ = [
    "Channel", "ChannelKind", "FeedbackSchema", "InteractionLog", "LeftOut",
    "READERS", "convert_log", "iter_log", "read_log", "scan_log",
    "describe_saved", "drawn_users", "merge_saved", "saved_events", "split_saved",
    "distinct_sessions", "sessionise",
    "LeaveOneOut", "Split", "leave_one_out", "split_by_time", "split_by_user", "split_each_user",
    "Events", "consumed_events", "gather_events", "HistoryBatch", "histories", "history_before", "iter_histories",
    "ChannelSummary", "LogDescription", "SlateSizes", "describe",
    "iid_log", "markov_log", "random_transitions", "zipf_popularity",
    "StreamConfig", "new_item_stream",
    "to_frame", "write_csv",
]  # fmt: skip
