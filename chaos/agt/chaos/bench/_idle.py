"""Idle connections: how much memory each costs, at both ends apart."""

import asyncio
import os
import resource
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from agt.chaos.bench._tasks import DialTask, Idle, ListenTask, Ready, say, stdin_ended
from agt.transport import ReliableListener, ReliableTransport, TCPConnection, TransportMetrics

SPARE_FILES = 64
"""Files that a process keeps for itself beside its connections."""
DIALLERS = 100
"""Tasks that dial side by side."""
DIALLING_S = 120.0
"""How long all of them may take to connect."""
_PAGE_BYTES = resource.getpagesize()


def raise_file_limit() -> int:
    """Raise the number of open files to its hard limit and return how many connections that allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - SPARE_FILES if hard != resource.RLIM_INFINITY else sys.maxsize


def rss_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


async def listen(task: ListenTask) -> None:
    """Serve until told to stop, then say what it cost."""
    raise_file_limit()
    async with ReliableListener(max_connections=task.connections) as listener:
        before = rss_bytes()
        say(Ready(port=listener.port))
        await stdin_ended()
        say(Idle(connections=listener.open_connections, rss_before_bytes=before, rss_bytes=rss_bytes()))


async def dial(task: DialTask) -> None:
    """Connect, say what it cost, and hold the connections until told to stop."""
    raise_file_limit()
    metrics = TransportMetrics()  # Of one fleet in one process, as a gateway has it.
    missing = task.connections

    async def some(count: int) -> None:
        nonlocal missing
        for _ in range(count):
            transport = ReliableTransport(TCPConnection("127.0.0.1", task.port), metrics=metrics)
            await held.enter_async_context(transport)
            await transport.wait_connected()
            missing -= 1

    before = rss_bytes()
    async with AsyncExitStack() as held:
        async with asyncio.timeout(DIALLING_S):
            diallers = [some(len(range(place, task.connections, DIALLERS))) for place in range(DIALLERS)]
            await asyncio.gather(*diallers)
        assert not missing, "all of them are connected"
        say(Idle(connections=task.connections, rss_before_bytes=before, rss_bytes=rss_bytes()))
        await stdin_ended()
        os._exit(0)  # To say goodbye on each connection is not what is measured.
