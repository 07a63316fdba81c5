"""Packets of the cync wire: cut anywhere, mixed with nonsense, built and checked against real bytes."""

import datetime
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import UsageError
from agt.transport.wires.cync import (
    MAX_PACKET_SIZE,
    TYPES,
    Malformed,
    Packet,
    PacketParser,
    answer,
    heartbeat,
    hello,
    inner_frame,
    one_packet,
    packet,
    power_command,
    status,
    time_body,
    time_request,
)

ENDPOINT = bytes.fromhex("45 88 0f 3a")
EXAMPLE = bytes.fromhex(
    "73 00 00 00 1f 45 88 0f 3a 00 10 00 00 7e 10 01 00 00 f8 8e 0c 00 10 01 00 00 00 50 00 f7 11 02 01 01 07 7e"
)
HELLO = bytes.fromhex("23 00 00 00 1a 03 38 e8 cf 46 00 10 31 65 30 37 64 38 63 65 30 61 36 31 37 61 33 37 00 00 3c")
INFO = bytes.fromhex("43 00 00 00 07 32 5d 53 17 01 01 06")
STATUS = bytes.fromhex(
    "83 00 00 00 25 60 b1 8e 42 00 02 00 7e 1f 00 00 00 fa db 13 00 72 25 11 aa 00 aa 00 db 11 02 00 01 0a 0a ff ff ff"
    "00 00 ea 7e"
)
WHOLE = (EXAMPLE, HELLO, INFO, STATUS, heartbeat().data, time_request().data)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at these places."""
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def parse(pieces: list[bytes]) -> list[Packet | Malformed]:
    """Feed pieces and end the stream."""
    parser = PacketParser()
    found = [item for piece in pieces for item in parser.feed(piece)]
    return [*found, *parser.finish()]


@given(st.lists(st.sampled_from(WHOLE), max_size=12), st.lists(st.integers(0, 2000), max_size=20))
def test_packets_come_out_whole_however_the_bytes_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    """A read may hold several packets or a part of one."""
    assert parse(cut(b"".join(sent), cuts)) == [Packet(data) for data in sent]


@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=20))
def test_no_byte_is_lost_or_counted_twice(data: bytes, cuts: list[int]) -> None:
    """Whatever comes, packets and malformed runs together are the stream, in order, however it is cut."""
    found = parse(cut(data, cuts))
    assert found == parse([data])
    at = 0
    for item in found:
        if isinstance(item, Malformed):
            assert item.offset == at
            assert item.head == data[at : at + 16][: item.length]
            at += item.length
        else:
            assert item.data == data[at : at + len(item.data)]
            at += len(item.data)
    assert at == len(data)


@given(st.lists(st.integers(0, 255).filter(lambda byte: byte not in TYPES), min_size=1, max_size=50))
def test_parser_finds_its_way_back_after_nonsense(noise: list[int]) -> None:
    """Bytes that are no packet are counted with their offset and stop nothing."""
    found = parse([HELLO + bytes(noise) + EXAMPLE])
    assert found == [Packet(HELLO), Malformed(len(HELLO), len(noise), bytes(noise)[:16]), Packet(EXAMPLE)]


def test_announced_length_over_the_limit_is_no_packet() -> None:
    """Nothing is buffered on the word of a length that can't be right."""
    parser = PacketParser()
    assert parser.feed(b"\x73\x00\x00\xff\xff" + bytes(2000)) == []
    assert parser.pending == 0
    assert parser.malformed_run == 2005
    assert len(packet(0x73, bytes(MAX_PACKET_SIZE - 5)).data) == MAX_PACKET_SIZE
    with pytest.raises(UsageError, match="at most 4091"):
        packet(0x73, bytes(MAX_PACKET_SIZE - 4))


def test_half_a_packet_at_the_end_is_malformed() -> None:
    """A stream that ends inside a packet says so."""
    assert parse([HELLO, EXAMPLE[:7]]) == [Packet(HELLO), Malformed(len(HELLO), 7, EXAMPLE[:7])]


