"""Asking a daemon: one line, one JSON document."""

from pathlib import Path
from typing import Any, Final

import anyio

from agt.chaos.demo._talk import Lines, NoAnswer

TIMEOUT_S: Final = 2.0


async def ask_daemon(path: Path, question: str) -> dict[str, Any]:
    """Return what a daemon answers.

    Raises:
        NoAnswer: when it doesn't, in time.
    """
    try:
        with anyio.fail_after(TIMEOUT_S):
            async with await anyio.connect_unix(path) as stream:
                await stream.send(question.encode() + b"\n")
                return await Lines(stream).read()
    except (OSError, TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise NoAnswer(f"{path.name} does not answer: {error or type(error).__name__}") from error
