"""Logs of user behaviour: one schema, one reader a public format, sessions, splits and batches."""

from recgym.data.readers import READERS, convert_log, read_log
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema, InteractionLog, LeftOut
from recgym.data.sessions import sessionise
from recgym.data.splits import LeaveOneOut, Split, leave_one_out, split_by_time, split_by_user, split_each_user

__all__ = [
    "Channel", "ChannelKind", "FeedbackSchema", "InteractionLog", "LeftOut",
    "READERS", "convert_log", "read_log",
    "LeaveOneOut", "Split", "leave_one_out", "sessionise", "split_by_time", "split_by_user", "split_each_user",
]  # fmt: skip
