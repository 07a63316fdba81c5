"""What the transport's driver tests share: both event loops, and a network that can be cut."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import ByteStream

from agt.transport import TCPConnection
from support.driver_harness import Driver
from support.drivers import DRIVERS, available


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every async test on both event loops."""
    return request.param


class Cable:
    """A relay on real sockets between a dialler and a listener, which can be cut and stalled."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.dialled = 0
        self.plugged = True
        self.cut_after = 0
        """Bytes towards the listener after which each new connection breaks; 0 means never."""
        self._target = target
        self._scopes: set[anyio.CancelScope] = set()

    def cut(self) -> None:
        """Break every connection; new ones come through unless `plugged` is false."""
        for scope in tuple(self._scopes):
            scope.cancel()

    async def relay(self, caller: ByteStream) -> None:
        """Carry one connection."""
        self.dialled += 1
        async with caller:
            if not self.plugged:
                return
            async with await TCPConnection("127.0.0.1", self._target).connect() as callee:
                with anyio.CancelScope() as scope:
                    self._scopes.add(scope)
                    try:
                        await self._carry(caller, callee, scope)
                    finally:
                        self._scopes.discard(scope)

    async def _carry(self, caller: ByteStream, callee: ByteStream, scope: anyio.CancelScope) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._copy, callee, caller, 0, scope)
            tasks.start_soon(self._copy, caller, callee, self.cut_after, scope)

    async def _copy(self, source: ByteStream, sink: ByteStream, limit: int, scope: anyio.CancelScope) -> None:
        passed = 0
        try:
            while True:
                data = await source.receive()
                if limit and passed + len(data) > limit:
                    await sink.send(data[: limit - passed])
                    break
                passed += len(data)
                await sink.send(data)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        scope.cancel()


@asynccontextmanager
async def plugged_in(target: int) -> AsyncIterator[Cable]:
    """Run a cable to a listener's port."""
    cable = Cable(target)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        cable.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.start_soon(listener.serve, cable.relay, tasks)
        yield cable
        tasks.cancel_scope.cancel()


@pytest.fixture
def cable():
    """Return the maker of cables, an async context manager that takes the listener's port."""
    return plugged_in


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition that other tasks bring about holds."""
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - real sockets tell nobody when the other side has noticed
            await anyio.sleep(0.001)


@pytest.fixture
def until():
    """Return the wait for a condition, five seconds at most."""
    return wait_until


@pytest.fixture(scope="module", params=DRIVERS, ids=lambda driver: driver.name)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Run a scenario over every driver."""
    if not available(request.param):
        pytest.skip("uvloop is an extra: pip install 'agt-migrate[uvloop]'")
    with request.param.running():
        yield request.param
