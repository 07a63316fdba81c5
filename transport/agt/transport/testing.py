# ruff: noqa: ARG002 - a double takes what the protocol gives it
"""Doubles for those who build on `agt.transport`: the smallest honest link, and byte streams in memory.

`PlainLink` keeps the whole contract of `Link` (order, once, resume, deadlines, withdrawal, legacy writes) over a
toy framing, with nothing measured and nothing negotiated; it is what the drivers were built against, and what a
test of something above the transport can use without a protocol in the way. `memory_streams` is a connection
without a socket: it slices what it carries, has a bounded buffer, and can be cut.
"""

import math
import struct
from collections import deque
from collections.abc import Iterator
from random import Random

import anyio
from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from agt.transport._errors import MessageTooLarge, PeerViolation, QueueFull
from agt.transport._events import Delivered, Dropped, Event, Observed, Opened, Received, Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._wire import Barrier, MoveKind, WireTraits, only_channel

_HEADER = struct.Struct("!BQI")
_HELLO, _DATA, _ACK, _REFUSE, _WRITE, _REPLY = range(6)
_MAX_PAYLOAD = 65536


class PlainLink:
    """A reliable link without options: frames of kind, number, length and payload; resent on each new connection."""

    def __init__(self, name: str = "plain", *, send_queue_max: int = 100, window: int = 100) -> None:
        self.name = name
        self.make_outgoing: MakesOutgoing = Outgoing
        self.traits = WireTraits("plain", Barrier.ACK, MoveKind.IN_PLACE, True, True, _MAX_PAYLOAD)  # noqa: FBT003 - in the order of the fields
        self.unanswered = 0
        self._send_queue_max, self._window = send_queue_max, window
        self._next_number = 1
        self._waiting: deque[Outgoing] = deque()
        self._flying: dict[int, Outgoing] = {}
        self._written_at: dict[int, float] = {}
        self._received_through = 0
        self._handed: set[int] = set()
        self._refused: dict[int, str] = {}
        self._out = bytearray()
        self._in = bytearray()
        self._events: deque[Event] = deque()
        self._connected = self._greeted = False

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return len(self._flying)

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return len(self._waiting)

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled written message was sent; infinite when there is none."""
        return min((message.accepted_at for message in self._flying.values()), default=math.inf)

    def connection_made(self, *, now: float) -> None:
        """Say hello; what is in flight follows once the peer has said its own."""
        self._connected, self._greeted = True, False
        self._in.clear()
        self._out = bytearray(self._frame(_HELLO, 0, self.name.encode()))

    def connection_lost(self, *, now: float) -> None:
        """Forget the half-written."""
        self._connected = self._greeted = False
        self._out.clear()

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept a message and return it."""
        only_channel(channel, "plain")
        if len(payload) > _MAX_PAYLOAD:
            raise MessageTooLarge(len(payload), _MAX_PAYLOAD)
        if len(self._waiting) >= self._send_queue_max:
            raise QueueFull("send queue", self._send_queue_max)
        message = self.make_outgoing(payload, now, deadline)
        message.sequence = self._number()
        self._waiting.append(message)
        return message

    def write(self, payload: bytes, *, now: float) -> int:
        """Write a message the legacy way."""
        number = self._number()
        self._out += self._frame(_WRITE, number, payload)
        self._written_at[number] = now
        self.unanswered += 1
        return number

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended, oldest first."""
        return iter((*self._flying.values(), *self._waiting))

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message."""
        self._give_up([message], "cancelled", now)

    def withdraw(self, *, now: float) -> Withdrawal:
        """Take back everything unsettled."""
        withdrawal = Withdrawal(tuple(self._waiting), tuple(self._flying.values()))
        self._waiting.clear()
        self._flying.clear()
        return withdrawal

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes cut anywhere."""
        self._in += data
        while len(self._in) >= _HEADER.size:
            kind, number, size = _HEADER.unpack_from(self._in)
            if kind > _REPLY or size > _MAX_PAYLOAD:
                raise PeerViolation("no such frame", bytes(self._in))
            end = _HEADER.size + size
            if len(self._in) < end:
                return
            body = bytes(self._in[_HEADER.size : end])
            del self._in[:end]
            self._on_frame(kind, number, body, now)

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:
        """Confirm received messages."""
        for each in range(token, token + count):
            if each > 0:
                self._answer(each)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:
        """Refuse a received message."""
        if token > 0:
            self._refused[token] = code
            self._answer(token)

    def data_to_send(self, *, now: float) -> bytes:
        """Return what should be written now."""
        while self._greeted and self._waiting and len(self._flying) < self._window:
            message = self._waiting.popleft()
            self._flying[message.sequence] = message
            self._out += self._frame(_DATA, message.sequence, message.payload)
        data = bytes(self._out)
        self._out.clear()
        return data

    def next_deadline(self) -> float:
        """Return the earliest deadline of any message."""
        return min((message.deadline for message in self.unsettled()), default=math.inf)

    def handle_timer(self, *, now: float) -> None:
        """Give up on what is due."""
        self._give_up([message for message in self.unsettled() if message.deadline <= now], "deadline", now)

    def next_event(self) -> Event | None:
        """Return the next event."""
        return self._events.popleft() if self._events else None

    def drop(self, reason: str = "on request", *, final: bool = False) -> None:
        """Ask the driver to close the connection, as a link does when it has found a gap (test hook)."""
        self._events.append(Dropped(reason, "network", final=final))

    def _number(self) -> int:
        self._next_number += 1
        return self._next_number - 1

    @staticmethod
    def _frame(kind: int, number: int, body: bytes = b"") -> bytes:
        return _HEADER.pack(kind, number, len(body)) + body

    def _give_up(self, messages: list[Outgoing], reason: str, now: float) -> None:
        for message in messages:
            if self._flying.pop(message.sequence, None) is not None:
                self._settle(message, Outcome.INDETERMINATE, reason, now)
            elif message in self._waiting:
                self._waiting.remove(message)
                self._settle(message, Outcome.NOT_DELIVERED, reason, now)

    def _settle(self, message: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        self._events.append(Settled(message, outcome, reason, now - message.accepted_at))

    def _answer(self, token: int) -> None:
        self._handed.discard(token)
        code = self._refused.get(token)
        self._out += self._frame(_ACK, token) if code is None else self._frame(_REFUSE, token, code.encode())

    def _on_frame(self, kind: int, number: int, body: bytes, now: float) -> None:
        if kind == _HELLO:
            self._greeted = True
            self._events.append(Opened(body.decode(errors="replace"), resumed=self._received_through > 0))
            for message in self._flying.values():
                message.resends += 1
                self._out += self._frame(_DATA, message.sequence, message.payload)
        elif kind == _DATA and number > self._received_through:
            self._received_through = number
            self._handed.add(number)
            self._events.append(Received(number, [body], number))
        elif kind == _DATA and number not in self._handed:
            self._answer(number)
        elif kind in {_ACK, _REFUSE}:
            settled = self._flying.pop(number, None)
            if settled is not None and kind == _ACK:
                self._events.append(Delivered([settled], now))
            elif settled is not None:
                self._settle(settled, Outcome.NOT_DELIVERED, body.decode(errors="replace"), now)
        elif kind == _WRITE:
            self._events.append(Received(-number, [body]))  # Below zero: the reply below is all it ever gets.
            self._out += self._frame(_REPLY, number)
        elif kind == _REPLY and number in self._written_at:
            self.unanswered -= 1
            self._events.append(Observed(number, now - self._written_at.pop(number)))


class MemoryStream(ByteStream):
    """One end of a connection in memory: bounded, sliced where its generator says, and cut on request."""

    def __init__(
        self,
        send: MemoryObjectSendStream[bytes],
        receive: MemoryObjectReceiveStream[bytes],
        rng: Random | None,
        cut_after: float,
    ) -> None:
        self._send, self._receive, self._rng = send, receive, rng
        self._rest = b""
        self._left = cut_after

    async def send(self, item: bytes) -> None:
        """Write bytes, in slices; the connection is cut when its allowance is used up."""
        for start in range(0, len(item), 4096):
            piece = item[start : start + 4096]
            self._left -= len(piece)
            if self._left < 0:
                await self.aclose()
                raise anyio.BrokenResourceError
            await self._send.send(piece)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Read some bytes, however few the generator cares to give."""
        if not self._rest:
            self._rest = await self._receive.receive()
        size = min(max_bytes, self._rng.randint(1, len(self._rest)) if self._rng else len(self._rest))
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def send_eof(self) -> None:
        """Say that no more bytes will be written."""
        await self._send.aclose()

    async def aclose(self) -> None:
        """Close both directions; the peer reads the end."""
        self._send.close()
        self._receive.close()
        await anyio.lowlevel.checkpoint()


def memory_streams(
    *, rng: Random | None = None, cut_after: float = math.inf, buffered: int = 16
) -> tuple[MemoryStream, MemoryStream]:
    """Return the two ends of a connection in memory.

    Args:
        rng: slices what is read at random; None keeps the slices as written.
        cut_after: bytes that each direction carries before the connection breaks.
        buffered: slices (of at most 4096 bytes) that one direction holds before a writer has to wait.
    """
    left_send, right_receive = anyio.create_memory_object_stream[bytes](buffered)
    right_send, left_receive = anyio.create_memory_object_stream[bytes](buffered)
    return (
        MemoryStream(left_send, left_receive, rng, cut_after),
        MemoryStream(right_send, right_receive, rng, cut_after),
    )


__all__ = ("MemoryStream", "PlainLink", "memory_streams")
