"""The receiving side of a scenario as a process of its own, so that it can be killed for real.

`python -m agt.chaos.scenario._receiver SOCKET LOG`: every message is noted in the log before it is acknowledged, so
that a kill at any moment leaves a log that tells the truth.
"""

import os
import sys
import time
from pathlib import Path

import anyio
import msgspec

from agt.chaos.checkers import Effect
from agt.chaos.scenario._peer import READY_LINE
from agt.transport import ReceivedMessage, ReliableListener


def main(socket_path: str, log_path: str) -> None:
    """Receive until killed."""
    handle = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(message: ReceivedMessage) -> None:
        sender, _, number = message.payload.partition(b" ")
        effect = Effect(t=time.time(), device=sender.decode(), number=int(number), path="native")
        os.write(handle, msgspec.json.encode(effect) + b"\n")

    async def receive() -> None:
        Path(socket_path).unlink(missing_ok=True)  # noqa: ASYNC240  # Once, before anything runs.
        async with ReliableListener(path=socket_path, name="receiver", on_message=take):
            os.write(sys.stdout.fileno(), READY_LINE)
            await anyio.sleep_forever()

    anyio.run(receive)


if __name__ == "__main__":
    main(*sys.argv[1:3])
