"""A device that is ready to migrate: its legacy socket stays up beside the new one, and each command acts once.

    python examples/device.py NAME LEGACY_PORT RELIABLE_PORT

A command is `set <number> <value>`. The device keeps one watermark over both sockets, so a command that was in doubt
on one and came again on the other changes nothing; that is what makes moving it exact.
"""

import sys

import anyio

from agt.transport import Link, ReceivedMessage, ReliableConfig, ReliableTransport, TCPConnection
from agt.transport.wires.lines import LinesConfig, LinesLink


class Device:
    """Applies commands, whichever way they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen_through = 0

    def on_message(self, message: ReceivedMessage) -> None:
        """Apply a command once; returning says that it was processed."""
        _, number, value = message.payload.split()
        if int(number) > self.seen_through:
            self.seen_through = int(number)
            print(self.name, value.decode(), flush=True)  # noqa: T201 - the lamp of this example


def legacy_link(name: str, _config: ReliableConfig) -> Link:
    """Speak the old wire: say hello with the watermark announced, answer `ok <number>`."""
    return LinesLink("device", LinesConfig(name=name, sequenced=True))


async def main(name: str, legacy_port: int, reliable_port: int) -> None:
    """Keep both attachments up for good."""
    device = Device(name)
    old, new = TCPConnection("127.0.0.1", legacy_port), TCPConnection("127.0.0.1", reliable_port)
    async with (
        ReliableTransport(old, name=name, on_message=device.on_message, make_link=legacy_link) as legacy,
        ReliableTransport(new, name=name, on_message=device.on_message) as reliable,
    ):
        await legacy.wait_connected()
        await reliable.wait_connected()
        print(name, "ready", flush=True)  # noqa: T201 - for whoever started it
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
