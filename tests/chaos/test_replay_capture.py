"""Reading captures: what counts as a packet, whose it is, and one clear answer for what is no capture."""

import contextlib
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.chaos.replay import Capture, CaptureRefused, read_capture, write_script
from agt.transport.wires.cync import answer, heartbeat, hello, power_command, status, time_body, time_request

LAMP, FAN = bytes.fromhex("7e00000e"), bytes.fromhex("45880f3a")


def chunk(data: bytes, way: str = "DEV→CLOUD", *, at: str = "2025-11-06T08:20:40.005881", size: int = -1) -> str:
    """One chunk as a capture has it."""
    return f"{at} {way} ({len(data) if size < 0 else size} bytes)\n{data.hex(' ')}\n\n"


def read(*chunks: str) -> Capture:
    """Read chunks as a file."""
    return read_capture("".join(chunks).encode())


HELLO = chunk(hello(LAMP).data)
DOWN = "CLOUD→DEV"


def test_chunk_may_hold_several_packets() -> None:
    """As a socket read does."""
    capture = read(HELLO, chunk(heartbeat().data + time_request().data))
    assert (capture.chunks, len(capture.packets), capture.malformed) == (2, 3, 0)
    assert capture.by_type() == {"0x23": 1, "0xc3": 1, "0xd3": 1}


def test_packet_may_go_on_in_the_next_chunk_of_its_direction() -> None:
    """A packet cut by a read is put together again, past the other direction's chunks."""
    command = power_command(LAMP, 1, on=True, number=7).data
    capture = read(HELLO, chunk(command[:9], DOWN), chunk(heartbeat().data), chunk(command[9:], DOWN))
    assert [captured.packet.data for captured in capture.packets if not captured.from_device] == [command]
    assert capture.malformed == 0


def test_half_a_packet_that_does_not_go_on_is_malformed() -> None:
    """The next chunk begins with a packet of its own, so it is no continuation."""
    half = hello(FAN).data[:9]
    capture = read(HELLO, chunk(half), chunk(heartbeat().data))
    assert [(item.line, item.offset, item.length) for item in capture.nonsense] == [(5, 0, 9)]
    assert len(capture.packets) == 2


def test_bytes_that_are_no_packets_are_named_and_stop_nothing() -> None:
    """With the line, the offset and what they look like."""
    capture = read(HELLO, chunk(heartbeat().data + b"\xaa\xbb" + heartbeat().data), "a line of its own\n")
    assert [str(item) for item in capture.nonsense] == [
        "line 5, offset 5: 2 bytes are no packet: aa bb",
        "line 7, offset 0: 17 bytes are no packet: 'a line of its own'",
    ]
    assert (capture.malformed, len(capture.packets)) == (19, 3)


def test_bytes_that_are_not_even_hex_are_counted_as_announced() -> None:
    """In the middle of a file, that is damage and not its end."""
    capture = read(HELLO, chunk(heartbeat().data).replace("d3", "xx"), HELLO)
    assert (capture.malformed, capture.chunks) == (5, 3)


def test_injected_chunks_are_counted() -> None:
    """A tool slipped them in; the devices took them all the same."""
    capture = read(HELLO, chunk(power_command(LAMP, 1, on=True, number=1).data, "CLOUD→DEV [INJECTED]"))
    assert capture.injected == 1
    assert len(write_script(capture, max_devices=9).parts[0].commands) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is no capture"),
        (b"just some text\nof two lines\n", "is no capture: it has no line such as"),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1", "holds TLS records; capture where the traffic is plain"),
        (chunk(b"\x17\x03\x03\x00\x20" + bytes(32)).encode(), "holds TLS records and no packets"),
        (chunk(b"hello 7\n").encode(), "holds no cync packets in its 1 chunks"),
        ((HELLO + HELLO[:60]).encode(), "is cut off: line 4 announces 31 bytes and 4 follow; keep its first 3 lines"),
        ((HELLO + HELLO[:30]).encode(), "is cut off: line 4 is unfinished"),
        ((HELLO + HELLO.split("\n", maxsplit=1)[0]).encode(), "is cut off: line 4 announces 31 bytes and 0 follow"),
    ],
)
def test_what_can_not_be_replayed_gets_one_clear_answer(data: bytes, says: str) -> None:
    """Each kind of wrong file says what it is and what to do."""
    with pytest.raises(CaptureRefused) as refused:
        read_capture(data)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=400))
