"""What a link tells its driver: past participles, pulled one by one with `next_event`.

What is frequent comes in runs, one event for many messages: a run of deliveries, a run of received messages. The
classes are structs because an event a turn is still one of the dearer things in it.
"""

import msgspec

from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing


class Opened(msgspec.Struct):
    """The peer has said hello and been answered: messages flow from now on."""

    peer: str
    """The peer's name as its wire gives it: sender name (native), endpoint in hex (cync), id (lines)."""
    resumed: bool
    """Whether both sides remember the same past; false on the first contact or after either forgot."""


class Received(msgspec.Struct):
    """Messages for the application, in order; answer them with `acknowledge(token)` or `refuse(token, code)`."""

    token: int
    """Names the first one to the link that handed it out, the next ones count on from it; never reused."""
    payloads: list[bytes]
    """The messages: at least one."""
    sequence: int = -1
    """The sender's sequence of the first one, which the next ones count on from; -1 where the wire carries none."""
    channel: int = 0
    """The ordered channel they came through."""
    epoch: int = 0
    """The incarnation of the sender's outbox, where the wire has such: what its sequences and ids belong to."""


class Delivered(msgspec.Struct):
    """Messages that the peer has processed, in the order of sending, answered in one go."""

    messages: list[Outgoing]
    """What `send` returned; at least one."""
    now: float
    """When the answer came."""


class Settled(msgspec.Struct):
    """A message given to `send` has ended otherwise than in a run of deliveries."""

    message: Outgoing
    """What `send` returned."""
    outcome: Outcome
    reason: str = ""
    """Why, in words, when not delivered; empty otherwise."""
    latency_s: float = 0.0
    """From `send` to its end, in seconds."""
    code: str = ""
    """The word with which the peer's application refused it for good; empty otherwise. Its payload is kept then."""


class Observed(msgspec.Struct):
    """The peer's own reply to a message that was only written (`write`), matched passively."""

    message: int
    """What `write` returned."""
    latency_s: float


class Dropped(msgspec.Struct, frozen=True):
    """The link wants this connection closed; it holds on to what it knows and can be resumed."""

    reason: str
    culprit: str
    """`peer` (it broke the protocol), `network` (a gap, damage, silence) or `us` (go-away, a newer claim)."""
    final: bool
    """Whether dialling again is pointless (refused in words, fenced by a newer process)."""
    everyone: bool = False
    """Whether it ends for everybody who is connected to that peer: it has died, or shuts down."""
    retry_after_s: float = 0.0
    """When the peer asked to be dialled again, in seconds from now; 0.0 when it didn't."""


Event = Opened | Received | Delivered | Settled | Observed | Dropped
