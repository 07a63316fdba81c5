"""What can be set on a cync link, each default beside its reason."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from agt.transport.wires.cync._build import UNKNOWN_TIME
from agt.transport.wires.cync._types import DATA, INFO, STATUS


def unknown_time() -> bytes:
    """Answer a time request where no clock was given."""
    return UNKNOWN_TIME


class CyncConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one `CyncLink`; times in seconds."""

    max_retries: Annotated[int, Meta(ge=0)] | None = 3
    """Resends of a message after its first attempt; None resends until its deadline."""
    ack_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """The longest that one wait for an ack may take; the adaptive timer stays below it."""
    min_ack_timeout_s: Annotated[float, Meta(gt=0)] = 0.35
    """The shortest wait: measured devices answer within 89 ms at the median, 242 ms at the 99th percentile and 331 ms
    at worst. With 0.2 s, 2 % of the commands of such a house would be sent again for nothing; with this, none."""
    first_ack_timeout_s: Annotated[float, Meta(gt=0)] = 1.0
    """The wait before anything was measured."""
    send_queue_max: Annotated[int, Meta(ge=1)] = 100
    """Messages accepted and not written yet."""
    window: Annotated[int, Meta(ge=1)] = 1
    """Messages outstanding at a time. One by default: commands set a state, and were two outstanding, a resend of
    the first would arrive after the second and leave the device in the older state."""
    resend_window_s: Annotated[float, Meta(gt=0)] = 0.5
    """How long after our answer was written a packet with the same bytes is the peer's resend, and how long after its
    end a message that was resent may still draw a stray ack."""
    settle_pause_s: Annotated[float, Meta(ge=0)] = 0.05
    """How long a key rests after a message that was sent once: a network that doubles a frame delivers the copy
    right behind it, and nothing in a bare ack tells it from the next one's. Commands have their own ids and never
    wait for this."""
    recognise_resends: bool = True
    """Drop what can be recognised as the peer's resend; today's controllers don't."""
    answer_when_processed: bool = True
    """Answer a message when the application has acknowledged it; false answers at once, as today."""
    reply_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """After this a message that was only written counts as unanswered for good."""
    unanswered_max: Annotated[int, Meta(ge=1)] = 1000
    """Written messages whose replies are waited for; over this the oldest counts as unanswered for good."""
    unprocessed_max: Annotated[int, Meta(ge=1)] = 1000
    """Received messages that the application has not acknowledged yet; more are dropped unanswered, and the peer
    sends them again."""
    malformed_max_bytes: Annotated[int, Meta(ge=0)] = 1024
    """Bytes that are no packets, on one connection, after which it is dropped."""
    unsent_max_bytes: Annotated[int, Meta(ge=4096)] = 262_144
    """Bytes waiting for the driver; a peer that asks on and never reads is dropped at this."""
    hand_on: frozenset[int] = frozenset({INFO, DATA, STATUS})
    """Types that the application receives; hello, time and heartbeat are the link's own business unless named here."""
    hello: bytes = b""
    """Device role: the hello packet to begin each connection with; empty when the caller sends it as a message."""
    time_answer: Callable[[], bytes] = unknown_time
    """Controller role: gives the body of a time answer (`time_body(datetime.now().astimezone())`)."""
