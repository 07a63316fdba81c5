"""Every number of the reliable transport, with the names and defaults that its documents already use."""

import enum
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from agt.transport._pacing import ConnectBudget
from agt.transport._toml import ConfigInvalid, Problem, read_tables, table_of, table_problems

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Retries = Annotated[int, Meta(ge=0)] | Literal["auto"] | None

RETRIES: Final = 3
"""Resends of a message that nothing but its transport keeps."""


class Overflow(enum.StrEnum):
    """What happens to a message that meets a full send queue."""

    BLOCK = "block"
    """`send` waits for room, until the message's own deadline: right for commands."""
    DROP_OLDEST = "drop_oldest"
    """The oldest message that was never written gives way and ends as `not_delivered`: right for status."""
    REJECT = "reject"
    """`QueueFull` at once: the caller decides."""


class ReliableConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How hard a reliable transport tries, and how much it may hold."""

    max_retries: Retries = "auto"
    """Resends of one message after its first attempt; None means until its deadline. "auto" is 3, and None where there
    is an outbox: what was kept on purpose is not given up before its time."""
    ack_timeout_seconds: Seconds = 5.0
    """The longest single wait for an acknowledgement; the measured round trip usually makes it shorter."""
    dedup_cache_size: Count = 1000
    """Remembered ids of messages that bring their own (`own_id`), a peer; sequences need no such memory."""
    dedup_ttl_seconds: Seconds = 300
    """How long such an id is remembered."""
    send_queue_max: Count = 100
    """Messages accepted and not yet written."""
    send_queue_bytes_max: Count = 1 << 24
    """Bytes of those messages; a single message may be larger."""
    recv_queue_max: Count = 100
    """Messages received and not yet taken by the application; the peer is granted no more in flight."""
    recv_queue_bytes_max: Annotated[int, Meta(ge=1, le=2**32 - 1)] = 1 << 24
    """Bytes of those messages; the peer is granted no more in flight, but a single message may be larger."""
    in_flight_max: Annotated[int, Meta(ge=1, le=16384)] = 1024
    """Messages written and not yet answered; the peer's own receive queue may make it fewer."""
    channels: Annotated[int, Meta(ge=1, le=16)] = 1
    """Ordered channels; a connection has as many as both sides have, and one that stalls holds up no other."""
    overflow: Overflow = Overflow.BLOCK
    """What a full send queue does."""
    connect_timeout_s: Seconds = 5.0
    """The longest wait for a connection."""
    hello_timeout_s: Seconds = 5.0
    """The longest wait for the peer's hello on a fresh connection."""
    close_timeout_s: Seconds = 2.0
    """How long closing waits for what is still to be written."""
    backoff_base_s: Seconds = 0.25
    """Pause before the second attempt to reconnect; doubles each time."""
    backoff_max_s: Seconds = 5.0
    """The longest such pause, before jitter (up to half of it)."""
    redial_spread_max_s: Annotated[float, Meta(ge=0)] = 10.0
    """The most seconds over which the first dial is spread after a peer has closed without a word; the peer says how
    many it needs for all who dial it."""
    healthy_after_s: Seconds = 1.0
    """A connection that lasted this long, or got a message through, was healthy: the next dial comes at once."""

    def retries(self, *, kept: bool) -> int | None:
        """Return how often a message is sent again, None without a limit; `kept` says whether an outbox keeps it."""
        if self.max_retries == "auto":
            return None if kept else RETRIES
        return self.max_retries

    @classmethod
    def from_toml(cls, source: str | os.PathLike[str]) -> "ReliableConfig":
        """Read the table `[reliable_transport]`; what is not there has its default.

        Args:
            source: a path object of a file, or the TOML text itself.

        Raises:
            ConfigInvalid: with every problem: file, key path, nearest name.
        """
        return _transport_config(*read_tables(source)).reliable_transport


class TransportConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about the transport that a configuration file may say, table by table."""

    reliable_transport: ReliableConfig = ReliableConfig()
    """How hard a reliable transport tries, and how much it may hold; the documents' own table."""
    connect_budget: ConnectBudget = ConnectBudget()
    """How fast a listener takes callers in."""


def load_config(source: str | os.PathLike[str]) -> TransportConfig:
    """Read a configuration file; other tables in it are their readers' business.

    Args:
        source: the file's path; a string is a path here.

    Raises:
        ConfigInvalid: with every problem: file, key path, nearest name.
    """
    return _transport_config(*read_tables(Path(source)))


@lru_cache(maxsize=64)  # A fleet has few settings and many transports: equal ones can be the same object.
def checked(config: ReliableConfig) -> ReliableConfig:
    """Return the configuration, its values held against their limits and against each other.

    Raises:
        msgspec.ValidationError: naming the field, when a value is out of range.
    """
    config = msgspec.convert(msgspec.to_builtins(config), ReliableConfig)
    for problem in _pauses_fit(config):
        raise msgspec.ValidationError(str(problem))
    return config


def _transport_config(tables: dict[str, Any], origin: str) -> TransportConfig:
    problems = list(table_problems(tables, {"reliable_transport": ReliableConfig, "connect_budget": ConnectBudget}))
    if problems:
        raise ConfigInvalid(origin, problems)
    config = TransportConfig(
        reliable_transport=table_of(tables, "reliable_transport", ReliableConfig),
        connect_budget=table_of(tables, "connect_budget", ConnectBudget),
    )
    if contradictions := list(_pauses_fit(config.reliable_transport)):
        raise ConfigInvalid(
            origin, [Problem(f"reliable_transport.{problem.path}", problem.says) for problem in contradictions]
        )
    return config


def _pauses_fit(config: ReliableConfig) -> Iterator[Problem]:
    if config.backoff_base_s > config.backoff_max_s:
        yield Problem(
            "backoff_base_s",
            f"({config.backoff_base_s:g}) must not be above backoff_max_s ({config.backoff_max_s:g})",
        )
