"""One peer over the native wire: the handshake, the frames of each turn, and when to give a connection up.

The link joins a `Sender` and a `Receiver`, which know nothing of each other, and carries their words. It outlives its
connections: `connection_made` starts the handshake anew, and what both sides say there (`_handshake`) decides whether
either has forgotten the other. Whatever a connection does wrong costs that connection and nothing else: a gap or
damage is the network's fault and is answered by dialling again, nonsense is the peer's.

Everything of one turn leaves as one join: control frames, at most one ACK, then skips, resends and new messages. An
ACK goes out alone only when no data frame can carry it (see `Receiver.ack_anywhere`).
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Final

from agt.transport._errors import PeerViolation, UsageError
from agt.transport._events import Dropped, Event, Opened
from agt.transport._link import Withdrawal
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._rtt import RoundTrip
from agt.transport._wire import Barrier, MoveKind, WireTraits
from agt.transport.wires.native._claims import Claims
from agt.transport.wires.native._config import NativeConfig, checked
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._frames import (
    HEADER_SIZE,
    HELLO_LIMIT,
    FrameDamaged,
    FrameParser,
    FrameType,
    decode_batch,
    encode_frame,
)
from agt.transport.wires.native._handshake import (
    CULPRITS,
    FINAL_CODES,
    VERSION_MAX,
    VERSION_MIN,
    AwayCode,
    GoAway,
    Hello,
    Welcome,
    common_version,
    decode_body,
    encode_body,
    go_away_frame,
)
from agt.transport.wires.native._keepalive import Keepalive
from agt.transport.wires.native._receiver import Gap, Receiver, draw_token
from agt.transport.wires.native._sender import Sender
from agt.transport.wires.native._statement import RefusalCode, decode_ack, decode_skip
from agt.transport.wires.native._states import ALLOWED_FRAMES, FLOWING, NEXT, NUMBERED, Role, State, Step

if TYPE_CHECKING:
    from random import Random

_DATA: Final = int(FrameType.DATA)
_BATCH: Final = int(FrameType.BATCH)
MIN_ACK_TIMEOUT_S: Final = 0.2


class NativeLink:
    """Reliable messages to and from one peer; a `Link`."""

    sender_class: ClassVar[type[Sender]] = Sender

    def __init__(
        self,
        name: str,
        *,
        rng: "Random",
        config: NativeConfig | None = None,
        role: Role = Role.DIALLING,
        generation_floor: int = 0,
        epoch: int = 0,
    ) -> None:
        """Make a link that has no connection yet.

        Args:
            name: who we are as a sender; at most 128 characters.
            rng: draws the epoch and the memory token.
            config: limits and waits.
            role: which half of the handshake to play.
            generation_floor: accepting only: no lower than any generation given before (see `NativeAcceptor`).
            epoch: the incarnation of an outbox that outlives the link; 0 to begin a new one.

        Raises:
            msgspec.ValidationError: when a number of the configuration is out of range.
        """
        self._config = checked(config if config is not None else NativeConfig())
        self._name = name
        self._role = role
        self._events: deque[Event] = deque()
        self.counters = LinkCounters()
        """Plain integers for the metrics."""
        longest_s = self._config.ack_timeout_seconds
        self._round_trip = RoundTrip(min(MIN_ACK_TIMEOUT_S, longest_s), longest_s)
        self._receiver = Receiver(self._config.recv_window, rng, self.counters, self._events.append)
        self._claims = Claims(generation_floor)
        self.epoch = epoch or draw_token(rng)
        """The incarnation of this link's outbox."""
        self._sender = self.sender_class(
            self._config, self._round_trip, self.counters, self._events.append, epoch=self.epoch
        )
        self.peer = ""
        """The peer's name, once it has said it."""
        self.spread_s = 0.0
        """Over how many seconds all who dial one acceptor should spread, should they lose it together; the accepting
        side says it in its welcome."""
        self._generation = 0
        self._peer_memory = 0
        self._peer_epoch = 0
        self._state = State.IDLE
        self._parser = FrameParser()
        self._control: list[bytes] = []
        self._own_half = b""
        self._peer_half = b""
        self._began_at = 0.0
        self._hello_again_at = math.inf
        self._hellos = 0
        self._keepalive = Keepalive(self._config)
        self._traits = WireTraits(
            name="native",
            barrier=Barrier.ACK,
            move=MoveKind.WARM,
            acknowledges=True,
            recognises_resends=True,
            max_payload=self._config.max_frame_bytes - HEADER_SIZE,
            turn_bytes=self._config.turn_bytes_max,
        )

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
        return self._traits

    @property
    def state(self) -> State:
        """Where the link stands with its present connection."""
        return self._state

    @property
    def generation(self) -> int:
        """The number of the latest claimant: as we were given it (dialling) or gave it (accepting)."""
        return self._generation if self._role is Role.DIALLING else self._claims.generation

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
    def idle(self) -> bool:
        """Whether the link could be forgotten without anyone noticing at once: no connection, no message."""
        sender = self._sender
        return self._state is State.IDLE and self._receiver.idle and not (sender.in_flight or sender.queued)

    # The application's side

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept a message and return it; it will end once, in a `Delivered` or a `Settled` event, by `deadline`.

        Raises:
            QueueFull: when the send queue is at its limit.
            MessageTooLarge: when the wire can't carry it.
            UsageError: when there is no such channel.
        """
        if channel:
            raise UsageError(f"there is no channel {channel}; there is 0")
        return self._sender.send(payload, now, deadline)

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message early; it still ends exactly once. A no-op when it has ended."""
        self._sender.cancel(message, now)

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended: first what was written, then what was not, each oldest first."""
        return self._sender.unsettled()

    def withdraw(self, *, now: float) -> Withdrawal:  # noqa: ARG002  # The protocol passes the time to every call.
        """Take back everything unsettled, without an event.

        What was written is skipped at the receiver: a late copy is never handed to its application, unless it was
        accepted before.
        """
        return self._sender.withdraw()

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:  # noqa: ARG002  # As above.
        """Say that the application has processed received messages: `count` of them, from this token on."""
        self._receiver.done(token, count)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:  # noqa: ARG002  # As above.
        """Say that the application will not process a received message, and why (a `RefusalCode` in lower case).

        Raises:
            UsageError: when there is no such code.
        """
        self._receiver.refuse(token, RefusalCode.parse(code))

    def close(self, text: str, *, now: float) -> None:
        """End the connection in words; the peer may dial again."""
        if self._state not in (State.IDLE, State.ENDED):
            self._drop(text, "us", now, code=AwayCode.SHUTDOWN)

    # The connection's side

    def connection_made(self, *, now: float) -> None:
        """Start on a fresh connection; whatever was half-read on the last one is forgotten."""
        if self._state is not State.IDLE:
            self.connection_lost(now=now)
        self._parser = FrameParser(min(HELLO_LIMIT, self._config.max_frame_bytes))
        self._began_at = now
        self._keepalive.start(now)
        self._peer_half = b""
        if self._role is Role.ACCEPTING:
            self._to(Step.ACCEPTED)
            return
        self._to(Step.DIALLED)
        hello = Hello(
            name=self._name,
            epoch=self.epoch,
            generation=self._generation,
            settled_through=self._sender.settled_through,
            memory=self._receiver.token,
            remembers_epoch=self._receiver.epoch,
            received_through=self._receiver.accepted,
            window=self._config.recv_window,
        )
        self._own_half = encode_frame(FrameType.HELLO, payload=encode_body(hello))
        self._hellos = 0
        self._say_hello(now)

    def connection_lost(self, *, now: float) -> None:  # noqa: ARG002  # As above.
        """Note that the connection is gone; nothing is settled by this alone."""
        if self._state is not State.IDLE:
            self._sender.connection_lost()
            self._control.clear()
            self._to(Step.LOST)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere; what breaks the protocol ends the connection, never raises."""
        if self._state is State.IDLE or self._state is State.ENDED:
            return
        sender, receiver, keepalive = self._sender, self._receiver, self._keepalive
        try:
            for kind, channel, sequence, ack, payload in self._parser.feed(data):
                # Whole frames are signs of life, bytes are not: behind a damaged length, all bytes look like payload.
                keepalive.heard_at = now
                _check_channel(channel)
                if self._state is State.OPEN and kind in (_BATCH, _DATA):
                    sender.take_ack(ack, now)
                    receiver.accept(sequence, decode_batch(payload) if kind == _BATCH else [payload])
                    continue
                if not self._take(FrameType(kind), sequence, ack, payload, now):
                    return
        except (FrameDamaged, Gap) as fault:
            if isinstance(fault, FrameDamaged):
                self.counters.decode_errors += 1
            self._drop(str(fault), "network", now, code=AwayCode.RESUME)
        except PeerViolation as violation:
            self.counters.decode_errors += 1
            self._drop(str(violation), "peer", now, code=AwayCode.VIOLATION)

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, about `turn_bytes_max` of what should go to the peer now; call until it is empty."""
        parts, self._control = self._control, []
        if self._state in FLOWING:
            receiver, sender = self._receiver, self._sender
            if receiver.ack_due:
                if receiver.needs_statement() or not sender.has_more:
                    parts.append(receiver.statement())
                receiver.ack_due = False
            if sender.has_more:
                sender.write(parts, receiver.ack_anywhere(), self._config.turn_bytes_max, now)
        return b"".join(parts)

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        deadline = self._sender.next_deadline()
        if self._state in FLOWING:
            return min(deadline, self._keepalive.ask_at, self._keepalive.give_up_at)
        if self._state in (State.GREETING, State.LISTENING):
            return min(deadline, self._hello_again_at, self._began_at + self._config.handshake_timeout_s)
        return deadline

    def handle_timer(self, *, now: float) -> None:
        """Do what has come due; a no-op when nothing has."""
        ask = self._sender.handle_timer(now)
        if self._state in FLOWING:
            if now >= self._keepalive.give_up_at:
                self._drop(f"the peer was silent for {self._config.idle_timeout_s:g} s", "network", now)
            elif ask or now >= self._keepalive.ask_at:
                self.counters.heartbeats += 1
                self._control.append(self._plain_frame(FrameType.PING, self._keepalive.ask(now)))
        elif self._state in (State.GREETING, State.LISTENING):
            if now >= self._began_at + self._config.handshake_timeout_s:
                self._drop("the peer did not complete the handshake", "network", now)
            elif now >= self._hello_again_at:
                self._say_hello(now)

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        return self._events.popleft() if self._events else None

    def refusal(self, hello: Hello) -> GoAway | None:
        """Return why this hello can't be admitted, or None; changes nothing."""
        if common_version(hello) is None:
            text = f"we speak versions {VERSION_MIN} to {VERSION_MAX}, not {hello.version_min} to {hello.version_max}"
            return GoAway(AwayCode.VERSION, text)
        if self._claims.refuses(hello.epoch, hello.generation):
            return GoAway(AwayCode.STALE_GENERATION, f"stale generation: a newer process is {hello.name}")
        return None

    # Within

    def _to(self, step: Step) -> None:
        """Take a step; the only place that assigns the state."""
        self._state = NEXT[self._state, step]
        if self._state is not State.GREETING:
            self._hello_again_at = math.inf

    def _drop(self, reason: str, culprit: str, now: float, *, code: AwayCode | None = None) -> None:
        self._end(Dropped(reason, culprit, final=False), now)
        self._control = [go_away_frame(code, reason)] if code is not None else []

    def _end(self, dropped: Dropped, now: float) -> None:
        self._to(Step.DROPPED)
        self._sender.connection_lost()
        self._control = []
        if dropped.final:
            self._sender.end_all(dropped.reason, now)
        self._events.append(dropped)

    def _say_hello(self, now: float) -> None:
        """Say hello, again and the same while no answer comes: a frame may be lost and the connection live."""
        if self._hellos:
            self._round_trip.backoff()
        self._hellos += 1
        self._control.append(self._own_half)
        self._hello_again_at = now + self._round_trip.timeout_s

    def _plain_frame(self, kind: FrameType, number: int) -> bytes:
        return encode_frame(kind, number, self._receiver.ack_anywhere())

    def _take(self, kind: FrameType, sequence: int, ack: int, payload: bytes, now: float) -> bool:
        """Take any frame but the data frame of an open link; false when the connection is to end."""
        if kind not in ALLOWED_FRAMES[self._state]:
            if self._state is State.GREETING and kind in NUMBERED:
                raise Gap(f"{kind.name} before the welcome")
            if self._state is State.GREETING and kind is not FrameType.HELLO:
                # The welcome before it was lost and will come again; so will what this said.
                return True
            raise PeerViolation(f"{kind.name} while {self._state.value}")
        if kind is FrameType.HELLO:
            self._take_hello(payload, now)
        elif kind is FrameType.WELCOME:
            self._take_welcome(payload, now)
        elif kind is FrameType.GO_AWAY:
            self._take_go_away(decode_body(payload, GoAway), now)
        else:
            if self._state is State.WELCOMED:
                self._claims.confirm()
                self._to(Step.CONFIRMED)
            self._take_traffic(kind, sequence, ack, payload, now)
        return self._state is not State.ENDED

    def _take_traffic(self, kind: FrameType, sequence: int, ack: int, payload: bytes, now: float) -> None:
        if kind is FrameType.ACK:
            self.counters.acks_received += 1
            received, exceptions = decode_ack(payload)
            self._sender.take_statement(ack, received, exceptions, now)
            return
        self._sender.take_ack(ack, now)
        if kind is FrameType.DATA:
            self._receiver.accept(sequence, [payload])
        elif kind is FrameType.BATCH:
            self._receiver.accept(sequence, decode_batch(payload))
        elif kind is FrameType.SKIP:
            self._receiver.skip(sequence, decode_skip(sequence, payload))
        elif kind is FrameType.PING:
            self._control.append(self._plain_frame(FrameType.PONG, sequence))
            # Whoever asks may have lost our last statement.
            self._receiver.ack_due = True
        else:
            self._keepalive.answered(sequence, self._round_trip, now)

    def _take_hello(self, payload: bytes, now: float) -> None:
        if self._state is not State.LISTENING:
            if self._role is not Role.ACCEPTING or payload != self._peer_half:
                raise PeerViolation("another hello on the same connection", payload)
            if self._state is State.WELCOMED:
                self._control.append(self._own_half)
            return
        hello = decode_body(payload, Hello)
        refusal = self.refusal(hello)
        if refusal is not None:
            self._drop(refusal.text, "peer", now, code=AwayCode(refusal.code))
            return
        self.peer = hello.name
        self._peer_half = payload
        # A memory that has never heard of us has received nothing: our last welcome was lost, no more.
        remembered = hello.memory == self._peer_memory and hello.remembers_epoch in (0, self.epoch)
        first = self._peer_memory == 0
        if not (remembered or first):
            self._sender.forgotten(now)
        self._peer_memory = hello.memory
        base = self._sender.settled_through
        resume_at = hello.received_through if remembered and hello.remembers_epoch else base
        kept = self._receiver.remember(hello.epoch, hello.settled_through, renew_token=True)
        welcome = Welcome(
            version=common_version(hello) or VERSION_MAX,
            name=self._name,
            epoch=self.epoch,
            generation=self._claims.claim(hello.epoch, hello.generation),
            settled_through=base,
            memory=self._receiver.token,
            received_through=self._receiver.accepted,
            window=self._config.recv_window,
            spread_ms=math.ceil(self.spread_s * 1000),
        )
        self._own_half = encode_frame(FrameType.WELCOME, payload=encode_body(welcome))
        self._control += (self._own_half, self._receiver.statement())
        self._to(Step.HELLO_TAKEN)
        self._open(resume_at, hello.window, now, resumed=remembered and kept)

    def _take_welcome(self, payload: bytes, now: float) -> None:
        if self._state is not State.GREETING:
            if self._role is not Role.DIALLING or payload != self._peer_half:
                raise PeerViolation("another welcome on the same connection", payload)
            return
        welcome = decode_body(payload, Welcome)
        if not VERSION_MIN <= welcome.version <= VERSION_MAX:
            raise PeerViolation(f"welcomed in version {welcome.version}, which we did not offer")
        if self._hellos == 1:
            self._round_trip.sample(now - self._began_at)
        self.peer, self.spread_s = welcome.name, welcome.spread_ms / 1000
        self._peer_half = payload
        self._generation = welcome.generation
        first = self._peer_memory == 0
        remembered = welcome.memory == self._peer_memory
        if not (remembered or first):
            self._sender.forgotten(now)
        self._peer_memory = welcome.memory
        kept = self._receiver.remember(welcome.epoch, welcome.settled_through, renew_token=False)
        self._to(Step.WELCOME_TAKEN)
        self._control.append(self._receiver.statement())
        resume_at = welcome.received_through if remembered or first else self._sender.settled_through
        self._open(resume_at, welcome.window, now, resumed=remembered and kept)

    def _open(self, resume_at: int, window: int, now: float, *, resumed: bool) -> None:
        self._parser.limit = self._config.max_frame_bytes
        self._sender.resume(resume_at, window, now=now)
        self._events.append(Opened(self.peer, resumed))

    def _take_go_away(self, farewell: GoAway, now: float) -> None:
        reason = f"the peer ended the connection: {farewell.text}"
        culprit, final = CULPRITS.get(farewell.code, "peer"), farewell.code in FINAL_CODES
        everyone = farewell.code == AwayCode.SHUTDOWN
        self._end(Dropped(reason, culprit, final, everyone, farewell.retry_after_ms / 1000), now)


def _check_channel(channel: int) -> None:
    if channel:
        raise PeerViolation(f"a frame on channel {channel}; there is 0")
