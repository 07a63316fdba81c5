"""Ours with its defaults over loopback: checksums, acknowledged as processed, deadlines, bounds and metrics on.

A round is void unless sent, acknowledged and received agree.
"""

import time

import anyio

from agt.transport import Delivery, ReceivedMessage, ReliableConfig, ReliableListener, ReliableTransport, TCPConnection
from benchmarks._samples import Figures, percentiles_us


class Receiver:
    """The consumer: counts each message."""

    def __init__(self) -> None:
        self.received = 0

    def on_message(self, message: ReceivedMessage) -> None:
        """Count it; returning says that it was processed."""
        del message
        self.received += 1


class Window:
    """Keeps a number of messages in flight until all are acknowledged."""

    def __init__(self, transport: ReliableTransport, payload: bytes, in_flight: int, total: int) -> None:
        self._transport, self._payload, self._in_flight, self._total = transport, payload, in_flight, total
        self._sent = self.delivered = 0
        self._done = anyio.Event()

    async def run(self) -> float:
        """Send everything and return the seconds it took."""
        started = time.perf_counter()
        for _ in range(min(self._in_flight, self._total)):
            self._send()
        await self._done.wait()
        return time.perf_counter() - started

    def _send(self) -> None:
        self._sent += 1
        self._transport.send_nowait(self._payload).add_done_callback(self._settled)

    def _settled(self, delivery: Delivery) -> None:
        assert delivery, f"a message of the benchmark ended as {delivery!r}"
        self.delivered += 1
        if self.delivered == self._total:
            self._done.set()
        elif self._sent < self._total:
            self._send()


async def measure_ours(payload: bytes, *, round_trips: int, messages: int, windows: tuple[int, ...]) -> Figures:
    """Measure round trips and acknowledged messages a second."""
    room = max(windows) + 100
    config = ReliableConfig(send_queue_max=room, recv_queue_max=room, in_flight_max=room)
    receiver, latencies_s, rates, cpu_us = Receiver(), [], {}, {}
    async with (
        ReliableListener(on_message=receiver.on_message, config=config) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), config=config) as transport,
    ):
        await transport.wait_connected()
        for _ in range(round_trips):
            sent_at = time.perf_counter()
            assert await transport.send_reliable(payload), "a round trip failed"
            latencies_s.append(time.perf_counter() - sent_at)
        for window in windows:
            cpu_s = time.process_time()
            rates[str(window)] = round(messages / await Window(transport, payload, window, messages).run())
            cpu_us[str(window)] = round((time.process_time() - cpu_s) / messages * 1e6, 2)
    expected = round_trips + messages * len(windows)
    assert receiver.received == expected, f"received {receiver.received} of {expected}: the round is void"
    return Figures(rtt_us=percentiles_us(latencies_s), per_s=rates, cpu_us=cpu_us)
