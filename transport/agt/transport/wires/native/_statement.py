"""What a receiver tells a sender: an acknowledgement that needs no other to be understood.

An ACK says, for one channel, up to where everything was processed (in its header), up to where everything has arrived,
how much may be unprocessed from now on, and which single sequences were not processed after all, with a code each.
It repeats every exception that the sender may not know yet, so that acknowledgements may be lost, doubled or overtake
each other. Exceptions go as runs; when there are more than one frame should carry, the earlier frames acknowledge
only up to what they name.
"""

import enum
import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from agt.transport._errors import PeerViolation, UsageError
from agt.transport.wires.native._frames import FrameType, encode_frame

_THROUGH: Final = struct.Struct("!Q")
_HEAD: Final = struct.Struct("!QII")
_RUN: Final = struct.Struct("!QIBHI")
RUNS_MAX: Final = 200
"""Most runs of exceptions in one ACK: it stays below the smallest frame limit."""
TIMES_MAX: Final = 65535
"""How far the count of busy answers to one message goes."""
RETRY_MAX_MS: Final = 2**32 - 1
WINDOW_BYTES_MAX: Final = 2**32 - 1


class RefusalCode(enum.IntEnum):
    """Why a sequence was not processed; the numbers are the wire's."""

    SKIPPED = 0
    """The sender gave it up before it arrived: it was never handed to the application."""
    REJECTED = 1
    BUSY = 2
    """Not now: the sequence stays open, and the sender offers the message again."""
    MALFORMED = 3
    TOO_LARGE = 4
    UNAUTHORISED = 5
    STALE_GENERATION = 6
    BEHIND = 7
    """It came behind a message that the application had no time for, which hasn't seen it: like `BUSY`."""

    @classmethod
    def parse(cls, word: str) -> "RefusalCode":
        """Read the word an application gives.

        Raises:
            UsageError: when there is no such word.
        """
        code = cls.__members__.get(word.upper().replace("-", "_").replace(" ", "_"))
        if code is None or code in (cls.SKIPPED, cls.BEHIND):
            words = ", ".join(name.lower() for name in cls.__members__ if name not in {"SKIPPED", "BEHIND"})
            raise UsageError(f"no refusal code {word!r}; there are {words}")
        return code

    @classmethod
    def word(cls, code: int) -> str:
        """Return the word for a code from the wire."""
        try:
            return cls(code).name.lower()
        except ValueError:
            return f"code {code}"


class ExceptionRun(NamedTuple):
    """Consecutive sequences that were not processed, all for the same reason."""

    first: int
    length: int
    code: int
    """A `RefusalCode`; unknown ones are read as final."""
    times: int = 0
    """With `BUSY` and `BEHIND`: how often it was so."""
    retry_ms: int = 0
    """With the same: after how many milliseconds the message may come again."""


Statement = tuple[int, int, int, Sequence[ExceptionRun]]
"""The payload of an ACK: everything up to here has arrived, so many messages and so many bytes of them may be
unprocessed (a single one always), and these were not processed."""


def encode_acks(channel: int, processed: int, statement: Statement) -> list[bytes]:
    """Return the ACK frames that say this; one, unless there are very many exceptions (ascending)."""
    received, window, window_bytes, runs = statement
    head = _HEAD.pack(received, window, window_bytes)
    if not runs:
        return [encode_frame(_ACK, 0, processed, head, channel=channel)]
    frames = []
    for place in range(0, len(runs), RUNS_MAX):
        chunk, rest = runs[place : place + RUNS_MAX], runs[place + RUNS_MAX :]
        known = min(processed, rest[0].first - 1) if rest else processed
        body = head + b"".join(_RUN.pack(*run) for run in chunk)
        frames.append(encode_frame(_ACK, 0, known, body, channel=channel))
    return frames


def decode_ack(payload: bytes) -> Statement:
    """Read an ACK.

    Raises:
        PeerViolation: when the payload has a length that no ACK has.
    """
    size = len(payload)
    if size < _HEAD.size or (size - _HEAD.size) % _RUN.size:
        raise PeerViolation(f"acknowledgement of {size} bytes", payload)
    received, window, window_bytes = _HEAD.unpack_from(payload)
    runs = () if size == _HEAD.size else [ExceptionRun(*run) for run in _RUN.iter_unpack(payload[_HEAD.size :])]
    return received, window, window_bytes, runs


def runs_of(exceptions: Iterator[tuple[int, int, int, int]]) -> list[ExceptionRun]:
    """Join single exceptions (sequence, code, times, retry), ascending, into runs."""
    runs: list[ExceptionRun] = []
    for sequence, *why in exceptions:
        if runs and runs[-1].first + runs[-1].length == sequence and runs[-1][2:] == tuple(why):
            runs[-1] = runs[-1]._replace(length=runs[-1].length + 1)
        else:
            runs.append(ExceptionRun(sequence, 1, *why))
    return runs


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


_ACK: Final = int(FrameType.ACK)
