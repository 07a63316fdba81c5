"""What a plain thread holds while it waits: the handle of a message, and the ticket it sleeps on.

A ticket is called once, by whoever brings what its holder waits for. A thread that reads the socket while it waits
(see `_session`) needs no lock to sleep on; every other one makes it when it goes to sleep.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing


class Ticket:
    """One thread's wait for one thing."""

    __slots__ = ("_lock", "called", "nudge")

    def __init__(self) -> None:
        self._lock: threading.Lock | None = None
        self.nudge: Callable[[], None] | None = None
        """Gets the holder out of its wait for the socket, while it leads."""
        self.called = False
        """Whether what it waits for has come."""

    def call(self) -> None:
        """Wake the holder; with the session's lock held."""
        if not self.called:
            self.called = True
            if self._lock is not None:
                self._lock.release()
            if self.nudge is not None:
                self.nudge()

    def lie_down(self) -> threading.Lock:
        """Return what the holder sleeps on: acquiring it succeeds when the ticket is called; under the lock."""
        if self._lock is None:
            self._lock = threading.Lock()
            if not self.called:
                self._lock.acquire()
        return self._lock


class Waits(Protocol):
    """Where a handle's message is on its way."""

    def wait_for_end(self, delivery: "BlockingDelivery", timeout_s: float | None) -> None:
        """Wait until the message has ended, or the time is over."""
        ...

    def call_when_ended(self, delivery: "BlockingDelivery", callback: "Callable[[BlockingDelivery], None]") -> None:
        """Call back once the message has ended."""
        ...


class BlockingDelivery(Outgoing, eq=False):
    """What became, or will become, of one message; true when it was delivered. For any thread."""

    runtime: str = ""
    """The runtime whose path made the last attempt, where a router chose it."""
    session: Waits | None = None
    """Where it is on its way; None for one that never set out."""
    tickets: list[Ticket] | None = None
    """Who waits for its end."""
    callbacks: "list[Callable[[BlockingDelivery], None]] | None" = None
    """Who is called at its end."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the message has ended, at most so many seconds; true when it has.

        Raises:
            UsageError: in a callback of the I/O thread, which would wait for itself.
        """
        if self.outcome is None and self.session is not None:
            self.session.wait_for_end(self, timeout_s)
        return self.outcome is not None

    def result(self, timeout_s: float | None = None) -> Outcome:
        """Return how the message ended, waiting for that.

        Raises:
            TimeoutError: when it hasn't within so many seconds; it is still on its way then.
            UsageError: in a callback of the I/O thread, which would wait for itself.
        """
        self.wait(timeout_s)
        if self.outcome is None:
            raise TimeoutError(f"the message has not ended within {timeout_s:g} s")
        return self.outcome

    def add_done_callback(self, callback: "Callable[[BlockingDelivery], None]") -> None:
        """Call back when the message has ended, at once if it has.

        The callback runs in whichever thread learned of the end, mostly the I/O thread: it must be short and may not
        wait; `send_nowait` is fine.
        """
        if self.outcome is not None or self.session is None:
            callback(self)
        else:
            self.session.call_when_ended(self, callback)

    def __bool__(self) -> bool:
        return self.outcome is Outcome.DELIVERED

    def __repr__(self) -> str:
        state = self.outcome.value if self.outcome else "on its way"
        return f"<BlockingDelivery {state}{': ' + self.reason if self.reason else ''}>"


def handles(messages: Sequence[Outgoing]) -> Sequence[BlockingDelivery]:
    """Return messages of our link as what they are: it makes them by our class."""
    return cast("Sequence[BlockingDelivery]", messages)
