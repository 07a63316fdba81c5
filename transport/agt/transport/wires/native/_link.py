"""One peer over the native wire: the handshake, the frames of each turn, and when to give a connection up.

The link joins the channels (`Lanes`), each a `Sender` and a `Receiver` that know nothing of each other, and carries
their words. It outlives its
connections: `connection_made` starts the handshake anew, and what both sides say there (`_handshake`) decides whether
either has forgotten the other. Whatever a connection does wrong costs that connection and nothing else: a gap or
damage is the network's fault and is answered by dialling again, nonsense is the peer's.

Everything of one turn leaves as one join: control frames, at most one ACK, then skips, resends and new messages. An
ACK goes out alone only when no data frame can carry it (see `Receiver.ack_anywhere`).
"""

import math
from collections.abc import Sequence
from typing import Final

from agt.transport._errors import PeerViolation
from agt.transport._events import Dropped, Event, Opened
from agt.transport.wires.native._draining import Draining
from agt.transport.wires.native._frames import (
    HELLO_LIMIT,
    FrameDamaged,
    FrameParser,
    FrameType,
    decode_batch,
    encode_frame,
)
from agt.transport.wires.native._front import LinkFront
from agt.transport.wires.native._handshake import (
    CULPRITS,
    DURABLE,
    FINAL_CODES,
    VERSION_MAX,
    VERSION_MIN,
    AwayCode,
    Drain,
    GoAway,
    Hello,
    Welcome,
    common_version,
    decode_body,
    drain_frame,
    encode_body,
    go_away_frame,
)
from agt.transport.wires.native._receiver import Gap
from agt.transport.wires.native._sender import Limits
from agt.transport.wires.native._statement import decode_ack, decode_skip
from agt.transport.wires.native._states import ALLOWED_FRAMES, FLOWING, NEXT, NUMBERED, Role, State, Step

_ACK: Final = int(FrameType.ACK)
_BATCH: Final = int(FrameType.BATCH)
_FREQUENT: Final = (int(FrameType.DATA), _BATCH, _ACK)
_DEAF: Final = (State.IDLE, State.ENDED)
_OPEN: Final = State.OPEN  # Looked up for each frame, and an enumeration's members are slow to look up.

ANSWERS_MAX: Final = 64
"""Answers (pongs, welcomes that are asked for again) that may wait for a peer which takes none; more end the
connection."""


