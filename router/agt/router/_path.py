"""What the router asks of a path: one device's way through one runtime.

A path never blocks and never decides. It takes messages, says how many are unanswered, and gives everything
back when the device moves away. `LegacyTransport` and `ReliableTransport` sit behind this; so do the doubles in
the tests.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec

from agt.transport import Barrier, Delivery, MoveKind, Outgoing


class InDoubt(enum.StrEnum):
    """What to do with a message that may or may not have arrived when its path was left."""

    RESEND = "resend"
    """Send it again on the new path: right for messages that set a state, where twice does no harm."""
    REPORT = "report"
    """Tell the sender `indeterminate` and never send it again."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message to one device, with what a move needs to know about it."""

    device: str
    number: int
    """The device's own sequence at the application, the same on whichever path carries it."""
    payload: bytes
    """The packet as the device's wire wants it."""
    in_doubt: InDoubt = InDoubt.RESEND
    deadline_s: float = 30.0
    """Seconds from now after which the sender no longer wants it delivered."""

    def within(self, deadline_s: float) -> "Message":
        """Return the same message with so many seconds left."""
        return msgspec.structs.replace(self, deadline_s=deadline_s)


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a path gave back: messages in order, with the handles that their senders hold."""

    unsent: tuple[tuple[Message, Delivery], ...]
    """Provably never left; free to take the other path."""
    in_doubt: tuple[tuple[Message, Delivery], ...]
    """Written and unanswered, oldest first."""
    written: tuple[Message, ...] = ()
    """Legacy paths: settled as `written` already, no reply seen, and nothing written later was answered; oldest
    first. Sending such a tail again can't put an older state over a newer one; sending anything else could."""
    passed: tuple[Message, ...] = ()
    """Legacy paths: written, no reply seen, and something written later was answered; never to be sent again."""
    cut_off: bool = False
    """Whether a connection ended before everything written on it was answered: some of it may still arrive."""
    given_up: frozenset[Outgoing] = frozenset()
    """Reliable paths: those in doubt that the path itself had given up (out of retries), so that later ones may have
    arrived before them; never to be sent again."""


class Path(Protocol):
    """One device's way through one runtime."""

    @property
    def barrier(self) -> Barrier:
        """How this path can tell that it has fallen silent."""
        ...

    @property
    def move(self) -> MoveKind:
        """How a device leaves or enters this path."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a message sent now could leave (attachment up)."""
        ...

    @property
    def in_flight(self) -> int:
        """Messages written and neither settled nor (on a legacy path with an observer) answered."""
        ...

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        ...

    def send(self, message: Message) -> Delivery:
        """Carry a message; the handle settles by its deadline. Never raises: refusals settle at once."""
        ...

    def withdraw(self) -> Withdrawn:
        """Give back everything unsettled; its handles are the caller's to settle from now on.

        The messages carry what is left of their deadlines.
        """
        ...

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call back once when nothing is in flight or queued, at once if that is so already."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A path whose connection can be ended on purpose, so that the device dials anew; a restart needs it to redial."""

    def close(self, reason: str) -> None:
        """End the present connection, if any; from now on not `ready` until the device has dialled again."""
        ...


def joint_barrier(old: Path, new: Path | None) -> Barrier:
    """Return what holds for both paths of a move: a watermark that one of them doesn't share drops no doubles."""
    if old.barrier is Barrier.SEQUENCE and new is not None and new.barrier is not Barrier.SEQUENCE:
        return Barrier.ACK
    return old.barrier
