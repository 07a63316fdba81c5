"""What an application asks of a native link, and what can be known of it: all that has to do with no connection."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

from agt.transport._ack_level import AckLevel
from agt.transport._errors import UsageError
from agt.transport._events import Event, Received
from agt.transport._link import Withdrawal
from agt.transport._message_id import CHANNEL_SHIFT
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._rtt import RoundTrip
from agt.transport._wire import Barrier, MoveKind, WireTraits
from agt.transport.wires.native._claims import Claims
from agt.transport.wires.native._config import FRAME_FLOOR, WINDOW_LIMIT, NativeConfig, checked
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._draining import Draining
from agt.transport.wires.native._frames import HEADER_SIZE, FrameParser, FrameType, encode_frame
from agt.transport.wires.native._gauging import Gauge
from agt.transport.wires.native._handshake import DURABLE, FEATURES
from agt.transport.wires.native._keepalive import Keepalive
from agt.transport.wires.native._lanes import Lanes, draw_epoch
from agt.transport.wires.native._probing import PROBES, Probe, ProbeLimits
from agt.transport.wires.native._sender import Sender
from agt.transport.wires.native._statement import WINDOW_BYTES_MAX, RefusalCode
from agt.transport.wires.native._states import Role, State

if TYPE_CHECKING:
    from random import Random

MIN_ACK_TIMEOUT_S: Final = 0.2


class LinkFront:
    """What an application sees of a link to one peer; `NativeLink` is the rest of it."""

    sender_class: ClassVar[type[Sender]] = Sender
    features: ClassVar[int] = FEATURES | PROBES
    _gauge: Gauge | None = None
    _peer_frame_max = 0

    def __init__(
        self,
        name: str,
        *,
        rng: "Random",
        config: NativeConfig | None = None,
        role: Role = Role.DIALLING,
        generation_floor: int = 0,
        epoch: int = 0,
        created_ms: int = 0,
    ) -> None:
        """Make a link that has no connection yet.

        Args:
            name: who we are as a sender; at most 128 characters.
            rng: draws the epoch and the memory token.
            config: limits and waits.
            role: which half of the handshake to play.
            generation_floor: accepting only: no lower than any generation given before (see `NativeAcceptor`).
            epoch: the incarnation of an outbox that outlives the link; 0 to begin a new one.
            created_ms: the wall clock's milliseconds, which a new epoch begins with so that ids sort; 0 for none.

        Raises:
            msgspec.ValidationError: when a number of the configuration is out of range.
        """
        self._config = checked(config if config is not None else NativeConfig())
        self._name = name
        self._role = role
        self._events: list[Event] = []
        self.counters = LinkCounters()
        """Plain integers for the metrics."""
        longest_s = self._config.ack_timeout_seconds
        self._round_trip = RoundTrip(min(MIN_ACK_TIMEOUT_S, longest_s), longest_s)
        self._claims = Claims(generation_floor)
        self.epoch = epoch or draw_epoch(rng, created_ms)
        """The incarnation of this link's outbox."""
        self._lanes = Lanes(
            self._config,
            self.counters,
            self._events.append,
            self._round_trip,
            rng=rng,
            epoch=self.epoch,
            sender_class=self.sender_class,
        )
        self.peer = ""
        """The peer's name, once it has said it."""
        self.spread_s = 0.0
        """Over how many seconds all who dial one acceptor should spread, should they lose it together; the accepting
        side says it in its welcome."""
        self._peer_features = 0
        self._generation = 0
        self._peer_memory = 0
        self._state = State.IDLE
        self._flowing = False
        self._drain = Draining()
        self._parser = FrameParser()
        self._control: list[bytes] = []
        self._own_half = b""
        self._peer_half = b""
        self._began_at = 0.0
        self._hello_again_at = math.inf
        self._hellos = 0
        self._own_deadline = math.inf
        self._keepalive = Keepalive(self._config)
        self._traits = traits_of(self._config)

    @property
    def make_outgoing(self) -> MakesOutgoing:
        """Makes each message of `send`; a driver puts its own class here before the first one."""
        return self._lanes.make_outgoing

    @make_outgoing.setter
    def make_outgoing(self, make: MakesOutgoing) -> None:
        self._lanes.make_outgoing = make

    # What can be known

    @property
    def traits(self) -> WireTraits:
        """What this wire can promise."""
        return self._traits

    @property
    def state(self) -> State:
        """Where the link stands with its present connection."""
        return self._state

    @property
    def ack_level(self) -> AckLevel:
        """What the peer has done with a message before it acknowledges it."""
        return AckLevel.DURABLE if self._peer_features & DURABLE else AckLevel.PROCESSED

    @property
    def generation(self) -> int:
        """The number of the latest claimant: as we were given it (dialling) or gave it (accepting)."""
        return self._generation if self._role is Role.DIALLING else self._claims.generation

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        return self._lanes.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        return self._lanes.queued

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled message was given to `send`; `math.inf` when there is none."""
        return self._lanes.oldest_at

    @property
    def idle(self) -> bool:
        """Whether the link could be forgotten without anyone noticing at once: no connection, no message."""
        return self._state is State.IDLE and self.answered and not self._lanes.queued

    @property
    def answered(self) -> bool:
        """Whether nothing is on its way: neither what was written, nor what the application has received."""
        return not self._lanes.in_flight and self._lanes.received_idle

    @property
    def draining(self) -> bool:
        """Whether nothing new goes out on this connection, because a side shuts down."""
        return self._drain.on

    # What can be measured

    @property
    def round_trips(self) -> tuple[int, float]:
        """How many round trips were measured by pings and hellos, and the newest in seconds (0.0 before the first).

        They are the wire's alone: no application's time is in them, as it is in those of acknowledgements.
        """
        return self._keepalive.round_trips, self._keepalive.round_trip_s

    def ping(self, *, now: float) -> bool:
        """Ask the peer for a sign of life now, unless it has been asked already; its answer is a round trip.

        Returns:
            False where no messages flow.
        """
        if self._flowing and not self._keepalive.asking(now):
            self.counters.heartbeats += 1
            self._control.append(encode_frame(FrameType.PING, self._keepalive.ask(now)))
        return self._flowing

    def begin_probe(self, limits: ProbeLimits | None = None, *, now: float) -> bool:
        """Begin to find out how much the way to the peer carries; see `_probing`.

        Returns:
            Whether it was begun: not while a probe goes on or a message is on its way, and only with a peer that
            answers probes.
        """
        able = self._state is State.OPEN and bool(self._peer_features & PROBES) and self._peer_frame_max >= FRAME_FLOOR
        if not able or self.draining or self.queued or not self.answered:
            return False
        gauge = self._gauged()
        if gauge.open and gauge.result(now) is None:
            return False
        gauge.begin(limits or ProbeLimits(), self._peer_frame_max, self._keepalive.shortest_s, now)
        return True

    def probed(self, *, now: float) -> Probe | None:
        """Return what came of the newest probe; None while it goes on, or when there was none."""
        return self._gauge.result(now) if self._gauge is not None else None

    def _gauged(self) -> Gauge:
        if self._gauge is None:
            self._gauge = Gauge()
        return self._gauge

    # The application's side

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept a message and return it; it will end once, in a `Delivered` or a `Settled` event, by `deadline`.

        Raises:
            QueueFull: when the send queue is at its limit.
            MessageTooLarge: when the wire can't carry it.
            UsageError: when there is no such channel.
        """
        lanes = self._lanes
        return (lanes.sender(channel) if channel else lanes.senders[0]).send(payload, now, deadline)

    def send_run(
        self, payloads: Sequence[bytes], *, now: float, deadline: float, channel: int = 0
    ) -> Sequence[Outgoing]:
        """Accept messages, all or none, and return them: `send`, for a run of them at once.

        Raises:
            QueueFull: when the send queue has no room for all.
            MessageTooLarge: when the wire can't carry one of them.
            UsageError: when there is no such channel.
        """
        return self._lanes.sender(channel).send_run(payloads, now, deadline)

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message early; it still ends exactly once. A no-op when it has ended."""
        self._lanes.senders[message.channel].cancel(message, now)

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended: first what was written, then what was not, each oldest first."""
        return self._lanes.unsettled()

    def withdraw(self, *, now: float) -> Withdrawal:  # noqa: ARG002  # The protocol passes the time to every call.
        """Take back everything unsettled, without an event.

        What was written is skipped at the receiver: a late copy is never handed to its application, unless it was
        accepted before.
        """
        return self._lanes.withdraw()

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:  # noqa: ARG002  # As above.
        """Say that the application has processed received messages: `count` of them, from this token on."""
        self._lanes.receivers[token >> CHANNEL_SHIFT].done(token, count)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:  # noqa: ARG002  # As above.
        """Say that the application will not process a received message, and why (a `RefusalCode` in lower case).

        With `busy` its sender offers it again, in order, no sooner than after `retry_after_s`, and sends nothing new
        on its channel before; all others are final.

        Raises:
            UsageError: when there is no such code.
        """
        number = RefusalCode.parse(code)
        self._lanes.refuse(token, number, retry_after_s)
        if number is RefusalCode.BUSY:
            self._take_back(token >> CHANNEL_SHIFT)

    def _take_back(self, channel: int) -> None:
        """Keep what nobody has pulled yet of a busy channel: it comes again, behind what was refused."""
        events = list(self._events)
        self._events.clear()
        for event in events:
            if isinstance(event, Received) and event.channel == channel:
                self._lanes.receivers[channel].decline(event.sequence, len(event.payloads))
            else:
                self._events.append(event)

    def set_window(
        self,
        messages: int,
        size: int | None = None,
        *,
        now: float,  # noqa: ARG002  # As above.
        channel: int | None = None,
    ) -> None:
        """Have the peer keep to another window from now on: so many messages, and bytes of them, unprocessed.

        What the old window allowed may be on its way and is still taken. 0 messages stop a channel.

        Args:
            messages: at most `WINDOW_LIMIT`.
            size: bytes; as configured when not given.
            now: the time.
            channel: one channel; all when not given.

        Raises:
            UsageError: when a number is out of range.
        """
        nbytes = self._config.recv_window_bytes if size is None else size
        if not (0 <= messages <= WINDOW_LIMIT and 0 < nbytes <= WINDOW_BYTES_MAX):
            raise UsageError(f"a window of {messages} messages and {nbytes} bytes is out of range")
        self._lanes.set_window(messages, nbytes, channel)


@lru_cache(maxsize=64)
def traits_of(config: NativeConfig) -> WireTraits:
    """Return what the wire can promise with these settings."""
    return WireTraits(
        name="native",
        barrier=Barrier.ACK,
        move=MoveKind.WARM,
        acknowledges=True,
        recognises_resends=True,
        max_payload=config.max_frame_bytes - HEADER_SIZE,
        turn_bytes=config.turn_bytes_max,
    )
