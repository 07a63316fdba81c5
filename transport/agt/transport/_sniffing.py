"""Which wire a caller speaks, told from its first bytes.

Each wire has a recogniser: a pure function of everything that was read so far, which says yes, no, or that it takes
more bytes to tell. Nothing is allocated by what the bytes say, and at most `SNIFF_LIMIT` of them are ever looked at.
The caller's bytes are looked at and left where they are; whoever serves it reads them again from the start.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from agt.transport.trust import MAGIC as KEYED
from agt.transport.wires.cync import HELLO as CYNC_HELLO
from agt.transport.wires.cync import packet_size
from agt.transport.wires.native import FrameType


class Recogniser(Protocol):
    """Says whether a connection that begins with these bytes speaks one wire."""

    def __call__(self, head: bytes, /) -> bool | None:
        """Return true for this wire, false for certainly not, None when the bytes are too few to tell."""
        ...


SNIFF_LIMIT: Final = 1024
"""Most bytes that are looked at before it is decided."""
TLS_REFUSAL: Final = bytes.fromhex("15 03 01 00 02 02 28")
"""A fatal alert, `handshake_failure`: what a TLS client shows its user in words."""
UNRECOGNISED: Final = ""
"""The verdict that no wire begins like this."""

_NATIVE_HEADER: Final = 28
_NATIVE_FIXED: Final = {0: 0, 1: 0, 8: FrameType.HELLO, 9: 0} | dict.fromkeys(range(10, _NATIVE_HEADER), 0)
"""Bytes of a native hello's header that are always the same: its length is below 1 KiB, it has no flags, channel,
sequence or acknowledgement (docs/architecture/protocol-specification.md)."""
_NATIVE_LONGEST: Final = 1024
_TLS_LONGEST_RECORD: Final = (1 << 14) + 256
_CLIENT_HELLO: Final = 1
_LINES_HELLO: Final = b"hello"


def begins_with(magic: bytes) -> Recogniser:
    """Return the recogniser of a wire whose connections begin with these bytes."""

    def recognise(head: bytes) -> bool | None:
        if len(head) >= len(magic):
            return head.startswith(magic)
        return None if magic.startswith(head) else False

    return recognise


def is_native(head: bytes) -> bool | None:
    """Recognise a native peer: the header of a HELLO frame, all that is fixed in it, or the magic of one with a key."""
    if head[: len(KEYED)] == KEYED[: len(head)]:
        return True if len(head) >= len(KEYED) else None
    if any(head[at] != value for at, value in _NATIVE_FIXED.items() if at < len(head)):
        return False
    if len(head) >= 4 and not 0 < int.from_bytes(head[:4], "big") <= _NATIVE_LONGEST - _NATIVE_HEADER:
        return False
    return True if len(head) >= _NATIVE_HEADER else None


def is_cync(head: bytes) -> bool | None:
    """Recognise a cync device: its hello, 0x23, with a length that a hello can have."""
    size = packet_size(head) if head[:1] == bytes((CYNC_HELLO,)) else None
    return None if size == 0 else size is not None


def is_lines(head: bytes) -> bool | None:
    """Recognise a device that speaks lines: the word hello, and a space."""
    if len(head) <= len(_LINES_HELLO):
        return None if _LINES_HELLO.startswith(head) else False
    return head.startswith(_LINES_HELLO) and head[len(_LINES_HELLO)] in b" \t"


def is_tls(head: bytes) -> bool | None:
    """Recognise TLS: a handshake record that begins with a ClientHello."""
    if not (head[0] == 0x16 and head[1:2] in {b"", b"\x03"} and head[2:3] <= b"\x04"):
        return False
    if len(head) < 6:
        return None
    return 4 < int.from_bytes(head[3:5], "big") <= _TLS_LONGEST_RECORD and head[5] == _CLIENT_HELLO


RECOGNISERS: Final[Mapping[str, Recogniser]] = MappingProxyType(
    {"native": is_native, "cync": is_cync, "lines": is_lines, "tls": is_tls}
)
"""The wires that are known by name; no two of them begin alike."""


class Sniffer:
    """Decides among some wires."""

    __slots__ = ("_recognisers",)

    def __init__(self, recognisers: Mapping[str, Recogniser]) -> None:
        """Take the wires to tell apart; where two claim the same bytes, the first one has them."""
        self._recognisers = dict(recognisers)

    def verdict(self, head: bytes) -> str | None:
        """Return the name of the wire, `UNRECOGNISED` when it is none of them, or None when it takes more bytes."""
        if not head:
            return None
        open_still = False
        for name, recognise in self._recognisers.items():
            answer = recognise(head[:SNIFF_LIMIT])
            if answer:
                return name
            open_still |= answer is None
        return None if open_still and len(head) < SNIFF_LIMIT else UNRECOGNISED
