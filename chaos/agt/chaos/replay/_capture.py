"""Reading a capture: a text of timestamped chunks in two directions, and the packets in them.

A chunk is a line `ISO-timestamp DEV→CLOUD (N bytes)` (or `CLOUD→DEV`, or `CLOUD→DEV [INJECTED]`), a line of hex pairs
and an empty line. Chunks are what a socket read gave, so one may hold several packets or a part of one. What is no
packet is counted, named with its place, and stops nothing; what is no capture at all, or ends in the middle of a
chunk, is refused with one sentence.
"""

import datetime
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from agt.transport.wires.cync import Malformed, Packet, PacketParser, packet_size

MAX_CAPTURE_BYTES: Final = 64 * 1024 * 1024
"""A longer capture is refused; it is read into memory."""
_HEADER: Final = re.compile(r"(\S+) (DEV(?:→|->)CLOUD|CLOUD(?:→|->)DEV)( \[INJECTED\])? \((\d{1,7}) bytes\)")
_TLS_RECORD_TYPES: Final = frozenset({0x14, 0x15, 0x16, 0x17})


class CaptureRefused(Exception):
    """Raised when a file can't be replayed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One packet and how it came."""

    at: datetime.datetime
    from_device: bool
    packet: Packet


@dataclass(frozen=True, slots=True)
class Nonsense:
    """Bytes that are no packet, or a line that is no part of a chunk."""

    line: int
    """Line in the file, from 1."""
    offset: int
    """Byte within the chunk where it begins, from 0; 0 for a line."""
    length: int
    """How many bytes."""
    shown: str
    """What it looks like, shortened."""

    def __str__(self) -> str:
        return f"line {self.line}, offset {self.offset}: {self.length} bytes are no packet: {self.shown}"


@dataclass(slots=True)
class Capture:
    """Everything that a file held, in its order."""

    chunks: int = 0
    injected: int = 0
    """Chunks that a tool slipped in."""
    packets: list[Captured] = field(default_factory=list)
    nonsense: list[Nonsense] = field(default_factory=list)

    @property
    def malformed(self) -> int:
        """Bytes that are no packets."""
        return sum(item.length for item in self.nonsense)

    def by_type(self) -> dict[str, int]:
        """Count packets by type, as `0x23`."""
        counts = Counter(captured.packet.type for captured in self.packets)
        return {f"0x{code:02x}": counts[code] for code in sorted(counts)}


@dataclass(frozen=True, slots=True)
class _Chunk:
    at: datetime.datetime
    from_device: bool
    line: int
    data: bytes


def read_capture(data: bytes) -> Capture:
    """Read a whole capture.

    Raises:
        CaptureRefused: when it is no capture, holds no packets, or is cut off.
    """
    if len(data) > MAX_CAPTURE_BYTES:
        raise CaptureRefused(f"is over {MAX_CAPTURE_BYTES // 2**20} MiB; split it")
    if _looks_like_tls(data):
        raise CaptureRefused("holds TLS records; capture where the traffic is plain, behind the end of TLS")
    capture = Capture()
    chunks = _read_chunks(data.decode("utf-8", "replace"), capture)
    if not chunks:
        raise CaptureRefused("is no capture: it has no line such as `2025-11-06T08:20:40.005881 DEV→CLOUD (31 bytes)`")
    _read_packets(chunks, capture)
    capture.nonsense.sort(key=lambda item: (item.line, item.offset))
    if not capture.packets:
        if any(_looks_like_tls(chunk.data) for chunk in chunks):
            raise CaptureRefused("holds TLS records and no packets; capture behind the end of TLS")
        raise CaptureRefused(f"holds no cync packets in its {len(chunks)} chunks; was it made on another wire?")
    return capture


def _looks_like_tls(data: bytes) -> bool:
    return len(data) >= 3 and data[0] in _TLS_RECORD_TYPES and data[1] == 3 and data[2] <= 4


def _read_chunks(text: str, capture: Capture) -> list[_Chunk]:
    lines = text.split("\n")
    chunks: list[_Chunk] = []
    at = 0
    while at < len(lines):
        line = lines[at].rstrip("\r")
        header = _HEADER.fullmatch(line)
        stamp = _timestamp(header[1]) if header else None
        if header is None or stamp is None:
            # The last line has no newline behind it, so it may be the beginning of what should have been there.
            if at == len(lines) - 1 and chunks and line:
                raise _cut_off(at + 1, "is unfinished")
            if line:
                capture.nonsense.append(Nonsense(at + 1, 0, len(line.encode()), repr(line[:40])))
            at += 1
            continue
        announced = int(header[4])
        written = lines[at + 1].strip() if at + 1 < len(lines) else ""
        payload = _hex(written)
        is_last = not any(rest.strip() for rest in lines[at + 2 :])
        if is_last and (payload is None or len(payload) < announced):
            have = sum(character in "0123456789abcdefABCDEF" for character in written) // 2
            raise _cut_off(at + 1, f"announces {announced} bytes and {have} follow")
        if payload is None:
            capture.nonsense.append(Nonsense(at + 2, 0, max(announced, 1), repr(written[:40])))
            payload = b""
        chunks.append(_Chunk(stamp, line.split()[1].startswith("DEV"), at + 2, payload))
        capture.chunks += 1
        capture.injected += header[3] is not None
        at += 2
    return chunks


def _cut_off(line: int, why: str) -> CaptureRefused:
    return CaptureRefused(f"is cut off: line {line} {why}; keep its first {line - 1} lines, or capture it again")


def _timestamp(text: str) -> datetime.datetime | None:
    try:
        stamp = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=datetime.UTC)


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _read_packets(chunks: list[_Chunk], capture: Capture) -> None:
    """Cut chunks into packets; a packet may go on in the next chunk of its direction."""
    unfinished: dict[bool, _Chunk] = {}
    for chunk in chunks:
        before = unfinished.pop(chunk.from_device, None)
        if before is not None:
            # The capture names no connection: it goes on here only if nothing else could begin here.
            if packet_size(chunk.data) is None:
                chunk = _Chunk(before.at, chunk.from_device, before.line, before.data + chunk.data)  # noqa: PLW2901
            else:
                _note(capture, before, Malformed(0, len(before.data), before.data[:16]))
        parser = PacketParser()
        for item in parser.feed(chunk.data):
            if isinstance(item, Malformed):
                _note(capture, chunk, item)
            else:
                capture.packets.append(Captured(chunk.at, chunk.from_device, item))
        pending = parser.pending
        for item in parser.finish():
            if pending and item.length == pending:
                unfinished[chunk.from_device] = _Chunk(
                    chunk.at, chunk.from_device, chunk.line, chunk.data[len(chunk.data) - pending :]
                )
            else:
                _note(capture, chunk, item)
    for rest in unfinished.values():
        _note(capture, rest, Malformed(0, len(rest.data), rest.data[:16]))


def _note(capture: Capture, chunk: _Chunk, item: Malformed) -> None:
    capture.nonsense.append(Nonsense(chunk.line, item.offset, item.length, item.head.hex(" ")))
