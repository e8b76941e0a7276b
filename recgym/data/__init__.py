"""Logs of user behaviour: one schema, one reader a public format, sessions, splits and batches."""

from recgym.data.schema import Channel, ChannelKind, FeedbackSchema, InteractionLog, LeftOut

__all__ = ["Channel", "ChannelKind", "FeedbackSchema", "InteractionLog", "LeftOut"]
