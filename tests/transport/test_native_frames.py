"""Frames of the native wire: golden bytes, round trips, and any bytes cut anywhere."""

import contextlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.transport import PeerViolation
from agt.transport.wires.native._frames import (
    HEADER_SIZE,
    HELLO_LIMIT,
    Frame,
    FrameDamaged,
    FrameParser,
    FrameType,
    append_messages,
    decode_batch,
    encode_frame,
)
from agt.transport.wires.native._handshake import (
    AwayCode,
    Drain,
    GoAway,
    Hello,
    Welcome,
    decode_body,
    drain_frame,
    encode_body,
    go_away_frame,
)
from agt.transport.wires.native._statement import (
    RUNS_MAX,
    ExceptionRun,
    decode_ack,
    decode_skip,
    encode_acks,
    encode_skip,
    runs_of,
)


def batch_frame(first: int, ack: int, payloads: list[bytes], *, channel: int = 0, limit: int = 1 << 16) -> bytes:
    """Encode messages as one frame."""
    parts: list[bytes] = []
    append_messages(parts, first, ack, payloads, channel, limit)
    return b"".join(parts)


def encoded(frame: Frame) -> bytes:
    """Encode what the parser gave."""
    kind, channel, sequence, ack, payload = frame
    return encode_frame(kind, sequence, ack, payload, channel=channel)


HELLO = Hello(
    name="device-1",
    epoch=7,
    generation=0,
    settled_through=(0,),
    memory=9,
    remembers_epoch=0,
    received_through=(0,),
    window=1024,
)
WELCOME = Welcome(
    name="gateway", epoch=8, generation=1, settled_through=(0,), memory=10, received_through=(0,), window=64
)
GOLDEN = {
    "data": (
        encode_frame(FrameType.DATA, 1, 0, b"hi"),
        "00000002e7c532b303000000 0000000000000001 0000000000000000 6869",
    ),
    "batch": (
        batch_frame(1, 0, [b"hi", b"", b"you"]),
        "00000015c8e2c7d009000000 0000000000000001 0000000000000000 000000030000000200000000000000036869796f75",
    ),
    "ack": (
        encode_acks(0, 5, (7, 64, 4096, [ExceptionRun(6, 1, 1)]))[0],
        "000000232590957504000000 0000000000000000 0000000000000005 "
        "0000000000000007000000400000100000000000000000060000000101000000000000",
    ),
    "skip": (encode_skip(4, 6, 2), "000000083e203c1405000000 0000000000000004 0000000000000002 0000000000000006"),
    "ping": (encode_frame(FrameType.PING, 9, 5), "00000000573f448c06000000 0000000000000009 0000000000000005"),
    "probe": (
        encode_frame(FrameType.PROBE, 3, payload=(34).to_bytes(4) + bytes(2)),
        "000000061df85b300b000000 0000000000000003 0000000000000000 000000220000",
    ),
    "probed": (
        encode_frame(FrameType.PROBED, 3, payload=(34).to_bytes(4) + (1500).to_bytes(4)),
        "000000089c2ecec70c000000 0000000000000003 0000000000000000 00000022000005dc",
    ),
    "hello": (
        encode_frame(FrameType.HELLO, payload=encode_body(HELLO)),
        "0000002303e54c1401000000 0000000000000000 0000000000000000 "
        "9e010100a86465766963652d310700910009009100cd0400ceffffffffce0010000001",
    ),
    "welcome": (
        encode_frame(FrameType.WELCOME, payload=encode_body(WELCOME)),
        "0000001f9b82c4b802000000 0000000000000000 0000000000000000 "
        "9d0100a767617465776179080191000a91004000ceffffffffce0010000001",
    ),
    "drain": (
        drain_frame(1.5, "restart"),
        "0000000c749b55e30a000000 0000000000000000 0000000000000000 92cd05dca772657374617274",
    ),
    "go away": (
        go_away_frame(AwayCode.STALE_GENERATION, "stale"),
        "000000099d0194f408000000 0000000000000000 0000000000000000 9305a57374616c6500",
    ),
}
NUMBERS = st.integers(0, 2**64 - 1)
FRAMES = st.tuples(
    st.sampled_from([int(kind) for kind in FrameType]),
    st.integers(0, 2**16 - 1),
    NUMBERS,
    NUMBERS,
    st.binary(max_size=200),
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize("name", GOLDEN)
def test_frames_keep_their_bytes(name: str) -> None:
    """Golden vectors: what is on the wire today is what older peers read."""
    frame, expected = GOLDEN[name]
    assert frame == bytes.fromhex(expected)


def test_the_specification_shows_the_same_golden_vectors() -> None:
    """What implementers read is what is tested here."""
    page = Path(__file__).parents[2] / "docs" / "architecture" / "protocol-specification.md"
    shown = page.read_text().split("### Golden vectors\n\n```\n")[1].split("\n```")[0]
    for line in shown.splitlines():
        name, frame = line[:11].strip(), line[11:]
        assert GOLDEN[name][0] == bytes.fromhex(frame), name
    assert len(shown.splitlines()) == len(GOLDEN)


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 2000), max_size=12))
def test_frames_come_back_however_they_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    """Encoding and parsing are inverse, at any cut of the stream."""
    parser = FrameParser()
    data = b"".join(encoded(frame) for frame in frames)
    assert [frame for piece in pieces(data, cuts) for frame in parser.feed(piece)] == frames
    assert parser.held == 0


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_end_in_words_and_bounded_memory(chunks: list[bytes]) -> None:
    """Nonsense is refused with an error of ours; nothing piles up behind a length that was only announced."""
    parser = FrameParser()
    with contextlib.suppress(PeerViolation, FrameDamaged):
        for chunk in chunks:
            list(parser.feed(chunk))
            assert parser.held <= HELLO_LIMIT + 300


