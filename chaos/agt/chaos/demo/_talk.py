"""JSON lines over Unix sockets: how the demo's processes talk to each other."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteStream, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

LINE_MAX = 1 << 20
"""Longest line that is read; whoever sends more loses the connection."""

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class NoAnswer(Exception):
    """Raised when nobody answers on a socket of the demo."""


class Lines:
    """Reads and writes one JSON object a line."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._buffered = BufferedByteReceiveStream(stream)
        self._encoder = msgspec.json.Encoder()

    async def read(self) -> dict[str, Any]:
        """Return the next object.

        Raises:
            anyio.EndOfStream: when the other side has ended.
            anyio.BrokenResourceError: when the connection broke or what came is no JSON object.
        """
        try:
            line = await self._buffered.receive_until(b"\n", LINE_MAX)
            return msgspec.json.decode(line, type=dict[str, Any])
        except anyio.IncompleteRead as error:
            raise anyio.EndOfStream from error
        except (anyio.DelimiterNotFound, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise anyio.BrokenResourceError from error

    async def write(self, body: object) -> None:
        """Send one object."""
        await self._stream.send(self._encoder.encode(body) + b"\n")


async def ask(path: Path, question: dict[str, Any], *, timeout_s: float = 10.0) -> dict[str, Any]:
    """Ask one question and return the answer.

    Raises:
        NoAnswer: when nobody answers in time, or the answer is an error.
    """
    try:
        with anyio.fail_after(timeout_s):
            async with await anyio.connect_unix(path) as stream:
                lines = Lines(stream)
                await lines.write(question)
                answer = await lines.read()
    except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise NoAnswer(f"{path.name} does not answer: {error or type(error).__name__}") from error
    if problem := answer.get("error"):
        raise NoAnswer(f"{path.name}: {problem}")
    return answer


async def serve_questions(path: Path, answer: Answer) -> None:
    """Answer questions on a socket until cancelled; a ValueError becomes an error in words."""

    async def converse(stream: SocketStream) -> None:
        async with stream:
            lines = Lines(stream)
            while True:
                try:
                    question = await lines.read()
                    try:
                        reply = await answer(question)
                    except ValueError as problem:
                        reply = {"error": str(problem)}
                    await lines.write(reply)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return  # Whoever asked is gone, perhaps because it has waited long enough.

    await anyio.Path(path).unlink(missing_ok=True)
    async with await anyio.create_unix_listener(path, mode=0o600) as listener:
        await listener.serve(converse)
