"""The limits that ours is held against: the same work by hand, with nothing around it.

*blocking* is what the kernel costs: bare sockets in one thread. *duties* is what a reliable transport can't do
without on asyncio: a 24-byte header a message, CRC-32, sequence, dedup, cumulative acknowledgement, one Future a
message. *no-waiter* is the same for who doesn't wait for single messages: no Future, and so one header and one
checksum over a whole batch. *SQLite* is a table of rows, synchronous FULL, 100 rows a commit. None of them sends
anything again, times anything out, bounds or counts anything, or survives a lost connection.

They are meant to be strong: bytes are copied once a receive and sliced, acknowledgements go out once a receive, what
is sent in one turn of the loop leaves in one write, and a lone message leaves at once. All of it stays in this one
file, so that its digest says which limits a result was held against.
"""

import asyncio
import socket
import sqlite3
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import cast
from zlib import crc32

Consume = Callable[[bytes], None]

HEADER = struct.Struct("!IIQQ")
"""Length of what follows, checksum, sequence (of the first message), acknowledged through."""
HEADER_SIZE = HEADER.size
BUFFER_SIZE = 1 << 18
ROWS_PER_COMMIT = 100
_SEQUENCES = struct.Struct("!QQ")
_SIZES = struct.Struct("!II")
_COUNT = struct.Struct("!I")
_LOW_BITS = 0xFFFFFFFF


def digest() -> str:
    """Return the start of this file's SHA-256 in hexadecimal."""
    return sha256(Path(__file__).read_bytes()).hexdigest()[:16]


