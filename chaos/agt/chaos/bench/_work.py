"""The work that every subject does: the same payloads, the same loops of the sender, the same consumer.

A consumer's callback counts each message, and only one that is above the last one, byte for byte: the first eight
bytes of the payloads rise, so whatever came twice or out of order is missing from the count.
"""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

PAYLOAD_BYTES = 128
BATCH = 250
"""Messages of one `send_batch`."""
BATCHES_IN_FLIGHT = 4
_NUMBER_BYTES = 8

Batch = TypeVar("Batch")


class Consumer:
    """Counts what it is handed."""

    __slots__ = ("_last", "unexpected", "unique")

    def __init__(self) -> None:
        self._last = b""
        self.unique = 0
        """Messages above all before them."""
        self.unexpected = 0
        """Messages that had come before, or too late."""

    def take(self, payload: bytes) -> None:
        """Count one message."""
        if payload > self._last:
            self._last = payload
            self.unique += 1
        else:
            self.unexpected += 1


class Payloads:
    """Makes messages whose first bytes rise."""

    def __init__(self) -> None:
        self._made = 0
        self._rest = bytes(range(_NUMBER_BYTES, PAYLOAD_BYTES))

    @property
    def made(self) -> int:
        """How many there are so far."""
        return self._made

    def take(self, count: int) -> list[bytes]:
        """Return the next ones."""
        first = self._made + 1
        self._made += count
        return [number.to_bytes(_NUMBER_BYTES, "big") + self._rest for number in range(first, first + count)]


async def round_trips(send: Callable[[bytes], Awaitable[object]], payloads: Sequence[bytes]) -> list[float]:
    """Send one message after the other and return the seconds that each took to be acknowledged."""
    took_s = []
    for payload in payloads:
        started = time.perf_counter()
        acknowledged = await send(payload)
        took_s.append(time.perf_counter() - started)
        assert acknowledged, "a round trip ended without an acknowledgement"
    return took_s


async def awaited(send: Callable[[bytes], Awaitable[object]], payloads: Sequence[bytes], in_flight: int) -> int:
    """Send with at most so many unacknowledged, await each, and return how many were acknowledged."""
    waiting: deque[Awaitable[object]] = deque()
    acknowledged = 0
    for payload in payloads:
        if len(waiting) >= in_flight and await waiting.popleft():
            acknowledged += 1
        waiting.append(send(payload))
    while waiting:
        if await waiting.popleft():
            acknowledged += 1
    return acknowledged


async def in_batches(
    send_batch: Callable[[Sequence[bytes]], Awaitable[Batch]],
    payloads: Sequence[bytes],
    count: Callable[[Batch], int],
    in_flight: int = BATCHES_IN_FLIGHT,
) -> int:
    """Send batches, await each as a whole, and return how many messages were acknowledged by `count` of each."""
    waiting: deque[Awaitable[Batch]] = deque()
    acknowledged = 0
    for first in range(0, len(payloads), BATCH):
        if len(waiting) >= in_flight:
            acknowledged += count(await waiting.popleft())
        waiting.append(send_batch(payloads[first : first + BATCH]))
    while waiting:
        acknowledged += count(await waiting.popleft())
    return acknowledged
