"""The cync wire towards one peer: reliability got out of the acknowledgements that unmodified devices already send.

Theory of operation. Nothing can be added to the wire: a message is one packet of the device's own protocol, its ack
is the device's own answer, and a resend is the same bytes again. So the wire can't tell the application that a
message is a resend once the window has passed in which the peer could have made one (`recognises_resends` is false,
`redelivered` counts what is known of it); it is right for messages that set a state.

A controller's messages are commands (0x73). One is outstanding at a time unless configured: two commands for one
device may set the same state, and were the first one resent while the second is answered, the device would end in
the older state. A device's messages are its requests, one lane for each type, since acks without an id can only be
matched in order; hello goes first and alone.

Legacy sending (`write`) uses the same connection, ids and matcher, so a device moves in place: its socket stays, the
way of sending changes. The barrier is `ack`: all answered means silent. Hello, time and heartbeat are answered by the
protocol whichever way carries the messages.
"""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from agt.transport._errors import ConnectionUnavailable, MessageTooLarge, QueueFull, UsageError
from agt.transport._events import Dropped, Event, Opened
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._wire import Barrier, MoveKind, WireTraits, only_channel
from agt.transport.wires.cync._build import answer
from agt.transport.wires.cync._config import CyncConfig
from agt.transport.wires.cync._packets import Malformed, Packet, PacketParser, one_packet
from agt.transport.wires.cync._receiver import Receiver
from agt.transport.wires.cync._sender import Sender
from agt.transport.wires.cync._types import (
    DATA_ACK,
    DATA_ACK_ACK,
    FROM_CONTROLLER,
    FROM_DEVICE,
    HELLO,
    HELLO_ACK,
    MAX_PACKET_SIZE,
    TYPES,
)

if TYPE_CHECKING:
    from agt.transport._link import Withdrawal

Role = Literal["controller", "device"]

TRAITS = WireTraits(
    name="cync",
    barrier=Barrier.ACK,
    move=MoveKind.IN_PLACE,
    acknowledges=True,
    recognises_resends=False,
    max_payload=MAX_PACKET_SIZE,
)