def blocking_round_trips(payloads: Sequence[bytes]) -> list[float]:
    """Return the seconds of each echo between two blocking sockets of this thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    with near, far:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray(BUFFER_SIZE)
        view, took_s = memoryview(buffer), []
        for payload in payloads:
            started = time.perf_counter()
            near.sendall(payload)
            far.sendall(view[: far.recv_into(buffer)])
            near.recv_into(buffer)
            took_s.append(time.perf_counter() - started)
    return took_s


def sqlite_rows_per_s(directory: Path, payloads: Sequence[bytes]) -> float:
    """Return how many rows a second SQLite commits durably, `ROWS_PER_COMMIT` at a time."""
    database = sqlite3.connect(directory / "limit.sqlite", isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE message (sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
        rows = list(enumerate(payloads))
        started = time.perf_counter()
        for first in range(0, len(rows), ROWS_PER_COMMIT):
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO message VALUES (?, ?)", rows[first : first + ROWS_PER_COMMIT])
            database.execute("COMMIT")
        return len(rows) / (time.perf_counter() - started)
    finally:
        database.close()


class _End(asyncio.BufferedProtocol):
    """Either end: lends one buffer to the loop, cuts frames, acknowledges once a receive."""

    def __init__(self, consume: Consume) -> None:
        self._consume = consume
        self._loop = asyncio.get_running_loop()
        self._view = memoryview(bytearray(BUFFER_SIZE))
        self._rest = b""
        self._accepted = self._acked = self._sequence = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass.

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        assert self._transport is not None, "bytes come after the connection"
        data = self._rest + self._view[:nbytes] if self._rest else bytes(self._view[:nbytes])
        accepted = self._accepted
        position, acked = self._take(data)
        self._rest = data[position:]
        if acked > self._acked:
            self._settle(acked)
        if accepted != self._accepted:
            self._transport.write(HEADER.pack(0, 0, 0, self._accepted))

    def close(self) -> None:
        """End the connection."""
        assert self._transport is not None, "closed after it was made"
        self._transport.abort()

    def _take(self, data: bytes) -> tuple[int, int]:
        """Consume whole frames; return where the rest begins and what was acknowledged last."""
        raise NotImplementedError

    def _settle(self, acked: int) -> None:
        raise NotImplementedError


class Duties(_End):
    """One header, one checksum and one Future a message."""

    def __init__(self, consume: Consume) -> None:
        super().__init__(consume)
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._parts: list[bytes] = []
        self._burst = 0

    def send(self, payload: bytes) -> asyncio.Future[bool]:
        """Send a message: at once if it comes alone, else together with the others of this turn of the loop."""
        alone = self._burst <= 1 and self._sequence == self._acked
        sequence = self._sequence = self._sequence + 1
        future = self._loop.create_future()
        self._waiting.append(future)
        checksum = crc32(payload, sequence & _LOW_BITS)
        parts = self._parts
        if not parts and not alone:
            self._loop.call_soon(self._flush)
        parts.append(HEADER.pack(len(payload), checksum, sequence, self._accepted))
        parts.append(payload)
        if alone:
            self._flush()
        return future

    def _flush(self) -> None:
        assert self._transport is not None, "sending comes after the connection"
        parts = self._parts
        self._burst = len(parts) // 2
        self._transport.write(b"".join(parts))
        parts.clear()

    def _take(self, data: bytes) -> tuple[int, int]:
        position, size, consume = 0, len(data), self._consume
        accepted, acked, unpack = self._accepted, self._acked, HEADER.unpack_from
        while size - position >= HEADER_SIZE:
            length, checksum, sequence, ack = unpack(data, position)
            body = position + HEADER_SIZE
            end = body + length
            if end > size:
                break
            if length:
                payload = data[body:end]
                if crc32(payload, sequence & _LOW_BITS) != checksum:
                    self.close()
                    break
                if sequence == accepted + 1:
                    accepted = sequence
                    consume(payload)
            position, acked = end, ack
        self._accepted = accepted
        return position, acked

    def _settle(self, acked: int) -> None:
        waiting = self._waiting
        for _ in range(acked - self._acked):
            waiting.popleft().set_result(True)
        self._acked = acked


class NoWaiter(_End):
    """One header, one checksum and one Future a batch."""

    def __init__(self, consume: Consume) -> None:
        super().__init__(consume)
        self._waiting: deque[tuple[int, int, asyncio.Future[int]]] = deque()

    def send_batch(self, payloads: Sequence[bytes]) -> asyncio.Future[int]:
        """Send messages; the one Future gives their number once all are acknowledged."""
        assert self._transport is not None, "sending comes after the connection"
        first, count = self._sequence + 1, len(payloads)
        self._sequence += count
        body = struct.pack(f"!I{count}I", count, *map(len, payloads)) + b"".join(payloads)
        numbers = _SEQUENCES.pack(first, self._accepted)
        self._transport.write(_SIZES.pack(len(body), crc32(body, crc32(numbers))) + numbers + body)
        future = self._loop.create_future()
        self._waiting.append((self._sequence, count, future))
        return future

    def _take(self, data: bytes) -> tuple[int, int]:
        position, size, consume = 0, len(data), self._consume
        accepted, acked, view = self._accepted, self._acked, memoryview(data)
        while size - position >= HEADER_SIZE:
            length, checksum, sequence, ack = HEADER.unpack_from(data, position)
            body = position + HEADER_SIZE
            end = body + length
            if end > size:
                break
            if length:
                if crc32(view[body:end], crc32(view[position + _SIZES.size : body])) != checksum:
                    self.close()
                    break
                (count,) = _COUNT.unpack_from(data, body)
                start = body + _COUNT.size * (1 + count)
                for length in struct.unpack_from(f"!{count}I", data, body + _COUNT.size):
                    if sequence == accepted + 1:
                        accepted = sequence
                        consume(data[start : start + length])
                    start += length
                    sequence += 1
            position, acked = end, ack
        self._accepted = accepted
        return position, acked

    def _settle(self, acked: int) -> None:
        waiting = self._waiting
        while waiting and waiting[0][0] <= acked:
            _, count, future = waiting.popleft()
            future.set_result(count)
        self._acked = acked
