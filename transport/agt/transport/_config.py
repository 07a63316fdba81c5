"""Every number of the reliable transport, with the names and defaults that its documents already use."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


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

    max_retries: Annotated[int, Meta(ge=0)] | None = 3
    """Resends of one message after its first attempt; None means until its deadline."""
    ack_timeout_seconds: Seconds = 5.0
    """The longest single wait for an acknowledgement; the measured round trip usually makes it shorter."""
    dedup_cache_size: Count = 1000
    """Remembered ids of messages that bring their own; sequences need no such memory."""
    dedup_ttl_seconds: Seconds = 300
    """How long such an id is remembered."""
    send_queue_max: Count = 100
    """Messages accepted and not yet written."""
    recv_queue_max: Count = 100
    """Messages received and not yet taken by the application; the peer is granted no more in flight."""
    in_flight_max: Annotated[int, Meta(ge=1, le=16384)] = 1024
    """Messages written and not yet answered; the peer's own receive queue may make it fewer."""
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
    """The longest such pause, before jitter."""
    healthy_after_s: Seconds = 1.0
    """A connection that lasted this long, or got a message through, was healthy: the next dial comes at once."""


def checked(config: ReliableConfig) -> ReliableConfig:
    """Return the configuration, its values held against their limits.

    Raises:
        msgspec.ValidationError: naming the field, when a value is out of range.
    """
    return msgspec.convert(msgspec.to_builtins(config), ReliableConfig)