@given(FRAMES, st.data())
def test_any_flipped_bit_is_noticed(frame: Frame, data: st.DataObject) -> None:
    """No single damaged bit gives a frame; a damaged length may leave the parser waiting, never believing."""
    damaged = bytearray(encoded(frame))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    parser = FrameParser()
    with contextlib.suppress(PeerViolation, FrameDamaged):
        assert list(parser.feed(bytes(damaged))) == []


def test_frames_before_a_damaged_one_are_given_out() -> None:
    """What arrived whole counts, even when the same chunk goes bad later."""
    parser = FrameParser()
    good, bad = encode_frame(FrameType.PING, 1), bytearray(encode_frame(FrameType.PING, 2))
    bad[-1] ^= 1
    frames = parser.feed(good + bytes(bad))
    assert next(frames)[2] == 1
    with pytest.raises(FrameDamaged):
        next(frames)


def test_a_frame_over_the_limit_is_refused_by_its_header() -> None:
    """The limit holds before a byte of the payload is kept, and can be raised between frames."""
    parser = FrameParser(limit=100)
    big = encode_frame(FrameType.DATA, 1, 0, bytes(100))
    with pytest.raises(PeerViolation, match="limit is 100"):
        list(parser.feed(big[:HEADER_SIZE]))
    parser = FrameParser(limit=100)
    parser.limit = 200
    assert len(list(parser.feed(big))) == 1


@pytest.mark.parametrize(("offset", "value"), [(8, 99), (9, 1)])
def test_unknown_types_and_reserved_bits_are_refused(offset: int, value: int) -> None:
    """An unknown type or a flag with a good checksum is the peer's violation."""
    from zlib import crc32  # noqa: PLC0415  # Only this test makes a checksum by hand.

    frame = bytearray(encode_frame(FrameType.PING, 1))
    frame[offset] = value
    frame[4:8] = crc32(bytes(frame[8:]), 0).to_bytes(4)
    with pytest.raises(PeerViolation):
        list(FrameParser().feed(bytes(frame)))


@given(NUMBERS, NUMBERS, st.dictionaries(st.integers(1, 900), st.integers(0, 6), max_size=700), st.integers(0, 15))
@settings(deadline=None)
def test_acknowledgements_come_back(processed: int, received: int, single: dict[int, int], channel: int) -> None:
    """They say what they were made of; cut into frames, none acknowledges past an exception that it doesn't name."""
    runs = runs_of((sequence, code, 0, 0) for sequence, code in sorted(single.items()))
    frames = encode_acks(channel, processed, (received, 9, 99, runs))
    assert len(frames) == max(1, -(-len(runs) // RUNS_MAX))
    told: dict[int, int] = {}
    for frame in frames:
        assert len(frame) <= 4096
        ((_, got_channel, _, ack, payload),) = FrameParser(4096).feed(frame)
        got, window, window_bytes, exceptions = decode_ack(payload)
        assert (got_channel, got, window, window_bytes) == (channel, received, 9, 99)
        told |= {run.first + place: run.code for run in exceptions for place in range(run.length)}
        assert all(sequence in told for sequence in single if sequence <= ack)
    assert told == single
    assert ack == processed


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=50), st.integers(0, 4000))
def test_batches_come_back_and_keep_to_their_limit(payloads: list[bytes], limit: int) -> None:
    """What goes into a frame comes out of it; the rest is left for the next frame, and at least one goes."""
    sent = list(payloads)
    parts: list[bytes] = []
    count, size = append_messages(parts, 7, 3, sent, 5, limit)
    ((kind, channel, sequence, ack, payload),) = FrameParser(10000).feed(b"".join(parts))
    assert (channel, sequence, ack, size) == (5, 7, 3, sum(map(len, parts)))
    assert 1 <= count <= len(payloads)
    bodies, lengths = decode_batch(payload) if kind == FrameType.BATCH else ([payload], (len(payload),))
    assert (bodies, list(lengths)) == (payloads[:count], list(map(len, bodies)))
    assert count == 1 or len(payload) <= limit
    if count < len(payloads):
        assert sum(len(body) + 4 for body in payloads[: count + 1]) + 4 > limit


@given(st.binary(max_size=40), NUMBERS)
def test_any_control_payload_is_read_or_refused(payload: bytes, first: int) -> None:
    """Control bodies of any bytes raise nothing but a violation."""
    for read in (
        lambda: decode_ack(payload),
        lambda: decode_skip(first, payload),
        lambda: decode_batch(payload),
        lambda: decode_body(payload, Hello),
        lambda: decode_body(payload, Welcome),
        lambda: decode_body(payload, GoAway),
        lambda: decode_body(payload, Drain),
    ):
        with contextlib.suppress(PeerViolation):
            read()


def test_a_newer_peer_may_append_fields() -> None:
    """A handshake body with more fields than we know is read; the rest is not looked at."""
    body = encode_body(HELLO)
    longer = bytes((body[0] + 1,)) + body[1:] + b"\xa3new"
    assert decode_body(longer, Hello) == HELLO
