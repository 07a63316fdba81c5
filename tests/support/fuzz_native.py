"""Fuzz targets for the native wire: its frames, its bodies, its handshake, and whole links under a hostile peer.

Checksums keep a fuzzer out, so one target writes them itself: its input is a list of frames without checksums, five
bytes of header each, which reach a link as a peer's who knows the protocol and breaks it on purpose.
"""

import contextlib
from collections.abc import Iterator
from random import Random

from agt.transport import Delivered, PeerViolation, Received
from agt.transport._sniffing import RECOGNISERS, SNIFF_LIMIT, Sniffer
from agt.transport.wires.native import (
    FrameParser,
    FrameType,
    Greeting,
    NativeConfig,
    NativeLink,
    Refused,
    Role,
    encode_frame,
)
from agt.transport.wires.native._frames import BATCH_TAKEN_MAX, HELLO_LIMIT, FrameDamaged, decode_batch
from agt.transport.wires.native._handshake import Drain, GoAway, Hello, Welcome, decode_body, encode_body
from agt.transport.wires.native._statement import decode_ack, decode_skip
from support.fuzz_support import Target, drain, pieces

LIMIT = 4096
"""Frame limit of the parsers under attack."""
WINDOW = 8
CONFIG = NativeConfig(recv_window=WINDOW, in_flight_max=WINDOW, send_queue_max=WINDOW, max_frame_bytes=LIMIT)
WRITTEN_PER_PART = 2048
"""A window of small messages, an ACK with all its exceptions and a farewell fit in this."""
MESSAGES = [b"one", b"two", b"three"]

Frames = list[tuple[int, int, int, int, bytes]]


def native_frames(data: bytes) -> None:
    """The same frames come out however the stream is cut, and the parser holds no more than one."""
    whole = frames_of([data])
    assert frames_of(pieces(data)) == whole
    for kind, channel, sequence, ack, payload in whole[0]:
        again = encode_frame(kind, sequence, ack, payload, channel=channel)
        assert frames_of([again]) == ([(kind, channel, sequence, ack, payload)], "")


def frames_of(parts: list[bytes]) -> tuple[Frames, str]:
    """Parse parts up to the first error; frames, and the name of the error."""
    parser = FrameParser(LIMIT)
    frames: Frames = []
    for part in parts:
        try:
            for frame in parser.feed(part):
                frames.append(frame)  # What came before the error counts.
        except (FrameDamaged, PeerViolation) as error:
            return frames, type(error).__name__
        assert parser.held <= LIMIT + len(part)
    return frames, ""


def native_bodies(data: bytes) -> None:
    """A payload is read or refused as a violation; what was read can be written and read again."""
    for form in (Hello, Welcome, GoAway, Drain):
        with contextlib.suppress(PeerViolation):
            body = decode_body(data, form)
            assert decode_body(encode_body(body), form) == body
    with contextlib.suppress(PeerViolation):
        bodies, lengths = decode_batch(data)
        assert list(map(len, bodies)) == list(lengths)
        assert 0 < len(bodies) <= BATCH_TAKEN_MAX
        assert b"".join(bodies) == data[len(data) - sum(map(len, bodies)) :]
    with contextlib.suppress(PeerViolation):
        received, window, window_bytes, exceptions = decode_ack(data)
        assert min(received, window, window_bytes) >= 0
        assert all(min(run) >= 0 for run in exceptions)
    with contextlib.suppress(PeerViolation):
        assert decode_skip(1, data) >= 1


def native_greeting(data: bytes) -> None:
    """A caller is heard out for one small frame at most, and refused in one small frame."""
    greeting = Greeting(deadline=5.0)
    heard = 0
    with contextlib.suppress(Refused):
        for part in pieces(data):
            if greeting.receive_data(part) is not None:
                break
            heard += len(part)
            assert heard < HELLO_LIMIT, "an unfinished hello is below its limit"


def sniffing(data: bytes) -> None:
    """What was told from a few bytes isn't taken back for more of them, and it is told in time."""
    sniffer = Sniffer(RECOGNISERS)
    told: str | None = None
    for size in range(min(len(data), SNIFF_LIMIT) + 1):
        verdict = sniffer.verdict(data[:size])
        assert told is None or verdict == told
        told = verdict
    assert told is not None or len(data) < SNIFF_LIMIT


