"""What routing adds to a message: the same payloads to the same device, bare, over a path, and through a router.

The three ways take turns on one connection, so that whatever disturbs the machine disturbs all alike, and what counts
is the sender's processor time: everything that a message costs in this process, its acknowledgement or its observed
reply included. The device is a process of its own. The bare way is the transport's session with its payload; the
other two have to make a `Message` first, and that is part of their cost.
"""

import gc
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio

from agt.chaos.bench._subjects import bench_config
from agt.chaos.bench._tasks import Ready, say, stdin_ended
from agt.chaos.bench._work import PAYLOAD_BYTES, awaited
from agt.chaos.bench.router._decisions import RUNTIMES, UpPath
from agt.chaos.bench.router._tasks import Routed, RouteTask, ServeTask
from agt.router import LegacyPath, MemorySelector, Message, Path, ReliablePath, Route, Router, Selector
from agt.transport import (
    Delivery,
    Outcome,
    ReceivedMessage,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    WireListener,
)
from agt.transport.wires.lines import LinesConfig, LinesLink

OTHERS = 1000
"""Devices that the router knows beside the one that is sent to."""
DEVICE = "bench"
Send = Callable[[bytes], Delivery]


async def serve(task: ServeTask) -> None:
    """Be the device until told to stop."""
    if task.path == "reliable":
        async with ReliableListener(on_message=_ignore, config=bench_config()) as listener:
            await _until_told(listener.port)
    else:
        config = LinesConfig(name=DEVICE, sequenced=True)
        async with WireListener(lambda: LinesLink("device", config), on_message=_ignore) as listener:
            await _until_told(listener.port)


async def route(task: RouteTask) -> Routed:
    """Measure the three ways in turns."""
    numbers = count(1)
    async with _CONNECT[task.path](task.port) as (session, path):
        router = _router(task.path, path)
        ways: dict[str, Send] = {
            "session": session.send_nowait if task.path == "reliable" else session.write_nowait,
            "path": lambda payload: path.send(Message(DEVICE, next(numbers), payload)),
            "router": lambda payload: router.send(Message(DEVICE, next(numbers), payload)),
        }
        took: dict[str, dict[str, list[float]]] = {way: {} for way in ways}
        for _ in range(task.rounds):
            for window in task.windows:
                for way, send in ways.items():
                    took_us = await _one(send, session, task.messages, window)
                    took[way].setdefault(str(window), []).append(took_us)
    return Routed(session_us=took["session"], path_us=took["path"], router_us=took["router"])


def _router(runtime: str, path: Path) -> Router:
    """Return a router that carries the device on this runtime, and knows others beside it."""
    percentage = 100.0 if runtime == RUNTIMES.candidate else 0.0
    selector = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=percentage))
    router = Router(MemorySelector(selector), runtimes=RUNTIMES)
    for number in range(OTHERS):
        router.attach(f"other-{number}", {RUNTIMES.control: UpPath(), RUNTIMES.candidate: UpPath()})
    carried = router.attach(DEVICE, {runtime: path})
    assert carried == runtime, "the device is where it is measured"
    return router


async def _one(send: Send, session: Session, messages: int, window: int) -> float:
    """Return the processor microseconds a message of one way."""
    payloads = [b"set %d %s" % (number, _FILLING) for number in range(1, messages + 1)]
    gc.collect()
    started = time.process_time()
    if session.link.traits.acknowledges:
        arrived = await awaited(send, payloads, window)
    else:
        arrived = await _written(send, payloads, window, session)
    took_s = time.process_time() - started
    assert arrived == messages, f"{arrived} of {messages} messages arrived"
    return took_s / messages * 1e6


async def _written(send: Send, payloads: Sequence[bytes], window: int, session: Session) -> int:
    """Write so many, wait until all of them are answered, and so on; returns how many were written."""
    written = 0
    for first in range(0, len(payloads), window):
        for payload in payloads[first : first + window]:
            written += send(payload).outcome is Outcome.WRITTEN
        quiet = anyio.Event()
        session.on_quiet(quiet.set)
        await quiet.wait()
    return written


@asynccontextmanager
async def _reliable(port: int) -> AsyncIterator[tuple[Session, Path]]:
    async with ReliableTransport(TCPConnection("127.0.0.1", port), config=bench_config()) as transport:
        await transport.wait_connected()
        yield transport.session, ReliablePath(transport.session)


@asynccontextmanager
async def _legacy(port: int) -> AsyncIterator[tuple[Session, Path]]:
    session = Session(LinesLink("controller"))
    opened = anyio.Event()
    session.on_connection(lambda _: opened.set())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run, await TCPConnection("127.0.0.1", port).connect())
        await opened.wait()
        yield session, LegacyPath(session)
        tasks.cancel_scope.cancel()


async def _until_told(port: int) -> None:
    say(Ready(port=port))
    await stdin_ended()


def _ignore(_: ReceivedMessage) -> None:
    """Act upon nothing: returning is the acknowledgement."""


_CONNECT = {"reliable": _reliable, "legacy": _legacy}
_FILLING = b"x" * (PAYLOAD_BYTES - 12)
