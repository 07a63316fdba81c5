"""Checkers: what must never happen, looked for in the logs of sources and devices, never in our own ledger alone."""

from agt.chaos.checkers._checks import (
    Ownership,
    Violation,
    is_lost,
    nothing_doubled,
    nothing_lost,
    nothing_untrue,
    one_owner,
    order_kept,
)
from agt.chaos.checkers._counts import Counts, count
from agt.chaos.checkers._history import Fate, History, join
from agt.chaos.checkers._records import Effect, Ignored, Record, Sent, Told, decode_records, read_records

__all__ = (
    "Counts",
    "Effect",
    "Fate",
    "History",
    "Ignored",
    "Ownership",
    "Record",
    "Sent",
    "Told",
    "Violation",
    "count",
    "decode_records",
    "is_lost",
    "join",
    "nothing_doubled",
    "nothing_lost",
    "nothing_untrue",
    "one_owner",
    "order_kept",
    "read_records",
)