class NativeLink(LinkFront):
    """Reliable messages to and from one peer; a `Link`."""

    def drain(self, text: str, *, within_s: float, now: float) -> None:
        """Shut the connection down in order: nothing new goes out, what is in flight is answered, then it ends.

        It ends after `within_s` at the latest, as `Dropped`; what is still queued waits for another connection. A
        no-op where there is no open connection.
        """
        if self._flowing:
            self._lanes.drain()
            self._drain.begin(text, now + within_s)
            self._control.append(drain_frame(within_s, text))
            self._set_own_deadline()

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
        self._drain = Draining()
        if self._role is Role.ACCEPTING:
            self._to(Step.ACCEPTED)
            return
        self._to(Step.DIALLED)
        hello = Hello(
            features=self.features,
            name=self._name,
            epoch=self.epoch,
            generation=self._generation,
            settled_through=self._lanes.settled_through(),
            memory=self._lanes.token,
            remembers_epoch=self._lanes.peer_epoch,
            received_through=self._lanes.received_through(),
            window=self._config.recv_window,
            window_bytes=self._config.recv_window_bytes,
            frame_max=self._config.max_frame_bytes,
            channels=self._config.channels,
        )
        self._own_half = encode_frame(FrameType.HELLO, payload=encode_body(hello))
        self._hellos = 0
        self._say_hello(now)

    def connection_lost(self, *, now: float) -> None:  # noqa: ARG002  # As above.
        """Note that the connection is gone; nothing is settled by this alone."""
        if self._state is not State.IDLE:
            self._lanes.connection_lost()
            if self._gauge is not None:
                self._gauge.connection_lost()
            self._control.clear()
            self._to(Step.LOST)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere; what breaks the protocol ends the connection, never raises."""
        if self._state in _DEAF:
            return
        keepalive = self._keepalive
        try:
            for kind, channel, sequence, ack, payload in self._parser.feed(data):
                # Whole frames are signs of life, bytes are not: behind a damaged length, all bytes look like payload.
                keepalive.heard_at = now
                if self._state is _OPEN and kind in _FREQUENT:
                    self._take_frequent(kind, channel, sequence, ack, payload, now)
                elif not self._take(FrameType(kind), channel, sequence, ack, payload, now):
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
        if self._flowing:
            if self._gauge is not None and self._gauge.open:
                self._write_probe(parts, now)
            else:
                self._lanes.write(parts, now)
            if self._drain.closing and self._drain.over(self._lanes):
                self._drop(self._drain.text, "us", now, code=AwayCode.SHUTDOWN)
                parts += self._control
                self._control = []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        deadline = self._own_deadline
        for sender in self._lanes.senders:
            deadline = min(deadline, sender.due_at)
        return deadline

    def handle_timer(self, *, now: float) -> None:
        """Do what has come due; a no-op when nothing has."""
        ask = self._lanes.handle_timer(now)
        if ask or now >= self._own_deadline:
            self._handle_own_timer(now, ask=ask)
        self._set_own_deadline()

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        return self._events.pop(0) if self._events else None

    def refusal(self, hello: Hello, *, now: float) -> GoAway | None:
        """Return why this hello can't be admitted, or None; changes nothing."""
        if common_version(hello) is None:
            text = f"we speak versions {VERSION_MIN} to {VERSION_MAX}, not {hello.version_min} to {hello.version_max}"
            return GoAway(AwayCode.VERSION, text)
        if self._claims.refuses(hello.epoch, hello.generation):
            return GoAway(AwayCode.STALE_GENERATION, f"stale generation: a newer process is {hello.name}")
        if wait_s := self._claims.wait_s(hello.epoch, hello.generation, now):
            text = f"busy: a newer process of {hello.name} is being let in"
            return GoAway(AwayCode.BUSY, text, math.ceil(wait_s * 1000))
        return None

    # Within

    def _to(self, step: Step) -> None:
        """Take a step; the only place that assigns the state."""
        self._state = NEXT[self._state, step]
        self._flowing = self._state in FLOWING
        if self._state is not State.GREETING:
            self._hello_again_at = math.inf
        self._set_own_deadline()

    def _set_own_deadline(self) -> None:
        """Note when there is something to do that is not a message's; a little early does no harm."""
        if self._flowing:
            self._own_deadline = min(self._keepalive.due_at, self._drain.by)
        elif self._state in (State.GREETING, State.LISTENING):
            self._own_deadline = min(self._hello_again_at, self._began_at + self._config.handshake_timeout_s)
        else:
            self._own_deadline = math.inf

    def _handle_own_timer(self, now: float, *, ask: bool) -> None:
        if self._flowing:
            if now >= self._drain.by:
                self._drop(f"{self._drain.text}, with messages unanswered", "us", now, code=AwayCode.SHUTDOWN)
            elif now >= self._keepalive.give_up_at:
                self._drop(f"the peer was silent for {self._config.idle_timeout_s:g} s", "network", now)
            elif ask or now >= self._keepalive.ask_at:
                self.counters.heartbeats += 1
                self._control.append(encode_frame(FrameType.PING, self._keepalive.ask(now)))
        elif self._state in (State.GREETING, State.LISTENING):
            if now >= self._began_at + self._config.handshake_timeout_s:
                self._drop("the peer did not complete the handshake", "network", now)
            elif now >= self._hello_again_at:
                self._say_hello(now)

    def _drop(self, reason: str, culprit: str, now: float, *, code: AwayCode | None = None) -> None:
        self._end(Dropped(reason, culprit, final=False), now)
        self._control = [go_away_frame(code, reason)] if code is not None else []

    def _end(self, dropped: Dropped, now: float) -> None:
        self._to(Step.DROPPED)
        self._lanes.connection_lost()
        self._control = []
        if dropped.final:
            self._lanes.end_all(dropped.reason, now)
        self._events.append(dropped)

    def _say_hello(self, now: float) -> None:
        """Say hello, again and the same while no answer comes: a frame may be lost and the connection live."""
        if self._hellos:
            self._round_trip.backoff()
        self._hellos += 1
        self._control.append(self._own_half)
        self._hello_again_at = now + self._round_trip.timeout_s
        self._set_own_deadline()

    def _take_frequent(self, kind: int, channel: int, sequence: int, ack: int, payload: bytes, now: float) -> None:
        """Take what messages and their answers come in."""
        lanes = self._lanes
        if channel >= lanes.used:
            raise PeerViolation(f"a frame on channel {channel}; there are {lanes.used}, from 0")
        if kind == _ACK:
            lanes.senders[channel].take_statement(ack, decode_ack(payload), now)
            return
        if ack:
            lanes.senders[channel].take_ack(ack, now)
        if kind == _BATCH:
            payloads, lengths = decode_batch(payload)
            lanes.receivers[channel].accept(sequence, payloads, lengths)
        else:
            lanes.receivers[channel].accept(sequence, [payload], (len(payload),))

    def _take(self, kind: FrameType, channel: int, sequence: int, ack: int, payload: bytes, now: float) -> bool:
        """Take any frame but the frequent ones of an open link; false when the connection is to end."""
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
            self._take_traffic(kind, channel, sequence, ack, payload, now)
        return self._state is not State.ENDED

    def _answer(self, frame: bytes) -> None:
        """Say something that the peer asked for; it has to take the answers, for they are kept until it does."""
        if len(self._control) >= ANSWERS_MAX:
            raise PeerViolation(f"it asks on and does not take the answers: {ANSWERS_MAX} of them wait")
        self._control.append(frame)

    def _take_traffic(self, kind: FrameType, channel: int, sequence: int, ack: int, payload: bytes, now: float) -> None:
        if kind in _FREQUENT:
            self._take_frequent(kind, channel, sequence, ack, payload, now)
        elif kind is FrameType.SKIP:
            self._lanes.check(channel)
            self._lanes.senders[channel].take_ack(ack, now)
            self._lanes.receivers[channel].skip(sequence, decode_skip(sequence, payload))
        elif kind is FrameType.PING:
            self._answer(encode_frame(FrameType.PONG, sequence))
            # Whoever asks may have lost our last statement.
            self._lanes.ask_for_statements()
        elif kind is FrameType.PONG:
            self._keepalive.answered(sequence, self._round_trip, now)
        elif kind is FrameType.DRAIN:
            self._take_drain(decode_body(payload, Drain))
        elif answer := self._gauged().take(kind, sequence, payload, now):
            self._answer(answer)

    def _write_probe(self, parts: list[bytes], now: float) -> None:
        """Write messages as ever, and a probe's bytes behind them if there were none."""
        assert self._gauge is not None, "asked for while a probe goes on"
        before = len(parts)
        self._lanes.write(parts, now)
        traffic = len(parts) > before or bool(self._lanes.queued) or self._drain.on
        self._gauge.write(parts, self._config.turn_bytes_max, now, traffic=traffic)

    def _take_drain(self, drain: Drain) -> None:
        """The peer shuts down, or answers that it has stopped: everything that it wrote on this connection is here."""
        self._lanes.drain()
        if not self._drain.on:
            self._control.append(drain_frame(drain.within_ms / 1000, drain.text))
        self._drain.peer_stopped()

    def _take_hello(self, payload: bytes, now: float) -> None:
        if self._state is not State.LISTENING:
            if self._role is not Role.ACCEPTING or payload != self._peer_half:
                raise PeerViolation("another hello on the same connection", payload)
            if self._state is State.WELCOMED:
                self._answer(self._own_half)
            return
        hello = decode_body(payload, Hello)
        refusal = self.refusal(hello, now=now)
        if refusal is not None:
            self._drop(refusal.text, "peer", now)
            self._control.append(encode_frame(FrameType.GO_AWAY, payload=encode_body(refusal)))
            return
        self.peer, self._peer_features = hello.name, hello.features
        self._peer_half = payload
        # A memory that has never heard of us has received nothing: our last welcome was lost, no more.
        remembered = hello.memory == self._peer_memory and hello.remembers_epoch in (0, self.epoch)
        first = self._peer_memory == 0
        if not (remembered or first):
            self._lanes.forgotten(now)
        self._peer_memory = hello.memory
        resume_at = hello.received_through if remembered and hello.remembers_epoch else None
        kept = self._lanes.remember(hello.epoch, hello.settled_through, renew_token=True)
        welcome = Welcome(
            version=common_version(hello) or VERSION_MAX,
            name=self._name,
            epoch=self.epoch,
            generation=self._claims.claim(hello.epoch, hello.generation, now),
            settled_through=self._lanes.settled_through(),
            memory=self._lanes.token,
            received_through=self._lanes.received_through(),
            window=self._config.recv_window,
            window_bytes=self._config.recv_window_bytes,
            frame_max=self._config.max_frame_bytes,
            channels=self._config.channels,
            features=self.features & (hello.features | DURABLE),  # What both can, and what this side is.
            spread_ms=math.ceil(self.spread_s * 1000),
        )
        self._own_half = encode_frame(FrameType.WELCOME, payload=encode_body(welcome))
        self._control.append(self._own_half)
        self._to(Step.HELLO_TAKEN)
        self._open(resume_at, hello, now, resumed=remembered and kept)

    def _take_welcome(self, payload: bytes, now: float) -> None:
        if self._state is not State.GREETING:
            if self._role is not Role.DIALLING or payload != self._peer_half:
                raise PeerViolation("another welcome on the same connection", payload)
            return
        welcome = decode_body(payload, Welcome)
        if not VERSION_MIN <= welcome.version <= VERSION_MAX:
            raise PeerViolation(f"welcomed in version {welcome.version}, which we did not offer")
        if self._hellos == 1:
            self._keepalive.measured(now - self._began_at, self._round_trip)
        self.peer, self.spread_s = welcome.name, welcome.spread_ms / 1000
        self._peer_half, self._peer_features = payload, welcome.features
        self._generation = welcome.generation
        first = self._peer_memory == 0
        remembered = welcome.memory == self._peer_memory
        if not (remembered or first):
            self._lanes.forgotten(now)
        self._peer_memory = welcome.memory
        kept = self._lanes.remember(welcome.epoch, welcome.settled_through, renew_token=False)
        self._to(Step.WELCOME_TAKEN)
        resume_at = welcome.received_through if remembered or first else None
        self._open(resume_at, welcome, now, resumed=remembered and kept)

    def _open(self, resume_at: Sequence[int] | None, peer: Hello | Welcome, now: float, *, resumed: bool) -> None:
        self._parser.limit = self._config.max_frame_bytes
        self._peer_frame_max = peer.frame_max
        self._lanes.resume(resume_at, peer.channels, Limits(peer.window, peer.window_bytes, peer.frame_max), now)
        self._control += self._lanes.statements()
        self._events.append(Opened(self.peer, resumed))

    def _take_go_away(self, farewell: GoAway, now: float) -> None:
        reason = f"the peer ended the connection: {farewell.text}"
        culprit, final = CULPRITS.get(farewell.code, "peer"), farewell.code in FINAL_CODES
        everyone = farewell.code == AwayCode.SHUTDOWN
        self._end(Dropped(reason, culprit, final, everyone, farewell.retry_after_ms / 1000), now)