@pytest.mark.parametrize(
    ("data", "endpoint", "message_id"),
    [
        (HELLO, "38e8cf46", None),
        (INFO, "325d5317", None),
        (EXAMPLE, "45880f3a", 0x10),
        (STATUS, "60b18e42", 2),
        (bytes.fromhex("7b 00 00 00 07 45 88 0f 3a 00 10 00"), "45880f3a", 0x10),
        (bytes.fromhex("88 00 00 00 03 00 02 00"), None, 2),
        (heartbeat().data, None, None),
    ],
)
def test_endpoint_and_id_stand_where_the_capture_has_them(
    data: bytes, endpoint: str | None, message_id: int | None
) -> None:
    """Positions differ by type; 0x43 has a constant where its id would be, so it has none."""
    item = one_packet(data)
    assert (item.endpoint.hex() if item.endpoint else None) == endpoint
    assert item.message_id == message_id


@pytest.mark.parametrize(
    ("request_bytes", "reply"),
    [
        (HELLO, "28 00 00 00 02 00 00"),
        (INFO, "48 00 00 00 03 01 01 00"),
        (STATUS, "88 00 00 00 03 00 02 00"),
        (EXAMPLE, "7b 00 00 00 07 45 88 0f 3a 00 10 00"),
        (bytes.fromhex("7b 00 00 00 07 45 88 0f 3a 00 10 00"), "78 00 00 00 07 45 88 0f 3a 00 10 00"),
        (heartbeat().data, "d8 00 00 00 00"),
    ],
)
def test_answers_are_byte_for_byte_those_of_the_capture(request_bytes: bytes, reply: str) -> None:
    """Each request is answered by the protocol, and its answer is what the matcher expects."""
    asked = one_packet(request_bytes)
    answered = answer(asked)
    assert answered is not None
    assert answered.data == bytes.fromhex(reply)
    assert answered.key == asked.answer_key
    assert answered.type == 0x7B or answer(answered) is None


def test_time_answer_is_the_one_of_the_capture() -> None:
    """Local time, weekday from Sunday, offset in minutes."""
    zone = datetime.timezone(datetime.timedelta(minutes=-600))
    reply = answer(time_request(), time=time_body(datetime.datetime(2025, 11, 6, 2, 20, 40, tzinfo=zone)))
    assert reply is not None
    assert reply.data == bytes.fromhex("c8 00 00 00 0b 0d 07 e9 0b 06 05 02 14 28 fd a8")


def test_example_command_is_built_byte_for_byte() -> None:
    """The command that facts were read from: on, for device 0x50."""
    assert power_command(ENDPOINT, 0x50, on=True, number=0x110, message_id=0x10).data == EXAMPLE


@given(st.binary(min_size=4, max_size=4), st.integers(0, 255), st.booleans(), st.integers(0, 2**32 - 1))
def test_command_carries_its_number_and_a_valid_checksum(endpoint: bytes, target: int, on: bool, number: int) -> None:
    """Markers are found by position, so an endpoint of 0x7e bytes does no harm."""
    command = power_command(endpoint, target, on=on, number=number)
    inner = inner_frame(command)
    assert inner is not None
    assert inner.valid
    assert inner.counter == number
    assert command.message_id == number & 0xFFFF
    assert one_packet(command.data).endpoint == endpoint


def test_damaged_inner_frame_is_noticed() -> None:
    """One changed value no longer agrees with the checksum; a missing first marker means no inner frame."""
    for at, change in ((27, 1), (34, 1)):
        data = bytearray(EXAMPLE)
        data[at] ^= change
        inner = inner_frame(Packet(bytes(data)))
        assert inner is not None
        assert not inner.valid
    good = inner_frame(Packet(STATUS))
    assert good is not None
    assert good.valid
    assert inner_frame(Packet(STATUS[:12] + b"\x00" + STATUS[13:])) is None
    assert inner_frame(heartbeat()) is None


def test_built_status_reads_like_a_captured_one() -> None:
    """The same content under the same id gives the same packet."""
    inner = inner_frame(Packet(STATUS))
    assert inner is not None
    assert status(STATUS[5:9], inner.content, message_id=2).data == STATUS


def test_built_hello_is_a_captured_one() -> None:
    """Endpoint and authorisation code where devices put them."""
    assert hello(bytes.fromhex("38e8cf46"), HELLO[12:28]).data == HELLO


@pytest.mark.parametrize("data", [b"", b"\x00", EXAMPLE + b"\x00", EXAMPLE[:-1], EXAMPLE * 2])
def test_anything_but_one_packet_is_refused(data: bytes) -> None:
    """A message is exactly one packet."""
    with pytest.raises(UsageError, match="exactly one packet"):
        one_packet(data)
