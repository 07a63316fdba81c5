"""One end of one connection: a `CyncLink` on a real socket, with a log that the comparison is made from.

This is a driver of its own beside `agt.transport`'s session because a replay looks at more than an application does:
answers byte by byte, the latency of each observed reply, and messages written before any hello was answered.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import ByteStream

from agt.transport import Delivered, Delivery, Dropped, Observed, Outcome, Outgoing, Received, Settled
from agt.transport.wires.cync import TYPES, CyncLink, Malformed, PacketParser

_READ_BYTES = 65536


class End:
    """Drives a link until cancelled or until the connection ends, and remembers what happened."""

    def __init__(self, link: CyncLink, *, on_activity: Callable[[], None]) -> None:
        self.link = link
        link.make_outgoing = Delivery
        self.received: list[bytes] = []
        """Messages handed to the application, in order."""
        self.answers: Counter[bytes] = Counter()
        """Answers that arrived, byte for byte."""
        self.observed_latency_s: list[float] = []
        """From write to reply, for messages that were only written."""
        self.dropped = ""
        """Why the link wanted the connection closed; empty when it didn't."""
        self._on_activity = on_activity
        self._wake = anyio.Event()
        self._tap = PacketParser()
        self._hello = anyio.Event()

    def send(self, data: bytes, *, deadline_s: float) -> Delivery:
        """Send a message reliably; the handle settles within the deadline."""
        now = anyio.current_time()
        delivery = self.link.send(data, now=now, deadline=now + deadline_s)
        assert isinstance(delivery, Delivery), "the link makes what we told it to"
        self._wake.set()
        return delivery

    def write(self, data: bytes) -> None:
        """Write a message and hope."""
        self.link.write(data, now=anyio.current_time())
        self._wake.set()

    async def knows_peer(self, wait_s: float) -> bool:
        """Wait until the peer has said hello, at most this long; whether it has."""
        with anyio.move_on_after(wait_s):
            await self._hello.wait()
        return self._hello.is_set()

    async def run(self, stream: ByteStream) -> None:
        """Carry the link over this connection."""
        self.link.connection_made(now=anyio.current_time())
        async with stream, anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, stream, tasks.cancel_scope)
            with _closed_quietly():
                await self._pump(stream)
            tasks.cancel_scope.cancel()

    async def _read(self, stream: ByteStream, scope: anyio.CancelScope) -> None:
        with _closed_quietly():
            while True:
                data = await stream.receive(_READ_BYTES)
                self._on_activity()
                for item in self._tap.feed(data):
                    if not isinstance(item, Malformed) and not TYPES[item.type].is_request:
                        self.answers[item.data] += 1
                self.link.receive_data(data, now=anyio.current_time())
                self._turn()
                self._wake.set()
        scope.cancel()

    async def _pump(self, stream: ByteStream) -> None:
        while not self.dropped:
            self._wake = anyio.Event()  # Made first, so that no wake is lost.
            data = self.link.data_to_send(now=anyio.current_time())
            self._turn()
            if data:
                await stream.send(data)
                continue
            with anyio.CancelScope(deadline=self.link.next_deadline()):
                await self._wake.wait()
            self.link.handle_timer(now=anyio.current_time())

    def _turn(self) -> None:
        while (event := self.link.next_event()) is not None:
            match event:
                case Received():
                    self.received += event.payloads
                    self.link.acknowledge(event.token, now=anyio.current_time(), count=len(event.payloads))
                case Delivered():
                    for message in event.messages:
                        _settle(message, Outcome.DELIVERED, "", event.now - message.accepted_at)
                case Settled():
                    _settle(event.message, event.outcome, event.reason, event.latency_s)
                case Observed():
                    self.observed_latency_s.append(event.latency_s)
                case Dropped():
                    self.dropped = event.reason
                case _:
                    self._hello.set()


@contextmanager
def _closed_quietly() -> Iterator[None]:
    """Take the end of a connection for what it is: the other side, or a fault, has closed it."""
    try:
        yield
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        return


def _settle(message: Outgoing, outcome: Outcome, reason: str, latency_s: float) -> None:
    assert isinstance(message, Delivery), "the link makes what we told it to"
    message.settle(outcome, reason=reason, latency_s=latency_s)


def not_delivered(reason: str) -> Delivery:
    """Return the handle of a message that never left."""
    delivery = Delivery()
    delivery.settle(Outcome.NOT_DELIVERED, reason=reason)
    return delivery
