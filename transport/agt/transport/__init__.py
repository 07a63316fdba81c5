"""Reliable messages over any byte stream: acknowledged, resent, recognised when doubled.

This page is the whole public door; everything else in the package is private.
"""

from agt.transport._ack_level import AckLevel
from agt.transport._batch import DeliveryBatch
from agt.transport._committing import commit_batch
from agt.transport._config import Overflow, ReliableConfig, TransportConfig, load_config
from agt.transport._connections import Connection, TCPConnection, UnixConnection
from agt.transport._dead_letters import DeadLetters, RefusedMessage
from agt.transport._delivery import Delivery
from agt.transport._deprecated import LegacyUse, deprecated, legacy_uses
from agt.transport._errors import (
    BadCredential,
    Closed,
    ConnectionUnavailable,
    MessageTooLarge,
    PeerViolation,
    QueueFull,
    TransportError,
    UsageError,
)
from agt.transport._events import Delivered, Dropped, Event, Observed, Opened, Received, Settled
from agt.transport._kernel_way import KernelWay
from agt.transport._legacy import LegacyTransport
from agt.transport._link import Link, Withdrawal
from agt.transport._listener import ReliableListener
from agt.transport._metric_groups import MetricGroups
from agt.transport._metrics import TransportMetrics
from agt.transport._native_names import NativeNames
from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing
from agt.transport._pacing import ConnectBudget
from agt.transport._received import ReceivedBatch, ReceivedMessage
from agt.transport._reliable import ReliableTransport
from agt.transport._session import Session, SessionWithdrawal
from agt.transport._sniffing import Recogniser, begins_with
from agt.transport._sniffing_listener import SniffingListener
from agt.transport._timers import Timers
from agt.transport._toml import ConfigInvalid
from agt.transport._version import __version__
from agt.transport._way import Way
from agt.transport._wire import Barrier, MoveKind, WireTraits
from agt.transport._wire_listener import WireListener
from agt.transport.trust import (
    AdmissionLimits,
    KeyFile,
    KeyRing,
    PreSharedKey,
    Refusal,
    TLSConnection,
    new_runtime_nonce,
    tls_client_context,
    tls_server_context,
    write_key_file,
)
from agt.transport.wires.native import Probe, ProbeLimits

__all__ = (
    "AckLevel",
    "AdmissionLimits",
    "BadCredential",
    "Barrier",
    "Closed",
    "ConfigInvalid",
    "ConnectBudget",
    "Connection",
    "ConnectionUnavailable",
    "DeadLetters",
    "Delivered",
    "Delivery",
    "DeliveryBatch",
    "Dropped",
    "Event",
    "KernelWay",
    "KeyFile",
    "KeyRing",
    "LegacyTransport",
    "LegacyUse",
    "Link",
    "MessageTooLarge",
    "MetricGroups",
    "MoveKind",
    "NativeNames",
    "Observed",
    "Opened",
    "Outcome",
    "Outgoing",
    "Overflow",
    "PeerViolation",
    "PreSharedKey",
    "Probe",
    "ProbeLimits",
    "QueueFull",
    "Received",
    "ReceivedBatch",
    "ReceivedMessage",
    "Recogniser",
    "Refusal",
    "RefusedMessage",
    "ReliableConfig",
    "ReliableListener",
    "ReliableTransport",
    "Session",
    "SessionWithdrawal",
    "Settled",
    "SniffingListener",
    "TCPConnection",
    "TLSConnection",
    "Timers",
    "TransportConfig",
    "TransportError",
    "TransportMetrics",
    "UnixConnection",
    "UsageError",
    "Way",
    "WireListener",
    "WireTraits",
    "Withdrawal",
    "__version__",
    "begins_with",
    "commit_batch",
    "deprecated",
    "legacy_uses",
    "load_config",
    "new_runtime_nonce",
    "tls_client_context",
    "tls_server_context",
    "write_key_file",
)
