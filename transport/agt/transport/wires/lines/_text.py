"""What is said on the lines wire: words separated by spaces, one line a message.

`hello <id> [seq]` opens a connection, `set <number> <value>` is a command, `ok <number>` its reply, `warn <text>` and
`error <text>` are the controller's words to people who still use the old way.
"""

from dataclasses import dataclass
from typing import Final

from agt.transport._errors import UsageError

MAX_LINE_BYTES: Final = 4096
"""Longest line, without its newline."""
MAX_NAME_BYTES: Final = 200
_MAX_DIGITS: Final = 20
"""Digits of the largest number anyone counts to; Python refuses to read endless ones."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a device says first."""

    name: str
    sequenced: bool
    """Whether it keeps one watermark over all its attachments, and so takes nothing twice."""


def read_greeting(line: bytes) -> Greeting | None:
    """Read a hello line; None when it isn't one."""
    words = line.split()
    if not 2 <= len(words) <= 3 or words[0] != b"hello" or len(words[1]) > MAX_NAME_BYTES:
        return None
    if len(words) == 3 and words[2] != b"seq":
        return None
    try:
        name = words[1].decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Greeting(name, sequenced=len(words) == 3) if name.isprintable() else None


def greeting_line(greeting: Greeting) -> bytes:
    """Write a hello line, newline included.

    Raises:
        UsageError: when the name couldn't be read back.
    """
    line = f"hello {greeting.name}{' seq' if greeting.sequenced else ''}\n".encode()
    if read_greeting(line) != greeting:
        raise UsageError(f"a device on the lines wire needs a short name without spaces, not {greeting.name!r}")
    return line


def number_in(line: bytes) -> int | None:
    """Read the number that a command or reply carries as its second word; None when it has none."""
    words = line.split(maxsplit=2)
    if len(words) < 2 or not words[1].isdigit() or len(words[1]) > _MAX_DIGITS:
        return None
    return int(words[1])


class LineReader:
    """Takes bytes cut anywhere; gives lines without their newline."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> tuple[list[bytes], bool]:
        """Take bytes; return the lines that they complete and whether a line was over the limit.

        After a line over the limit nothing more is read: there is no telling where the next one starts.
        """
        self._buffer += data
        *whole, rest = self._buffer.split(b"\n")
        lines: list[bytes] = []
        for line in whole:
            if len(line) > self._limit:
                self._buffer.clear()
                return lines, True
            lines.append(bytes(line.removesuffix(b"\r")))
        self._buffer = rest
        if len(rest) > self._limit:
            self._buffer = bytearray()
            return lines, True
        return lines, False
