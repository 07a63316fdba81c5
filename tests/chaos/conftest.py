"""Builders that the chaos tests share: an echoing target, and clients that speak in frames."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest


class Target:
    """A server that keeps what it hears, per connection, and can answer each piece."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.port = 0
        self.heard: list[bytearray] = []
        self.ended: list[str] = []
        self.streams: list[anyio.abc.ByteStream] = []
        self._answer = answer
        self._changed = anyio.Event()

    @property
    def first(self) -> bytes:
        return bytes(self.heard[0]) if self.heard else b""

    async def handle(self, stream: anyio.abc.ByteStream) -> None:
        heard = bytearray()
        self.heard.append(heard)
        self.streams.append(stream)
        try:
            async with stream:
                async for data in stream:
                    heard += data
                    self._tell()
                    if answer := self._answer(data):
                        await stream.send(answer)
            self.ended.append("end")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.ended.append("reset")
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(5):
            while not condition():
                await self._changed.wait()


Serve = Callable[..., AbstractAsyncContextManager[Target]]


@pytest.fixture
def serve() -> Serve:
    """Start a target on a free port (`target.port`), or on a Unix path."""

    @asynccontextmanager
    async def start(
        answer: Callable[[bytes], bytes] = lambda _: b"", path: Path | None = None
    ) -> AsyncIterator[Target]:
        target = Target(answer)
        if path is not None:
            listener: anyio.abc.Listener[anyio.abc.SocketStream] = await anyio.create_unix_listener(path)
        else:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
            target.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, target.handle)
            yield target
            tasks.cancel_scope.cancel()

    return start


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait for a condition without a fixed sleep; fail when it doesn't come true."""

    async def wait(holds: Callable[[], object]) -> None:
        with anyio.fail_after(15):
            while not holds():
                await anyio.lowlevel.checkpoint()
                await anyio.sleep(0.005)

    return wait