def test_no_bytes_can_raise_another_error(data: bytes) -> None:
    """Whatever the file holds: a capture or a refusal."""
    with contextlib.suppress(CaptureRefused):
        read_capture(data)


_LINES = st.sampled_from([*HELLO.split("\n")[:2], "", chunk(heartbeat().data, DOWN).split("\n")[0], "d3 00 00", "zz"])


@given(st.lists(_LINES, max_size=30), st.integers(0, 3000))
def test_no_damage_to_a_capture_can_raise_another_error(lines: list[str], cut: int) -> None:
    """Lines lost, doubled, swapped and cut; every byte that could be read is accounted for."""
    text = (HELLO + "\n".join(lines)).encode()[:cut]
    try:
        capture = read_capture(text)
    except CaptureRefused:
        return
    read_bytes = sum(len(captured.packet.data) for captured in capture.packets)
    assert read_bytes > 0
    assert all(item.length > 0 for item in capture.nonsense)


@given(st.integers(0, len(HELLO.encode()) * 3))
def test_capture_cut_anywhere_is_whole_chunks_or_refused(cut: int) -> None:
    """No cut passes silently for less traffic than there was, but between chunks."""
    text = (HELLO * 3).encode()
    try:
        capture = read_capture(text[:cut])
    except CaptureRefused:
        return
    # What follows a whole line of bytes is an empty line, which a cut may take without harm.
    assert cut >= capture.chunks * len(HELLO.encode()) - 2
    assert capture.malformed == 0


def test_messages_belong_to_the_device_of_their_endpoint_or_go_in_turn() -> None:
    """Heartbeats and time requests name nobody; they are dealt to who is connected, and counted."""
    info = bytes.fromhex("43 00 00 00 07") + FAN + bytes.fromhex("01 01 06")
    capture = read(
        HELLO,
        chunk(heartbeat().data),
        chunk(hello(FAN).data),
        *[chunk(heartbeat().data)] * 3,
        chunk(info),
        chunk(power_command(LAMP, 1, on=True, number=1).data, DOWN),
        chunk(status(LAMP, bytes(12), message_id=3).data),
    )
    script = write_script(capture, max_devices=9)
    assert [part.endpoint for part in script.parts] == [LAMP.hex(), FAN.hex()]
    assert [[line.type for line in part.requests] for part in script.parts] == [
        [0x23, 0xD3, 0xD3, 0x83],
        [0x23, 0xD3, 0xD3, 0x43],
    ]
    assert [len(part.commands) for part in script.parts] == [1, 0]
    assert (script.unattributed, script.messages) == (4, 9)


def test_hello_again_makes_another_device() -> None:
    """One simulated device for each hello; what comes later belongs to the later one."""
    script = write_script(read(HELLO, HELLO, chunk(status(LAMP, bytes(12), message_id=3).data)), max_devices=9)
    assert [len(part.requests) for part in script.parts] == [1, 2]


def test_time_requests_get_the_answers_of_the_capture() -> None:
    """The first request the first answer, whoever asked."""
    reply = answer(time_request(), time=time_body_of(8))
    other = answer(time_request(), time=time_body_of(9))
    assert reply is not None
    assert other is not None
    script = write_script(
        read(
            HELLO,
            chunk(hello(FAN).data),
            chunk(time_request().data),
            chunk(time_request().data),
            chunk(reply.data + other.data, DOWN),
        ),
        max_devices=9,
    )
    assert [part.time_answers for part in script.parts] == [[time_body_of(8)], [time_body_of(9)]]


def time_body_of(hour: int) -> bytes:
    """A time answer's body."""
    return time_body(datetime.datetime(2025, 11, 6, hour, tzinfo=datetime.UTC))


def test_script_without_devices_or_with_too_many_is_refused() -> None:
    """Nobody to simulate, or more than the process has room for."""
    with pytest.raises(CaptureRefused, match="no hello"):
        write_script(read(chunk(heartbeat().data)), max_devices=9)
    with pytest.raises(CaptureRefused, match="has 3 hellos, and at most 2"):
        write_script(read(HELLO * 3), max_devices=2)
