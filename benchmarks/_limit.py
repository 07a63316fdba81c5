"""The raw limit: what asyncio's BufferedProtocol does over loopback with 128-byte messages that are echoed whole.

No numbers, no checksums, no acknowledgement but the echo itself: nothing built on asyncio can be faster, so ours is
measured against it.
"""

import asyncio
import time

from benchmarks._samples import Figures, percentiles_us

BUFFER_SIZE = 1 << 18


class Echo(asyncio.BufferedProtocol):
    """Sends back what comes."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport), "TCP gives a transport that can be written"
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the one buffer."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Send it back."""
        assert self._transport is not None, "bytes come after the connection"
        self._transport.write(bytes(self._buffer[:nbytes]))


class Client(Echo):
    """Keeps a number of messages in flight and counts their echoes."""

    def __init__(self, message: bytes, in_flight: int, total: int) -> None:
        super().__init__()
        self._message, self._in_flight, self._total = message, in_flight, total
        self._sent = self._bytes = 0
        self._sent_at = 0.0
        self.latencies_s: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self) -> None:
        """Send the first window."""
        self._send(self._in_flight)

    def buffer_updated(self, nbytes: int) -> None:
        """Count echoes and send as many new messages."""
        before = self._bytes // len(self._message)
        self._bytes += nbytes
        echoed = self._bytes // len(self._message)
        if self._in_flight == 1 and echoed > before:
            self.latencies_s.append(time.perf_counter() - self._sent_at)
        if echoed >= self._total:
            if not self.done.done():
                self.done.set_result(None)
        elif echoed > before:
            self._send(min(echoed - before, self._total - self._sent))

    def _send(self, count: int) -> None:
        assert self._transport is not None, "sending comes after the connection"
        self._sent += count
        self._sent_at = time.perf_counter()
        self._transport.write(self._message * count)


async def measure_limit(payload: bytes, *, round_trips: int, messages: int, windows: tuple[int, ...]) -> Figures:
    """Measure round trips and echoed messages a second."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def run(in_flight: int, total: int) -> tuple[float, list[float]]:
        transport, client = await loop.create_connection(lambda: Client(payload, in_flight, total), "127.0.0.1", port)
        started = time.perf_counter()
        client.start()
        await client.done
        took_s = time.perf_counter() - started
        transport.close()
        return took_s, client.latencies_s

    _, latencies_s = await run(1, round_trips)
    rates, cpu_us = {}, {}
    for window in windows:
        cpu_s = time.process_time()
        took_s, _ = await run(window, messages)
        rates[str(window)] = round(messages / took_s)
        cpu_us[str(window)] = round((time.process_time() - cpu_s) / messages * 1e6, 2)
    server.close()
    await server.wait_closed()
    return Figures(rtt_us=percentiles_us(latencies_s), per_s=rates, cpu_us=cpu_us)
