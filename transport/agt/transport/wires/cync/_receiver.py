"""Everything that comes from the peer as a message: recognised when doubled, handed on, answered by the protocol.

Hello, time and heartbeat are answered at once, since nothing is processed. The others are answered when the
application has acknowledged them, so that an answer means what it says; a refused one is not answered, which is all
that this wire can say, and the peer will send it again.

An answer counts as given when the driver takes it to write it: while it waits behind a stalled socket, whatever comes
with the same bytes can only be the resend of a peer that has not read it.
"""

from collections import deque

from agt.transport._events import Event, Received
from agt.transport.wires.cync._build import answer
from agt.transport.wires.cync._config import CyncConfig
from agt.transport.wires.cync._dedup import Copy, ResendWindow
from agt.transport.wires.cync._inner import inner_frame
from agt.transport.wires.cync._packets import Packet
from agt.transport.wires.cync._types import DATA, HEARTBEAT, HELLO, TIME, TYPES

_ANSWERED_AT_ONCE = frozenset({HELLO, TIME, HEARTBEAT})


class Receiver:
    """The incoming half of one link."""

    def __init__(self, config: CyncConfig, events: deque[Event]) -> None:
        self._config = config
        self._events = events
        self._window = ResendWindow(config.resend_window_s)
        self._unprocessed: dict[int, Packet] = {}
        self._answered: list[bytes] = []
        """Packets whose answer waits to be written."""
        self._last_token = 0
        self.heartbeats = 0
        self.duplicates_dropped = 0
        self.redelivered = 0
        self.overflowed = 0
        self.damaged = 0
        """Packets whose inner frame doesn't agree with its checksum; handed on all the same, as today."""

    def connection_made(self) -> None:
        """Start on a fresh connection: answers to the last one's packets have nowhere to go."""
        self._window.clear()
        self._unprocessed.clear()
        self._answered.clear()

    def written(self, now: float) -> None:
        """Note that every answer so far is being written: their windows run from here."""
        for data in self._answered:
            self._window.answered(data, now=now)
        self._answered.clear()

    def take(self, packet: Packet, *, now: float) -> bytes:
        """Take a request and return what is to be answered at once; empty when that waits for the application."""
        code = packet.type
        self.heartbeats += code == HEARTBEAT
        if code in _ANSWERED_AT_ONCE or code not in self._config.hand_on:
            if code in self._config.hand_on:
                self._hand_on(packet)
            return self._answer(packet)
        if len(self._unprocessed) >= self._config.unprocessed_max:
            self.overflowed += 1
            return b""
        if self._config.recognise_resends and TYPES[code].recognised:
            copy = self._window.classify(packet.data, now=now)
            if copy in {Copy.UNANSWERED, Copy.ANSWERED}:
                self.duplicates_dropped += 1
                return self._answer(packet) if copy is Copy.ANSWERED else b""
            # A command carries its own counter: the same bytes again are a resend that came too late to be known
            # as one. A status may be repeated on purpose, so nothing is said about it.
            self.redelivered += copy is Copy.LATE and code == DATA
        token = self._hand_on(packet)
        if not self._config.answer_when_processed:
            return self._answer(packet)
        self._unprocessed[token] = packet
        return b""

    def acknowledge(self, token: int) -> bytes:
        """Return the answer to a message that the application has processed; empty when none is due (any more)."""
        packet = self._unprocessed.pop(token, None)
        return b"" if packet is None else self._answer(packet)

    def refuse(self, token: int) -> None:
        """Leave a message unanswered, and take its next copy as new."""
        packet = self._unprocessed.pop(token, None)
        if packet is not None:
            self._window.forget(packet.data)

    def _hand_on(self, packet: Packet) -> int:
        self._last_token += 1
        inner = inner_frame(packet)
        self.damaged += inner is not None and not inner.valid
        sequence = inner.counter if inner is not None and packet.type == DATA else -1
        self._events.append(Received(self._last_token, [packet.data], sequence))
        return self._last_token

    def _answer(self, packet: Packet) -> bytes:
        reply = answer(packet, time=self._config.time_answer() if packet.type == TIME else b"")
        if TYPES[packet.type].recognised:
            self._answered.append(packet.data)
        return b"" if reply is None else reply.data
