"""Fuzz targets for what comes from peers that we don't trust: the legacy wires and the proxy that looks at all of them.

Besides raising nothing, a stream parser gives the same however its input is cut, accounts for every byte, and holds
no more than one message.
"""

import contextlib

from agt.chaos.proxy import make_splitter
from agt.chaos.proxy._framing import CYNC_HEADER, peer_in
from agt.transport import UsageError
from agt.transport.wires.cync import CyncConfig, CyncLink, Malformed, Packet, PacketParser, hello
from agt.transport.wires.cync._inner import inner_frame
from agt.transport.wires.cync._packets import one_packet
from agt.transport.wires.lines import LinesConfig, LinesLink
from agt.transport.wires.lines._text import (
    MAX_LINE_BYTES,
    LineReader,
    greeting_line,
    number_in,
    read_greeting,
)
from support.fuzz_support import Target, drain, drive, pieces

CYNC_PACKET_MAX = 4096
WRITTEN_PER_BYTE = 16
"""No answer may be much longer than what it answers: that would make us an amplifier."""
WRITTEN_FREE = 4096
ENDPOINT = bytes.fromhex("45880f3a")


def cync_packets(data: bytes) -> None:
    """Packets and malformed runs account for every byte, in order, however the stream is cut."""
    whole = PacketParser()
    found = whole.feed(data)
    assert whole.pending <= CYNC_PACKET_MAX + CYNC_HEADER
    found += whole.finish()
    cut = PacketParser()
    again = [item for part in pieces(data) for item in cut.feed(part)]
    assert [*again, *cut.finish()] == found
    length = 0
    for item in found:
        if isinstance(item, Malformed):
            assert item.offset == length
            length += item.length
        else:
            length += len(item.data)
    assert length == len(data)


def cync_packet(data: bytes) -> None:
    """Whatever can be read off one packet can be read off every packet."""
    for item in PacketParser().feed(data):
        if isinstance(item, Packet):
            assert one_packet(item.data) == item
            assert item.endpoint is None or len(item.endpoint) == 4
            assert item.message_id is None or 0 <= item.message_id < 1 << 16
            assert item.key[0] == item.type
            assert item.answer_key is None or item.answer_key != item.key
            frame = inner_frame(item)
            assert frame is None or frame.content in item.body
    with contextlib.suppress(UsageError):
        assert one_packet(data).data == data


def cync_link(data: bytes) -> None:
    """Both ends survive whatever a peer sends, and answer with no more than it deserves."""
    for role, config in (("controller", None), ("device", CyncConfig(hello=hello(ENDPOINT).data))):
        written = drive(CyncLink(role, config), pieces(data))  # type: ignore[arg-type]
        assert len(written) <= WRITTEN_FREE + WRITTEN_PER_BYTE * len(data)


def lines_text(data: bytes) -> None:
    """Lines come out alike however the stream is cut, and hello lines can be written back."""
    whole = LineReader()
    lines, over = whole.feed(data)
    cut = LineReader()
    again: list[bytes] = []
    for part in pieces(data):
        more, ended = cut.feed(part)
        again += more
        if ended:
            assert over
            break
    assert again == lines
    for line in lines:
        assert len(line) <= MAX_LINE_BYTES
        assert b"\n" not in line
        greeting = read_greeting(line)
        assert greeting is None or read_greeting(greeting_line(greeting)) == greeting
        number = number_in(line)
        assert number is None or number >= 0


def lines_link(data: bytes) -> None:
    """Both ends of a line socket survive whatever comes."""
    for role in ("controller", "device"):
        link = LinesLink(role, LinesConfig(name="lamp-1") if role == "device" else None)  # type: ignore[arg-type]
        written = drive(link, pieces(data))
        assert len(written) <= WRITTEN_FREE + WRITTEN_PER_BYTE * len(data)
        assert not list(drain(link, 1e6)), "without a connection there is nothing to write"


def proxy_splitters(data: bytes) -> None:
    """A proxy passes every byte on, whatever it makes of them."""
    for wire in ("native", "cync", "lines"):
        splitter = make_splitter(wire)  # type: ignore[arg-type]
        frames = [frame for part in pieces(data) for frame in splitter.feed(part)]
        assert b"".join(frames) + splitter.rest() == data
        for frame in frames[:8]:
            assert isinstance(peer_in(wire, frame), str)  # type: ignore[arg-type]


CYNC_TOKENS = tuple(bytes((kind, 0, 0)) for kind in (0x23, 0x28, 0x43, 0x48, 0x73, 0x7B, 0x78, 0x83, 0x88, 0xC3, 0xC8))

TARGETS = (
    Target("cync_packets", cync_packets, (*CYNC_TOKENS, b"\x7e", ENDPOINT, b"\xd3\x00\x00\x00\x00")),
    Target("cync_packet", cync_packet, (*CYNC_TOKENS, b"\x7e", ENDPOINT)),
    Target("cync_link", cync_link, (*CYNC_TOKENS, b"\x7e", ENDPOINT, b"\xd3\x00\x00\x00\x00")),
    Target("lines_text", lines_text, (b"hello ", b"seq", b"set ", b"ok ", b"\r\n", b"\n", "ü".encode())),
    Target("lines_link", lines_link, (b"hello lamp-1 seq\n", b"set 1 1\n", b"ok 1\n", b"warn ", b"error ", b"\n")),
    Target("proxy_splitters", proxy_splitters, (b"hello ", b"\n", b"\x00\x00\x00\x01", b"\x23\x00\x00\x00\x1a")),
)
