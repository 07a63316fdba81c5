"""What a wire can do, stated once, so that router and plans can ask instead of guessing."""

import enum
from dataclasses import dataclass

from agt.transport._errors import UsageError


class Barrier(enum.StrEnum):
    """How a wire can tell that a path has fallen silent."""

    SEQUENCE = "sequence"
    """The receiver keeps one watermark over all of the sender's attachments: nothing lost or doubled."""
    ACK = "ack"
    """The peer answers each message: all answered means silent; the unanswered are in doubt."""
    HALF_CLOSE = "half-close"
    """The peer closes after it has read everything: at most the unconfirmed tail is in doubt."""
    NONE = "none"
    """There is nothing to wait for; the unconfirmed tail is in doubt."""


class MoveKind(enum.StrEnum):
    """How a device can change its path."""

    IN_PLACE = "in-place"
    """Same socket, another way of sending."""
    WARM = "warm"
    """Both attachments are up; messages change lanes."""
    REDIAL = "redial"
    """The device has to connect again."""


@dataclass(frozen=True, slots=True)
class WireTraits:
    """The promises that hold on one wire."""

    name: str
    barrier: Barrier
    move: MoveKind
    acknowledges: bool
    """Whether the peer confirms messages at all, so that a send can end as delivered."""
    recognises_resends: bool
    """Whether a message that is sent again is handed to the application only once."""
    max_payload: int
    """Largest message in bytes."""
    turn_bytes: int = 1
    """Whenever `data_to_send` returns fewer bytes than this, it has returned everything."""


def only_channel(channel: int, wire: str) -> None:
    """Hold that a message goes through the one channel that a wire has.

    Raises:
        UsageError: when it is to go through another one.
    """
    if channel:
        raise UsageError(f"the wire {wire!r} has one channel, 0, not {channel}")
