"""What a link tells its driver: past participles, pulled one by one with `next_event`."""

from dataclasses import dataclass

from agt.transport._outcome import Outcome


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer has said hello and been answered: messages flow from now on."""

    peer: str
    """The peer's name as its wire gives it: sender name (native), endpoint in hex (cync), id (lines)."""
    resumed: bool
    """Whether both sides remember the same past; false on the first contact or after either forgot."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message for the application; answer it with `acknowledge(token)` or `refuse(token, code)`."""

    token: int
    """Names this message to the link that handed it out; never reused by that link."""
    payload: bytes
    sequence: int
    """The sender's sequence where the wire carries one, else -1."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A message given to `send` has ended."""

    message: int
    """What `send` returned."""
    outcome: Outcome
    reason: str
    """Why, in words, when not delivered; empty otherwise."""
    latency_s: float
    """From `send` to its end, in seconds."""
    resends: int
    """How often it was sent again."""


@dataclass(frozen=True, slots=True)
class Observed:
    """The peer's own reply to a message that was only written (`write`), matched passively."""

    message: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """The link wants this connection closed; it holds on to what it knows and can be resumed."""

    reason: str
    culprit: str
    """`peer` (it broke the protocol), `network` (a gap, damage, silence) or `us` (go-away, a newer claim)."""
    final: bool
    """Whether dialling again is pointless (refused in words, fenced by a newer process)."""


Event = Opened | Received | Settled | Observed | Dropped
