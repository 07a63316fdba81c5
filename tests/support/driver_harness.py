"""What a driver is to the conformance suite: a way to listen, a way to dial, and the same words for what comes of it.

Scenarios are plain functions; a driver with an event loop runs it in a thread of its own (`driver_async`), the one for
plain threads needs none (`driver_blocking`). A new driver is one more class with `listen` and `dial`.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from agt.transport import Connection, Outcome, ReceivedMessage, ReliableConfig, TransportMetrics

FAST = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02, send_queue_max=1000, recv_queue_max=1000)
"""Redials at once, and queues that no scenario fills by accident."""
PATIENCE_S = 10.0
"""How long a scenario waits for what must come; only reached when it fails."""


class Sent(Protocol):
    """A message on its way."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        ...

    @property
    def reason(self) -> str:
        """Why, when it was not delivered."""
        ...

    def ended(self) -> Outcome:
        """Wait for its end and return it."""
        ...


@dataclass
class Taken:
    """A message that the application took."""

    payload: bytes
    ack: Callable[[], None]
    refuse: Callable[[str], None]


class Peer(Protocol):
    """One end of a conversation."""

    @property
    def metrics(self) -> TransportMetrics: ...
    @property
    def connected(self) -> bool: ...
    @property
    def closed(self) -> str: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def queued(self) -> int: ...
    def send(self, payload: bytes, deadline_s: float = 20) -> Sent:
        """Send without waiting."""
        ...

    def offer(self, payload: bytes, deadline_s: float = 20) -> Sent:
        """Send as the overflow policy says, waiting for room if that is it."""
        ...

    def send_reliable(self, payload: bytes, deadline_s: float = 20) -> Sent:
        """Send and wait for the end."""
        ...

    def cancel(self, sent: Sent) -> None:
        """Give up on a message."""
        ...

    def take(self) -> Taken:
        """Take the next message, waiting for it."""
        ...

    def take_batch(self, limit: int) -> list[Taken]:
        """Take what is there, waiting for the first."""
        ...

    def disconnect(self) -> None:
        """End the present connection."""
        ...


class Dialled(Peer, Protocol):
    """The end that dialled."""

    @property
    def last_error(self) -> str: ...
    def wait_connected(self) -> None:
        """Wait until messages flow."""
        ...


class Listening(Protocol):
    """A listener that listens."""

    @property
    def port(self) -> int: ...
    @property
    def metrics(self) -> TransportMetrics: ...
    @property
    def open_connections(self) -> int: ...
    @property
    def names(self) -> list[str]:
        """Who is remembered."""
        ...

    def peer(self, name: str) -> Peer:
        """Return the end towards a sender, waiting until it has called."""
        ...


class Driver(Protocol):
    """A way to move the bytes of links."""

    name: str

    def running(self) -> AbstractContextManager[None]:
        """Run whatever the driver needs around it."""
        ...

    def listen(
        self,
        *,
        config: ReliableConfig = FAST,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        **settings: Any,
    ) -> AbstractContextManager[Listening]:
        """Listen; `settings` are the listener's own (`port`, `path`, `tls`, `keys`, `max_connections` ...)."""
        ...

    def dial(
        self,
        connection: Connection,
        *,
        name: str = "device",
        config: ReliableConfig = FAST,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        **settings: Any,
    ) -> AbstractContextManager[Dialled]:
        """Dial and keep dialling; `settings` are the transport's own (`key` ...)."""
        ...


def until(condition: Callable[[], object]) -> None:
    """Wait until a condition that other threads bring about holds."""
    give_up_at, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not condition():
        assert time.monotonic() < give_up_at, "what was waited for did not come"
        pause.wait(0.001)
