"""Last words to a caller who is not let in, said such that it can hear them.

A socket that is closed while the other side's bytes lie unread in it is reset, and a reset may take words away that
were sent before. So after the last words we say that nothing follows, and read on for a moment without looking.
"""

import anyio
from anyio.abc import ByteStream

PARTING_S = 1.0
"""How long last words may take, and with them the caller's place in the door."""


async def part(stream: ByteStream, words: bytes) -> None:
    """Say last words and wait a moment for the other side to hang up; never raises, whatever the other side does."""
    with anyio.move_on_after(PARTING_S):
        try:
            if words:
                await stream.send(words)
            await stream.send_eof()
            while True:
                await stream.receive(1024)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return  # It has hung up: it heard us, or never will.
