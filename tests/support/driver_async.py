"""The drivers with an event loop, for the conformance suite: the loop runs in a thread of its own.

Which way the bytes go is chosen here: `fast` leaves the choice to the driver, which takes its fast way on asyncio;
otherwise each connection is wrapped, so that it is only what any anyio byte stream is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.from_thread import BlockingPortal, start_blocking_portal

from agt.transport import (
    Connection,
    Delivery,
    Outcome,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    TransportMetrics,
)
from support.driver_harness import FAST, PATIENCE_S, Taken, until


class PlainStream(ByteStream):
    """A byte stream that nobody can know more of."""

    def __init__(self, inner: ByteStream) -> None:
        self._inner = inner

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._inner.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        await self._inner.send(item)

    async def send_eof(self) -> None:
        await self._inner.send_eof()

    async def aclose(self) -> None:
        await self._inner.aclose()


class PlainConnection:
    """A connection that is no more than its bytes."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.address = inner.address

    async def connect(self, *, timeout_s: float = 5.0) -> ByteStream:
        return PlainStream(await self._inner.connect(timeout_s=timeout_s))


class PlainListener(ReliableListener):
    """A listener whose connections are no more than their bytes."""

    async def serve(self, stream: ByteStream, *arguments: Any) -> None:
        await super().serve(PlainStream(stream), *arguments)


class AsyncSent:
    """A message on its way in the loop's thread."""

    def __init__(self, portal: BlockingPortal, delivery: Delivery) -> None:
        self._portal, self.delivery = portal, delivery

    @property
    def done(self) -> bool:
        return self.delivery.done

    @property
    def reason(self) -> str:
        return self.delivery.reason

    def ended(self) -> Outcome:
        async def wait() -> None:
            with anyio.fail_after(PATIENCE_S):
                await self.delivery

        if not self.delivery.done:
            self._portal.call(wait)
        assert self.delivery.outcome is not None
        return self.delivery.outcome


class AsyncPeer:
    """A session in the loop's thread."""

    def __init__(self, portal: BlockingPortal, session: Session) -> None:
        self._portal, self._session = portal, session

    @property
    def metrics(self) -> TransportMetrics:
        return self._session.metrics

    @property
    def connected(self) -> bool:
        return self._session.connected

    @property
    def closed(self) -> str:
        return self._session.closed

    @property
    def in_flight(self) -> int:
        return self._session.in_flight

    @property
    def queued(self) -> int:
        return self._session.queued

    def send(self, payload: bytes, deadline_s: float = 20) -> AsyncSent:
        # A handle can be awaited, and a portal awaits whatever can be: it only sees the wrapped one.
        return self._portal.call(lambda: self._sent(self._session.send_nowait(payload, deadline_s=deadline_s)))

    def offer(self, payload: bytes, deadline_s: float = 20) -> AsyncSent:
        async def send() -> AsyncSent:
            return self._sent(await self._session.send(payload, deadline_s=deadline_s))

        return self._portal.call(send)

    def send_reliable(self, payload: bytes, deadline_s: float = 20) -> AsyncSent:
        async def send() -> AsyncSent:
            return self._sent(await (await self._session.send(payload, deadline_s=deadline_s)))

        return self._portal.call(send)

    def cancel(self, sent: AsyncSent) -> None:
        self._portal.call(self._session.cancel, sent.delivery)

    def take(self) -> Taken:
        return self.take_batch(1)[0]

    def take_batch(self, limit: int) -> list[Taken]:
        async def take() -> list[ReceivedMessage]:
            with anyio.fail_after(PATIENCE_S):
                return await self._session.receive_batch(limit)

        return [self._taken(message) for message in self._portal.call(take)]

    def disconnect(self) -> None:
        self._portal.call(self._session.disconnect, "the test said so")

    def _sent(self, delivery: Delivery) -> AsyncSent:
        return AsyncSent(self._portal, delivery)

    def _taken(self, message: ReceivedMessage) -> Taken:
        return Taken(
            message.payload,
            lambda: self._portal.call(message.ack),
            lambda code: self._portal.call(message.refuse, code),
        )


class AsyncDialled(AsyncPeer):
    """A transport in the loop's thread."""

    def __init__(self, portal: BlockingPortal, transport: ReliableTransport) -> None:
        super().__init__(portal, transport.session)
        self._transport = transport

    @property
    def last_error(self) -> str:
        return self._transport.last_error

    def wait_connected(self) -> None:
        async def wait() -> None:
            with anyio.fail_after(PATIENCE_S):
                await self._transport.wait_connected()

        self._portal.call(wait)

    def send_reliable(self, payload: bytes, deadline_s: float = 20) -> AsyncSent:
        async def send() -> AsyncSent:
            return self._sent(await self._transport.send_reliable(payload, deadline_s=deadline_s))

        return self._portal.call(send)

    def take_batch(self, limit: int) -> list[Taken]:
        async def take() -> list[ReceivedMessage]:
            with anyio.fail_after(PATIENCE_S):
                return await self._transport.recv_batch(limit)

        return [self._taken(message) for message in self._portal.call(take)]


class AsyncListening:
    """A listener in the loop's thread."""

    def __init__(self, portal: BlockingPortal, listener: ReliableListener) -> None:
        self._portal, self._listener = portal, listener
        self.port, self.metrics = listener.port, listener.metrics

    @property
    def open_connections(self) -> int:
        return self._listener.open_connections

    @property
    def names(self) -> list[str]:
        return list(self._listener.sessions)

    def peer(self, name: str) -> AsyncPeer:
        until(lambda: name in self._listener.sessions and self._listener.sessions[name].connected)
        return AsyncPeer(self._portal, self._listener.sessions[name])


class AsyncDriver:
    """One event loop, and one way of moving bytes on it."""

    def __init__(self, name: str, backend: str, *, fast: bool, **options: Any) -> None:
        self.name = name
        self.portable = not fast
        self._backend, self._options = backend, options
        self._portal: BlockingPortal | None = None

    @property
    def portal(self) -> BlockingPortal:
        """The way into the loop's thread."""
        assert self._portal is not None, "use it within `running`"
        return self._portal

    @contextmanager
    def running(self) -> Iterator[None]:
        with start_blocking_portal(self._backend, self._options) as self._portal:
            yield
        self._portal = None

    @contextmanager
    def listen(
        self,
        *,
        config: ReliableConfig = FAST,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        **settings: Any,
    ) -> Iterator[AsyncListening]:
        kind = PlainListener if self.portable else ReliableListener
        listener = kind(config=config, on_message=on_message, **settings)
        with self._entered(listener):
            yield AsyncListening(self.portal, listener)

    @contextmanager
    def dial(
        self,
        connection: Connection,
        *,
        name: str = "device",
        config: ReliableConfig = FAST,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        **settings: Any,
    ) -> Iterator[AsyncDialled]:
        target = PlainConnection(connection) if self.portable else connection
        transport = ReliableTransport(target, name=name, config=config, on_message=on_message, **settings)
        with self._entered(transport):
            yield AsyncDialled(self.portal, transport)

    @contextmanager
    def _entered(self, manager: AbstractAsyncContextManager[Any]) -> Iterator[None]:
        """Enter in the loop's thread, and leave without a word of what failed here: a failure is the scenario's own."""
        wrapped = self.portal.wrap_async_context_manager(manager)
        wrapped.__enter__()
        try:
            yield
        finally:
            wrapped.__exit__(None, None, None)
