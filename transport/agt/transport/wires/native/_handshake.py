"""What the two sides tell each other before the first message, and when they part.

Bodies are msgpack arrays, so that a newer peer may append fields that an older one never looks at. Both halves of
the handshake say two things: who I am as a sender (name, epoch, and up to where my sequences are settled) and what I
remember as a receiver (the token of that memory, whose messages it is about, and up to where I have them).
"""

import enum
import math
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from agt.transport._errors import PeerViolation
from agt.transport.wires.native._frames import FrameType, encode_frame
from agt.transport.wires.native._statement import WINDOW_BYTES_MAX

VERSION_MIN: Final = 1
VERSION_MAX: Final = 1
FRAME_MAX_DEFAULT: Final = 1 << 20
"""What a peer reads that does not say."""
FEATURES: Final = 0
"""Bits of what a side is or can do beyond its version; unknown ones mean nothing."""
DURABLE: Final = 1
"""What this side acknowledges is durable."""

Number = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
PerChannel = Annotated[tuple[Number, ...], Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=256)]


class Hello(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The dialling side's half of the handshake."""

    version_min: Positive = VERSION_MIN
    """Oldest version that the dialling side speaks."""
    version_max: Positive = VERSION_MAX
    """Newest version that it speaks."""
    features: Number = FEATURES
    """What it can do beyond that."""
    name: Name
    """Who it is as a sender; the acceptor keeps one memory a name."""
    epoch: Positive
    """Which incarnation of its outbox its sequences belong to."""
    generation: Number
    """The number that its incarnation was given, 0 when none."""
    settled_through: PerChannel
    """Sequences up to here have ended and never come again, channel by channel."""
    memory: Positive
    """Token of its memory as a receiver."""
    remembers_epoch: Number
    """Whose messages that memory is about, 0 when nobody's."""
    received_through: PerChannel
    """Up to where it has them, channel by channel."""
    window: Positive
    """How many messages it takes unprocessed on a channel."""
    window_bytes: Positive = WINDOW_BYTES_MAX
    """How many bytes of them."""
    frame_max: Positive = FRAME_MAX_DEFAULT
    """The largest frame that it reads, header included."""
    channels: Positive = 1
    """How many channels it has."""


class Welcome(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The accepting side's half of the handshake."""

    version: Positive = VERSION_MAX
    """The version that both speak."""
    features: Number = FEATURES
    """What both can do."""
    name: Name
    """Who the acceptor is as a sender."""
    epoch: Positive
    """Which incarnation of its outbox towards this peer its sequences belong to."""
    generation: Positive
    """The number of the dialling side's incarnation, to be brought along from now on; only rises."""
    settled_through: PerChannel
    """Sequences up to here have ended and never come again, channel by channel."""
    memory: Positive
    """Token of the acceptor's memory of the dialling side; another than before means that it forgot."""
    received_through: PerChannel
    """Up to where it has the dialling side's messages, channel by channel."""
    window: Positive
    """How many messages it takes unprocessed on a channel."""
    spread_ms: Number = 0
    """Over how long those who are connected to it should spread their dials, should they all lose it at once."""
    window_bytes: Positive = WINDOW_BYTES_MAX
    """How many bytes of messages it takes unprocessed on a channel."""
    frame_max: Positive = FRAME_MAX_DEFAULT
    """The largest frame that it reads, header included."""
    channels: Positive = 1
    """How many channels it has."""


class AwayCode(enum.IntEnum):
    """Why a side ends the connection in words; the numbers are the wire's."""

    SHUTDOWN = 1
    RESUME = 2
    """A gap or damage: dial again and resume."""
    VIOLATION = 3
    VERSION = 4
    STALE_GENERATION = 5
    TOO_MANY_SENDERS = 6
    UNAUTHORISED = 7
    """No key or certificate for this name; not final, since keys and certificates are changed while peers dial."""
    BUSY = 8
    """More callers than can be taken in: come back at the time that is said."""


FINAL_CODES: Final = frozenset({AwayCode.VERSION, AwayCode.STALE_GENERATION})
"""After these, dialling again would get the same answer."""
CULPRITS: Final[Mapping[int, str]] = {
    AwayCode.RESUME: "network",
    AwayCode.VIOLATION: "us",
    AwayCode.VERSION: "us",
    AwayCode.STALE_GENERATION: "us",
    AwayCode.UNAUTHORISED: "us",
}
"""Whose fault it is for the side that is told so; the peer's own doing where nothing is said."""


class GoAway(msgspec.Struct, array_like=True, frozen=True):
    """The last words of a connection."""

    code: Number
    """An `AwayCode`; unknown ones are read as a shutdown."""
    text: Text
    """Why, for people."""
    retry_after_ms: Number = 0
    """When to dial again, from now; 0 when that is the other side's to decide."""


class Drain(msgspec.Struct, array_like=True, frozen=True):
    """A side shuts down: nothing new is written on this connection any more, by either."""

    within_ms: Number
    """How long it waits for what is in flight."""
    text: Text
    """Why, for people."""


_Body = TypeVar("_Body", Hello, Welcome, GoAway, Drain)


def encode_body(body: Hello | Welcome | GoAway | Drain) -> bytes:
    """Return the payload for a handshake or farewell frame."""
    return msgspec.msgpack.encode(body)


def decode_body(payload: bytes, form: type[_Body]) -> _Body:
    """Read a handshake or farewell payload.

    Raises:
        PeerViolation: when it isn't one, in the words of what is wrong.
    """
    try:
        return msgspec.msgpack.decode(payload, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PeerViolation(f"unreadable {form.__name__.lower()}: {error}", payload) from error


def go_away_frame(code: AwayCode, text: str, retry_after_s: float = 0.0) -> bytes:
    """Return a whole frame that says why the connection ends, and when to come back."""
    farewell = GoAway(code, text[:256], math.ceil(retry_after_s * 1000))
    return encode_frame(FrameType.GO_AWAY, payload=encode_body(farewell))


def drain_frame(within_s: float, text: str) -> bytes:
    """Return a whole frame that says that nothing new is written any more."""
    return encode_frame(FrameType.DRAIN, payload=encode_body(Drain(max(0, round(within_s * 1000)), text[:256])))


def common_version(hello: Hello) -> int | None:
    """Return the newest version that both sides speak, or None."""
    version = min(hello.version_max, VERSION_MAX)
    return version if version >= max(hello.version_min, VERSION_MIN) else None
