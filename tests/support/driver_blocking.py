"""The driver for plain threads, for the conformance suite: it is used as it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agt.transport import Connection, Outcome, ReceivedMessage, ReliableConfig, TransportMetrics
from agt.transport.blocking import BlockingDelivery, BlockingListener, BlockingSession, BlockingTransport
from support.driver_harness import FAST, PATIENCE_S, Taken, until


class BlockingSent:
    """A message on its way."""

    def __init__(self, delivery: BlockingDelivery) -> None:
        self.delivery = delivery

    @property
    def done(self) -> bool:
        return self.delivery.done

    @property
    def reason(self) -> str:
        return self.delivery.reason

    def ended(self) -> Outcome:
        return self.delivery.result(PATIENCE_S)


class BlockingPeer:
    """A session, or a transport, whose methods have the same names."""

    def __init__(self, session: BlockingSession, transport: BlockingTransport | None = None) -> None:
        self._session, self._sender = session, transport or session

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

    def send(self, payload: bytes, deadline_s: float = 20) -> BlockingSent:
        return BlockingSent(self._sender.send_nowait(payload, deadline_s=deadline_s))

    def offer(self, payload: bytes, deadline_s: float = 20) -> BlockingSent:
        return BlockingSent(self._sender.send(payload, deadline_s=deadline_s))

    def send_reliable(self, payload: bytes, deadline_s: float = 20) -> BlockingSent:
        return BlockingSent(self._sender.send_reliable(payload, deadline_s=deadline_s))

    def cancel(self, sent: BlockingSent) -> None:
        self._session.cancel(sent.delivery)

    def take(self) -> Taken:
        return self._taken(self._session.receive(PATIENCE_S))

    def take_batch(self, limit: int) -> list[Taken]:
        return [self._taken(message) for message in self._session.receive_batch(limit, PATIENCE_S)]

    def disconnect(self) -> None:
        self._session.disconnect("the test said so")

    @staticmethod
    def _taken(message: ReceivedMessage) -> Taken:
        return Taken(message.payload, message.ack, message.refuse)


class BlockingDialled(BlockingPeer):
    """A transport."""

    def __init__(self, transport: BlockingTransport) -> None:
        super().__init__(transport.session, transport)
        self._transport = transport

    @property
    def last_error(self) -> str:
        return self._transport.last_error

    def wait_connected(self) -> None:
        assert self._transport.wait_connected(PATIENCE_S), self._transport.last_error


class BlockingListening:
    """A listener."""

    def __init__(self, listener: BlockingListener) -> None:
        self._listener = listener
        self.port, self.metrics = listener.port, listener.metrics

    @property
    def open_connections(self) -> int:
        return self._listener.open_connections

    @property
    def names(self) -> list[str]:
        return list(self._listener.sessions)

    def peer(self, name: str) -> BlockingPeer:
        until(lambda: name in self._listener.sessions and self._listener.sessions[name].connected)
        return BlockingPeer(self._listener.sessions[name])


class BlockingDriver:
    """No event loop at all."""

    name = "blocking"
    portable = False

    @contextmanager
    def running(self) -> Iterator[None]:
        yield

    @contextmanager
    def listen(
        self,
        *,
        config: ReliableConfig = FAST,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        **settings: Any,
    ) -> Iterator[BlockingListening]:
        with BlockingListener(config=config, on_message=on_message, **settings) as listener:
            yield BlockingListening(listener)

    @contextmanager
    def dial(
        self,
        connection: Connection,
        *,
        name: str = "device",
        config: ReliableConfig = FAST,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        **settings: Any,
    ) -> Iterator[BlockingDialled]:
        with BlockingTransport(connection, name=name, config=config, on_message=on_message, **settings) as transport:
            yield BlockingDialled(transport)
