"""The same as `test_memory_bounds`, in megabytes of the process: what the counts can't see would show here."""

import random
import socket
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from agt.transport import Overflow, QueueFull, ReliableConfig, ReliableListener, ReliableTransport, TCPConnection
from agt.transport.wires.native import NativeLink

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(600)]
MIB = 1 << 20
PAGE = 4096


@pytest.fixture
def anyio_backend() -> str:
    """Only asyncio: the process is the same."""
    return "asyncio"


def resident_bytes() -> int:
    """How much memory the process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


async def test_a_stalled_reader_costs_megabytes_and_no_more(until) -> None:
    """Thirty thousand attempts of 64 KiB (2 GB) against limits of 4 MiB on each side: both ends are in this process."""
    config = ReliableConfig(
        send_queue_max=1000,
        recv_queue_max=1000,
        send_queue_bytes_max=4 * MIB,
        recv_queue_bytes_max=4 * MIB,
        overflow=Overflow.REJECT,
    )
    async with (
        ReliableListener(config=config) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), config=config) as transport,
    ):
        await transport.wait_connected()
        before, most = resident_bytes(), 0
        for number in range(30_000):
            try:
                transport.send_nowait(random.randbytes(65_536), deadline_s=60)
            except QueueFull:
                await anyio.lowlevel.checkpoint()
            if number % 1000 == 0:
                most = max(most, resident_bytes())
        # What is held: 4 MiB queued, 4 in flight, the same 4 at the receiver, and what the allocator keeps.
        assert most - before < 48 * MIB


async def test_ten_thousand_passing_senders_leave_little_behind(until) -> None:
    """Each says hello once and is gone; five hundred are remembered."""
    async with ReliableListener(max_senders=500) as listener:
        sizes = []
        for number in range(10_000):
            link = NativeLink(f"dev-{number}", rng=random.Random(number))
            link.connection_made(now=0)
            with socket.create_connection(("127.0.0.1", listener.port)) as sock:
                sock.sendall(link.data_to_send(now=0))
                await until(lambda name=f"dev-{number}": name in listener.sessions)
            if number % 1000 == 999:
                sizes.append(resident_bytes())
        assert len(listener.sessions) <= 500
        assert sizes[-1] - sizes[0] < 24 * MIB
