"""What is measured: ours with its defaults, and two of the limits, each as something to serve and something to dial.

Ours is used as an application would: a listener with a handler, a transport, `send_nowait` with a handle a message,
and batches. Only the queues are made as large as what the work keeps in flight.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from agt.chaos.bench._limits import Duties, NoWaiter
from agt.chaos.bench._work import BATCH, BATCHES_IN_FLIGHT, Consumer
from agt.transport import (
    ReceivedBatch,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    commit_batch,
)
from agt.transport.durable import SQLiteInbox, SQLiteOutbox

QUEUE = 1100
"""Room for a thousand in flight, and a little."""

DURABLE_QUEUE = 8000
"""Messages of the durable subject that are under way: a flush takes as long for a thousand as for one."""

Send = Callable[[bytes], Awaitable[object]]
SendBatch = Callable[[Sequence[bytes]], Awaitable[Any]]


async def _none(_: object) -> int:
    raise NotImplementedError("this subject has no such way of sending")


def _itself(batch: int) -> int:
    return batch


@dataclass(frozen=True)
class Client:
    """A connected sender."""

    send: Send = _none
    send_batch: SendBatch = _none
    count: Callable[[Any], int] = _itself
    """How many messages of an awaited batch were acknowledged."""


@dataclass(frozen=True)
class Subject:
    """One thing to measure."""

    name: str
    serve: Callable[[Consumer], AbstractAsyncContextManager[int]]
    """Listen while it lasts; gives the port."""
    connect: Callable[[int], AbstractAsyncContextManager[Client]]
    awaits: bool
    """Whether single messages are awaited; else batches are."""
    batches_in_flight: int = BATCHES_IN_FLIGHT


@asynccontextmanager
async def _serve_limit(protocol: type[Duties | NoWaiter], consumer: Consumer) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(partial(protocol, consumer.take), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _nothing(_: bytes) -> None:
    """Consume what a sender is sent: nothing comes."""


@asynccontextmanager
async def _connect_duties(port: int) -> AsyncIterator[Client]:
    _, end = await asyncio.get_running_loop().create_connection(partial(Duties, _nothing), "127.0.0.1", port)
    try:
        yield Client(send=end.send)
    finally:
        end.close()


@asynccontextmanager
async def _connect_no_waiter(port: int) -> AsyncIterator[Client]:
    _, end = await asyncio.get_running_loop().create_connection(partial(NoWaiter, _nothing), "127.0.0.1", port)
    try:
        yield Client(send_batch=end.send_batch)
    finally:
        end.close()


def bench_config() -> ReliableConfig:
    """Return the defaults, with room for what the work keeps in flight."""
    return ReliableConfig(send_queue_max=QUEUE, recv_queue_max=QUEUE)


@asynccontextmanager
async def _serve_ours(consumer: Consumer) -> AsyncIterator[int]:
    def on_message(message: ReceivedMessage) -> None:
        consumer.take(message.payload)

    async with ReliableListener(on_message=on_message, config=bench_config()) as listener:
        yield listener.port


@asynccontextmanager
async def _serve_our_batches(consumer: Consumer) -> AsyncIterator[int]:
    def on_batch(batch: ReceivedBatch) -> None:
        for payload in batch.payloads:
            consumer.take(payload)

    async with ReliableListener(on_batch=on_batch, config=bench_config()) as listener:
        yield listener.port


@asynccontextmanager
async def _connect_ours(port: int) -> AsyncIterator[Client]:
    async with ReliableTransport(TCPConnection("127.0.0.1", port), config=bench_config()) as transport:
        await transport.wait_connected()
        yield Client(send=transport.send_nowait, send_batch=transport.send_batch_nowait, count=attrgetter("delivered"))


@asynccontextmanager
async def _serve_durable(consumer: Consumer) -> AsyncIterator[int]:
    """Put every message into a table, in one transaction with its sender's mark, and count it after the commit."""
    arrived: list[ReceivedBatch] = []
    more = asyncio.Event()

    def on_batch(batch: ReceivedBatch) -> None:
        batch.defer()
        arrived.append(batch)
        more.set()

    async def apply() -> None:
        while await more.wait():
            more.clear()
            batches = arrived.copy()
            arrived.clear()
            async with commit_batch(batches) as transaction:
                transaction.insert("received (payload)", [(one,) for batch in batches for one in batch.payloads])
            for batch in batches:
                for payload in batch.payloads:
                    consumer.take(payload)

    with tempfile.TemporaryDirectory(prefix="agt-bench-") as directory:
        schema = "CREATE TABLE IF NOT EXISTS received (number INTEGER PRIMARY KEY, payload BLOB NOT NULL)"
        inbox = SQLiteInbox(Path(directory) / "stores" / "inbox.db", schema=schema)
        applying = asyncio.create_task(apply())
        try:
            async with ReliableListener(on_batch=on_batch, inbox=inbox, config=durable_config()) as listener:
                yield listener.port
        finally:
            applying.cancel()


@asynccontextmanager
async def _connect_durable(port: int) -> AsyncIterator[Client]:
    with tempfile.TemporaryDirectory(prefix="agt-bench-") as directory:
        outbox = SQLiteOutbox(Path(directory) / "stores" / "outbox.db")
        connection = TCPConnection("127.0.0.1", port)
        async with ReliableTransport(connection, outbox=outbox, config=durable_config()) as transport:
            await transport.wait_connected()
            yield Client(send_batch=transport.send_batch_nowait, count=attrgetter("delivered"))


def durable_config() -> ReliableConfig:
    """Return the defaults, with room for what fills the groups that share a flush."""
    return ReliableConfig(recv_queue_max=DURABLE_QUEUE, in_flight_max=DURABLE_QUEUE)


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("duties", partial(_serve_limit, Duties), _connect_duties, awaits=True),
        Subject("no-waiter", partial(_serve_limit, NoWaiter), _connect_no_waiter, awaits=False),
        Subject("ours", _serve_ours, _connect_ours, awaits=True),
        Subject("ours-batches", _serve_our_batches, _connect_ours, awaits=False),
        Subject(
            "ours-durable",
            _serve_durable,
            _connect_durable,
            awaits=False,
            batches_in_flight=DURABLE_QUEUE // BATCH,
        ),
    )
}

assert BATCH * BATCHES_IN_FLIGHT <= QUEUE, "the queues hold what the work keeps in flight"
