"""Reliable messages over any byte stream: acknowledged, resent, recognised when doubled.

This page is the whole public door; everything else in the package is private.
"""

from agt.transport._delivery import Delivery
from agt.transport._errors import (
    Closed,
    ConnectionUnavailable,
    MessageTooLarge,
    PeerViolation,
    QueueFull,
    TransportError,
    UsageError,
)
from agt.transport._events import Dropped, Event, Observed, Opened, Received, Settled
from agt.transport._link import Link, Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._version import __version__
from agt.transport._wire import Barrier, MoveKind, WireTraits

__all__ = (
    "Barrier",
    "Closed",
    "ConnectionUnavailable",
    "Delivery",
    "Dropped",
    "Event",
    "Link",
    "MessageTooLarge",
    "MoveKind",
    "Observed",
    "Opened",
    "Outcome",
    "PeerViolation",
    "QueueFull",
    "Received",
    "Settled",
    "TransportError",
    "UsageError",
    "WireTraits",
    "Withdrawal",
    "__version__",
)
