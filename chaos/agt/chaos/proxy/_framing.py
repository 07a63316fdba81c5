"""Where frames begin and end on each wire, and who the first one says is calling.

A splitter takes bytes cut anywhere and gives whole frames. It judges nothing: when a length can't be right, it
passes bytes on as they come, because a proxy that breaks traffic on its own account would hide what it looks for.
"""

import struct
from typing import Literal, Protocol

import msgspec

WireName = Literal["native", "cync", "lines"]

NATIVE_HEADER = 28
NATIVE_PAYLOAD_MAX = 1 << 24
"""Longer than any frame that a link allows; beyond it a length is taken for nonsense."""
CYNC_HEADER = 5
CYNC_DATA_MAX = 8192
LINE_MAX = 1 << 16


class Splitter(Protocol):
    """Cuts one direction of a byte stream into frames."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the frames that are complete now."""
        ...

    def rest(self) -> bytes:
        """Return, once, what is left of an unfinished frame."""
        ...


class LengthSplitter:
    """Frames whose header says how long they are."""

    def __init__(self, header: struct.Struct, header_size: int, payload_max: int) -> None:
        self._header, self._header_size, self._payload_max = header, header_size, payload_max
        self._buffer = bytearray()
        self._raw = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the frames that are complete now."""
        if self._raw:
            return [data]
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= self._header_size:
            (length,) = self._header.unpack_from(buffer, start)
            if length > self._payload_max:
                self._raw = True
                frames.append(bytes(buffer[start:]))
                start = len(buffer)
                break
            end = start + self._header_size + length
            if end > len(buffer):
                break
            frames.append(bytes(buffer[start:end]))
            start = end
        del buffer[:start]
        return frames

    def rest(self) -> bytes:
        """Return, once, what is left of an unfinished frame."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


class LineSplitter:
    """Frames that end with a newline."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and return the lines that are complete now, newline included."""
        self._buffer += data
        end = self._buffer.rfind(b"\n") + 1
        if not end and len(self._buffer) < LINE_MAX:
            return []
        whole = bytes(self._buffer[: end or len(self._buffer)])
        del self._buffer[: len(whole)]
        return whole.splitlines(keepends=True)

    def rest(self) -> bytes:
        """Return, once, what is left of an unfinished line."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def make_splitter(wire: WireName) -> Splitter:
    """Make a splitter for one direction of one connection on this wire."""
    if wire == "native":
        return LengthSplitter(struct.Struct("!I"), NATIVE_HEADER, NATIVE_PAYLOAD_MAX)
    if wire == "cync":
        return LengthSplitter(struct.Struct("!3xH"), CYNC_HEADER, CYNC_DATA_MAX)
    return LineSplitter()


def peer_in(wire: WireName, frame: bytes) -> str:
    """Name the peer that opens with this frame; empty when the frame doesn't say.

    native: the sender's name in its hello. cync: the endpoint of 0x23 in hex. lines: the word after `hello`.
    """
    if wire == "native":
        return _native_peer(frame)
    if wire == "cync":
        return frame[6:10].hex() if frame[:1] == b"\x23" and len(frame) >= 10 else ""
    words = frame.decode("utf-8", "replace").split()
    return words[1] if len(words) > 1 and words[0] == "hello" else ""


def _native_peer(frame: bytes) -> str:
    try:
        fields = msgspec.msgpack.decode(frame[NATIVE_HEADER:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(fields, list):
        return ""
    return next((field for field in fields if isinstance(field, str)), "")
