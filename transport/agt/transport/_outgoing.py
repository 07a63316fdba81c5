"""One message on its way out, as everyone on its way sees it: the sender's handle, the link's entry, one object.

A link makes one of these for each `send` and works on it until it ends; a driver has it make a subclass that can also
be waited for (`Delivery`), so that a message costs one object and no table row. Structs, because nothing else in
Python is made as fast.
"""

from typing import Protocol

import msgspec

from agt.transport._ack_level import AckLevel
from agt.transport._message_id import message_id
from agt.transport._outcome import Outcome


class Outgoing(msgspec.Struct, eq=False):
    """A message between `send` and its end; the fields below `deadline` are its link's to write, or its settler's."""

    payload: bytes = b""
    """The bytes to deliver; freed once they can't be written any more."""
    accepted_at: float = 0.0
    """When `send` took it, in seconds on the clock of the link's `now`."""
    deadline: float = 0.0
    """By when it has ended, on the same clock."""
    channel: int = 0
    """The ordered channel it goes through."""
    epoch: int = 0
    """The incarnation of the outbox that it went through, where the wire has such; 0 where not."""
    sequence: int = 0
    """Its place on that channel, where the wire gives one; 0 before."""
    resends: int = 0
    """How often it was written again."""
    failures: int = 0
    """How often it was the oldest unreceived message when a timer ran out or a connection was lost, or the peer's
    application had no time for it."""
    refusals: int = 0
    """How often the peer has put it off, by its own count."""
    ending: str = ""
    """Why its sequence is to be skipped from now on; empty while it is to be delivered."""
    told: bool = False
    """Whether its link has reported its end in a `Settled`, while its sequence still has to be skipped."""
    outcome: Outcome | None = None
    """How it ended; None while on its way. Set by whoever takes the link's events."""
    reason: str = ""
    """Why, when it was not delivered."""
    latency_s: float = 0.0
    """Seconds from `send` to its end."""
    ack_level: AckLevel = AckLevel.PROCESSED
    """What the peer had done with it when it was delivered; means nothing before."""

    def give_up(self, reason: str) -> None:
        """Have the sequence skipped from now on; what became of the message is the receiver's to say."""
        self.ending = self.ending or reason
        self.payload = b""

    @property
    def id(self) -> str:
        """What logs call it on both sides; empty before the wire has given it a place, and where it gives none."""
        return message_id(self.epoch, self.channel, self.sequence) if self.epoch and self.sequence else ""

    @property
    def done(self) -> bool:
        """Whether the message has ended."""
        return self.outcome is not None


class MakesOutgoing(Protocol):
    """How a link makes its messages: `Outgoing` itself, or a subclass with fields of its own behind."""

    def __call__(
        self, payload: bytes, accepted_at: float, deadline: float, channel: int = 0, epoch: int = 0, /
    ) -> Outgoing:
        """Return a fresh message."""
        ...
