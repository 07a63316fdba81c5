"""The numbers of the native wire: how long it waits, how often it tries, and how much it may hold."""

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

WINDOW_LIMIT = 16384
"""The largest window."""
CHANNELS_LIMIT = 16
"""The most ordered channels: where each of them stands has to fit the hello."""
FRAME_FLOOR = 4096
"""The smallest frame limit that leaves room for every control frame."""

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class NativeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one native link allows itself and its peer."""

    max_retries: Annotated[int, Meta(ge=0)] | None = 3
    """Failed attempts of the oldest message before it is given up; None means only its deadline ends it."""
    ack_timeout_seconds: Seconds = 5.0
    """The longest single wait for an acknowledgement; the measured round trip usually makes it shorter."""
    send_queue_max: Count = 100
    """Messages accepted and not yet written."""
    send_queue_bytes_max: Count = 1 << 24
    """Bytes of those messages on a channel; a single message may be larger."""
    in_flight_max: Annotated[int, Meta(ge=1, le=WINDOW_LIMIT)] = 1024
    """Messages written and not yet answered; the peer's window may make it fewer."""
    recv_window: Annotated[int, Meta(ge=1, le=WINDOW_LIMIT)] = 1024
    """Messages that the peer may have unprocessed here on a channel; can be moved later."""
    recv_window_bytes: Annotated[int, Meta(ge=1, le=2**32 - 1)] = 1 << 24
    """Bytes of messages that the peer may have unprocessed here on a channel; a single message may be larger."""
    channels: Annotated[int, Meta(ge=1, le=CHANNELS_LIMIT)] = 1
    """Ordered channels; a connection has as many as both sides have. One that stalls does not hold up another."""
    max_frame_bytes: Annotated[int, Meta(ge=FRAME_FLOOR, le=1 << 24)] = 1 << 20
    """Largest frame, header included, in either direction once the hello is accepted."""
    turn_bytes_max: Count = 1 << 18
    """About how much one `data_to_send` returns; the rest comes with the next call."""
    handshake_timeout_s: Seconds = 5.0
    """The longest wait for the peer's half of the handshake."""
    ping_interval_s: Seconds = 5.0
    """How long the peer may be silent before it is asked for a sign of life."""
    idle_timeout_s: Seconds = 15.0
    """How long the peer may be silent before the connection is given up."""
    max_senders: Count = 10_000
    """Peers that an acceptor remembers at once."""


@lru_cache(maxsize=64)  # A fleet has few settings and many transports: equal ones can be the same object.
def checked(config: NativeConfig) -> NativeConfig:
    """Return the configuration, its values held against their limits and against each other.

    Raises:
        msgspec.ValidationError: naming the field, when a value is out of range.
    """
    config = msgspec.convert(msgspec.to_builtins(config), NativeConfig)
    if config.idle_timeout_s <= config.ping_interval_s:
        raise msgspec.ValidationError(
            f"idle_timeout_s ({config.idle_timeout_s:g}) must be above ping_interval_s ({config.ping_interval_s:g})"
        )
    return config