def forged(data: bytes) -> Iterator[bytes]:
    """Make frames, checksums and all, of five bytes of header each: type, channel, sequence, ack, payload length."""
    at = 0
    while at + 5 <= len(data):
        kind, channel, sequence, ack, length = data[at : at + 5]
        body = data[at + 5 : at + 5 + length]
        wide = (1 << 64) - 1
        yield encode_frame(
            kind, wide if sequence == 255 else sequence, wide if ack == 255 else ack, body, channel=channel % 3
        )
        at += 5 + length


def pair() -> tuple[NativeLink, NativeLink]:
    """Return a dialling and an accepting link that have met."""
    links = (
        NativeLink("device", rng=Random(1), config=CONFIG),
        NativeLink("gateway", rng=Random(2), config=CONFIG, role=Role.ACCEPTING),
    )
    converse(*links)
    return links


def converse(one: NativeLink, other: NativeLink, now: float = 0.0) -> tuple[list[bytes], list[bytes]]:
    """Connect two links and let them talk until they are silent; what `one` delivered, and what `other` received."""
    delivered: list[bytes] = []
    received: list[bytes] = []
    for link in (one, other):
        link.connection_made(now=now)
    while True:
        talked = False
        for link, peer in ((one, other), (other, one)):
            while (event := link.next_event()) is not None:
                if isinstance(event, Received):
                    link.acknowledge(event.token, now=now, count=len(event.payloads))
                    received += event.payloads
                elif isinstance(event, Delivered):
                    delivered += [b"" for _ in event.messages]
            data = link.data_to_send(now=now)
            if data:
                talked = True
                peer.receive_data(data, now=now)
        if not talked:
            return delivered, received


def native_link(data: bytes) -> None:
    """A peer that forges frames costs a bounded amount, and at most the connection."""
    for victim in pair():
        for message in MESSAGES:
            victim.send(message, now=0.0, deadline=9.0)
        written = sum(len(part) for part in drain(victim, 0.0))
        parts = [victim_part for frame in forged(data) for victim_part in pieces(frame)]
        for part in parts:
            victim.receive_data(part, now=0.1)
            written += sum(len(answer) for answer in drain(victim, 0.1))
            assert 0 <= victim.in_flight <= WINDOW
            assert 0 <= victim.queued <= WINDOW
        assert written <= WRITTEN_PER_PART * (len(parts) + 1)
        victim.handle_timer(now=10.0)
        list(drain(victim, 10.0))
        assert victim.in_flight == victim.queued == 0, "every send ends by its deadline, whatever the peer says"


def native_noise(data: bytes) -> None:
    """Noise instead of the peer's bytes loses and repeats nothing: the next connection delivers each message once."""
    if frames_of([data])[0]:
        return  # Not noise but a frame, which may say anything.
    for dialler_suffers in (True, False):
        dialler, acceptor = pair()
        victim, peer = (dialler, acceptor) if dialler_suffers else (acceptor, dialler)
        for message in MESSAGES:
            victim.send(message, now=0.0, deadline=9.0)
        for part in pieces(data):
            victim.receive_data(part, now=0.1)
            list(drain(victim, 0.1))
        for link in (victim, peer):
            link.connection_lost(now=0.2)
            list(drain(link, 0.2))
        _, received = converse(victim, peer, now=0.3)
        assert received == MESSAGES
        assert victim.in_flight == 0


FRAME_TOKENS = (
    *(bytes((kind, 0, 1, 0, 0)) for kind in map(int, FrameType)),
    b"\x03\x00\x01\x00\x03one",
    b"\x04\x00\x00\x03\x08" + (3).to_bytes(8),
    b"\x05\x00\x01\x00\x08" + (5).to_bytes(8),
    b"\x09\x00\x01\x00\x0e" + (2).to_bytes(4) + (1).to_bytes(4) * 2 + b"ab",
)

TARGETS = (
    Target("native_frames", native_frames, (b"\x00\x00\x00\x05", b"\xff\xff\xff\xff", bytes(8))),
    Target("native_bodies", native_bodies, (b"\x9b", b"\x99", b"\x92", (3).to_bytes(8), (2).to_bytes(4), b"\xa4")),
    Target("native_greeting", native_greeting, (b"\x00\x00\x00\x05", bytes(8), b"\x01\x00\x00\x00")),
    Target("native_link", native_link, FRAME_TOKENS),
    Target("native_noise", native_noise, (b"\x00\x00\x00\x05", b"\xff\xff\xff\xff", bytes(28))),
    Target("sniffing", sniffing, (b"hello ", b"\x16\x03\x01", b"\x23\x00\x00\x00\x1a", bytes(4), b"\x01\x00")),
)