class CyncLink:
    """Reliability towards one cync peer; see `agt.transport.Link` for the calling order."""

    def __init__(self, role: Role, config: CyncConfig | None = None) -> None:
        """Make one end.

        Args:
            role: which end this is; `device` is for simulated devices, since real ones can't be changed.
            config: settings; the defaults are a controller's.
        """
        self._role = role
        self._config = config or CyncConfig()
        self._ours, self._theirs = (
            (FROM_CONTROLLER, FROM_DEVICE) if role == "controller" else (FROM_DEVICE, FROM_CONTROLLER)
        )
        self._events: deque[Event] = deque()
        self._sender = Sender(self._config, self._events)
        self._receiver = Receiver(self._config, self._events)
        self._parser = PacketParser()
        self._hello = one_packet(self._config.hello) if self._config.hello else None
        self._out: list[bytes] = []
        self._unsent_bytes = 0
        self._connected = False
        self._opened = False
        self._dropped = False
        self._malformed_bytes = 0
        self.peer = ""
        """Controller role: the endpoint in hex, from the first hello on."""
        self.decode_errors = 0
        """Runs of bytes that were no packets, and packets that this end should never get."""

    @property
    def make_outgoing(self) -> MakesOutgoing:
        """Makes each message of `send`; a driver puts its own class here before the first one."""
        return self._sender.make_outgoing

    @make_outgoing.setter
    def make_outgoing(self, make: MakesOutgoing) -> None:
        self._sender.make_outgoing = make

    # What can be known

    @property
    def traits(self) -> WireTraits:
        """What this wire can promise."""
        return TRAITS

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        return self._sender.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        return self._sender.queued

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled message was given to `send`; `math.inf` when there is none."""
        return self._sender.oldest_at

    @property
    def unanswered(self) -> int:
        """Messages that were only written and whose reply may still come."""
        return self._sender.unanswered

    @property
    def observed_missing(self) -> int:
        """Messages that were only written and whose reply never came."""
        return self._sender.observed_missing

    @property
    def resends(self) -> int:
        """Messages written again."""
        return self._sender.resends

    @property
    def ack_timeouts(self) -> int:
        """Times that an ack did not come in time."""
        return self._sender.ack_timeouts

    @property
    def unmatched_acks(self) -> int:
        """Acks that no message of ours explains."""
        return self._sender.unmatched_acks

    @property
    def stray_acks(self) -> int:
        """Acks to the extra copies of messages that had ended."""
        return self._sender.stray_acks

    @property
    def duplicates_dropped(self) -> int:
        """Resends that were recognised and not handed on."""
        return self._receiver.duplicates_dropped

    @property
    def redelivered(self) -> int:
        """Commands handed on again because their resend came too late to be recognised."""
        return self._receiver.redelivered

    @property
    def overflowed(self) -> int:
        """Messages left unanswered because the application was too far behind."""
        return self._receiver.overflowed

    @property
    def damaged(self) -> int:
        """Packets whose inner frame doesn't agree with its checksum; handed on all the same, as today."""
        return self._receiver.damaged

    @property
    def heartbeats(self) -> int:
        """Heartbeats received."""
        return self._receiver.heartbeats

    # The connection

    def connection_made(self, *, now: float) -> None:  # noqa: ARG002  # The link protocol gives the time.
        """Start on a fresh connection; a device begins with its hello where one is configured."""
        self._parser = PacketParser()
        self._malformed_bytes = 0
        self._out.clear()
        self._unsent_bytes = 0
        self._connected, self._opened, self._dropped = True, False, False
        self._sender.connection_made()
        self._receiver.connection_made()
        if self._hello is not None:
            self._sender.request(self._hello)

    def connection_lost(self, *, now: float) -> None:  # noqa: ARG002  # The link protocol gives the time.
        """Note that the connection is gone; what is outstanding goes again on the next one."""
        self._connected = self._opened = False
        self._out.clear()
        self._unsent_bytes = 0
        self._sender.connection_lost()

    # Sending

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept one packet to deliver and return it; it ends once, in a `Delivered` or `Settled`, by `deadline`.

        Raises:
            QueueFull: when the send queue is at its limit.
            MessageTooLarge: when the packet is over 4,096 bytes.
            UsageError: when the bytes are not exactly one packet that this end may send, or for another channel.
        """
        only_channel(channel, "cync")
        return self._sender.accept(self._own_packet(payload), now=now, deadline=deadline)

    def write(self, payload: bytes, *, now: float) -> int:
        """Write one packet as today and return its number; the peer's reply comes as `Observed`, if it comes.

        Raises:
            ConnectionUnavailable: when there is no connection to write to.
            QueueFull: when the driver can't get rid of what was written before.
            MessageTooLarge: when the packet is over 4,096 bytes.
            UsageError: when the bytes are not exactly one packet that this end may send.
        """
        packet = self._own_packet(payload)
        if not self._connected:
            raise ConnectionUnavailable(self.peer or "the peer", "it is not connected")
        if self._unsent_bytes + len(packet.data) > self._config.unsent_max_bytes:
            raise QueueFull("the unsent bytes", self._config.unsent_max_bytes)
        number = self._sender.wrote_unreliably(packet, now=now)
        self._queue_bytes(packet.data)
        return number

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message early; it still ends exactly once. A no-op when it has ended."""
        self._sender.cancel(message, now=now)

    def withdraw(self, *, now: float) -> "Withdrawal":
        """Take back everything unsettled, without an event; used when a device changes paths."""
        return self._sender.withdraw(now=now)

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended: first what was written, then what was not, each oldest first."""
        return self._sender.unsettled()

    # Receiving

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        if self._dropped or not self._connected:
            return
        for item in self._parser.feed(data):
            if isinstance(item, Malformed):
                self.decode_errors += 1
                self._malformed_bytes += item.length
            elif not self._dropped:
                self._receive(item, now)
        if self._malformed_bytes + self._parser.malformed_run > self._config.malformed_max_bytes:
            self._drop(f"over {self._config.malformed_max_bytes} bytes that are no cync packets")

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:  # noqa: ARG002  # As above.
        """Answer received messages; a no-op when their connection is gone or they were answered at once."""
        for each in range(token, token + count):
            self._queue_answer(self._receiver.acknowledge(each))

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:  # noqa: ARG002  # This wire has no words for it.
        """Leave a received message unanswered, which is all this wire can say; the peer sends it again."""
        self._receiver.refuse(token)

    # The driver's side

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, the bytes that should go to the peer now; empty when there are none."""
        self._advance(now)
        data = b"".join(self._out)
        self._out.clear()
        self._unsent_bytes = 0
        self._receiver.written(now)
        return data

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        return self._sender.next_deadline()

    def handle_timer(self, *, now: float) -> None:
        """Settle what is overdue, send again what is due; a no-op when nothing is."""
        self._advance(now)

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        return self._events.popleft() if self._events else None

    # Inside

    def _own_packet(self, payload: bytes) -> Packet:
        if len(payload) > MAX_PACKET_SIZE:
            raise MessageTooLarge(len(payload), MAX_PACKET_SIZE)
        packet = one_packet(payload)
        if packet.type not in self._ours:
            name = TYPES[packet.type].name
            raise UsageError(f"a {self._role} sends no {name} (0x{packet.type:02x}) as a message")
        return packet

    def _advance(self, now: float) -> None:
        for data in self._sender.advance(now):
            self._queue_bytes(data)

    def _receive(self, packet: Packet, now: float) -> None:
        code = packet.type
        if code == DATA_ACK_ACK:
            return  # The last word: it answers an answer, and nobody waits for it.
        if not TYPES[code].is_request:
            self._sender.acked(packet.key, now=now)
            if code == HELLO_ACK and self._role == "device":
                self._open("controller")
            elif code == DATA_ACK and self._role == "controller":
                reply = answer(packet)
                assert reply is not None, "a data ack has an answer"
                self._queue_answer(reply.data)
        elif code not in self._theirs:
            self.decode_errors += 1
        elif code == HELLO and not self._greet(packet):
            self._drop("hello from another endpoint than this connection's")
        else:
            self._queue_answer(self._receiver.take(packet, now=now))

    def _greet(self, packet: Packet) -> bool:
        """Take a hello; false when it names somebody else."""
        endpoint = packet.endpoint
        assert endpoint is not None, "a hello carries an endpoint"
        if self.peer and endpoint.hex() != self.peer:
            return False
        self._open(endpoint.hex())
        return True

    def _open(self, peer: str) -> None:
        if not self._opened:
            self._opened, self.peer = True, peer
            self._sender.open()
            # A device remembers nothing over connections, so there is no past to resume.
            self._events.append(Opened(peer, resumed=False))

    def _queue_bytes(self, data: bytes) -> None:
        self._out.append(data)
        self._unsent_bytes += len(data)

    def _queue_answer(self, data: bytes) -> None:
        if not data or not self._connected:
            return
        self._queue_bytes(data)
        if self._unsent_bytes > self._config.unsent_max_bytes:
            self._drop("it asks on and does not read the answers")

    def _drop(self, reason: str) -> None:
        if not self._dropped:
            self._dropped = True
            self._events.append(Dropped(reason, "peer", final=False))
