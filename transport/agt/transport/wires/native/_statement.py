"""What a receiver tells a sender: an acknowledgement that needs no other to be understood.

An ACK says up to where everything was processed (in its header), up to where everything has arrived, and which single
sequences were not processed after all, with a code each. It repeats every exception that the sender may not know yet,
so that acknowledgements may be lost, doubled or overtake each other.
"""

import enum
import struct
from collections.abc import Iterator, Mapping
from typing import Final

from agt.transport._errors import PeerViolation, UsageError
from agt.transport.wires.native._frames import FrameType, encode_frame

_THROUGH: Final = struct.Struct("!Q")
_EXCEPTION: Final = struct.Struct("!QB")


class RefusalCode(enum.IntEnum):
    """Why a sequence was not processed; the numbers are the wire's."""

    SKIPPED = 0
    """The sender gave it up before it arrived: it was never handed to the application."""
    REJECTED = 1
    BUSY = 2
    MALFORMED = 3
    TOO_LARGE = 4
    UNAUTHORISED = 5

    @classmethod
    def parse(cls, word: str) -> "RefusalCode":
        """Read the word an application gives.

        Raises:
            UsageError: when there is no such word.
        """
        code = cls.__members__.get(word.upper().replace("-", "_"))
        if code is None or code is cls.SKIPPED:
            words = ", ".join(name.lower() for name in cls.__members__ if name != "SKIPPED")
            raise UsageError(f"no refusal code {word!r}; there are {words}")
        return code

    @classmethod
    def word(cls, code: int) -> str:
        """Return the word for a code from the wire."""
        try:
            return cls(code).name.lower()
        except ValueError:
            return f"code {code}"


def encode_ack(processed: int, received: int, exceptions: Mapping[int, int]) -> bytes:
    """Return an ACK frame."""
    payload = _THROUGH.pack(received)
    if exceptions:
        payload += b"".join(_EXCEPTION.pack(sequence, code) for sequence, code in exceptions.items())
    return encode_frame(FrameType.ACK, 0, processed, payload)


def decode_ack(payload: bytes) -> tuple[int, Iterator[tuple[int, int]]]:
    """Return up to where everything has arrived, and the exceptions.

    Raises:
        PeerViolation: when the payload has a length that no ACK has.
    """
    if len(payload) < _THROUGH.size or (len(payload) - _THROUGH.size) % _EXCEPTION.size:
        raise PeerViolation(f"acknowledgement of {len(payload)} bytes", payload)
    return _THROUGH.unpack_from(payload)[0], _EXCEPTION.iter_unpack(payload[_THROUGH.size :])


def encode_skip(first: int, through: int, ack: int, channel: int = 0) -> bytes:
    """Return a SKIP frame: the sequences `first` to `through` will not be sent (again)."""
    return encode_frame(FrameType.SKIP, first, ack, _THROUGH.pack(through), channel=channel)


def decode_skip(first: int, payload: bytes) -> int:
    """Return the last sequence that a SKIP is about.

    Raises:
        PeerViolation: when it makes no sense.
    """
    if len(payload) != _THROUGH.size:
        raise PeerViolation(f"skip of {len(payload)} bytes", payload)
    (through,) = _THROUGH.unpack(payload)
    if not 1 <= first <= through:
        raise PeerViolation(f"skip from {first} to {through}")
    return int(through)
