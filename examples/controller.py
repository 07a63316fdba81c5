"""A controller in the middle of a migration: both ways up, a router that chooses for each device.

    python examples/controller.py PERCENTAGE

Prints its two ports, then takes lines from standard input: `DEVICE VALUE` sends a command and prints how it ended,
`share PERCENTAGE` moves devices while they are served.
"""

import sys
from itertools import count

import anyio

from agt.router import LegacyPath, MemorySelector, Message, ReliablePath, Route, Router, Runtimes, Selector
from agt.transport import ReliableListener, Session, WireListener
from agt.transport.wires.lines import LinesLink

RUNTIMES = Runtimes(control="legacy", candidate="reliable")


def selector(percentage: float) -> Selector:
    """Send this share of the devices the new way."""
    return Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=percentage))


async def main(percentage: float) -> None:
    """Serve devices on both wires until standard input ends."""
    router, numbers = Router(MemorySelector(selector(percentage)), runtimes=RUNTIMES), count(1)

    def legacy_came(session: Session) -> None:
        router.attach(session.peer, {"legacy": LegacyPath(session)})

    def reliable_came(session: Session) -> None:
        router.attach(session.peer, {"reliable": ReliablePath(session)})

    async with (
        WireListener(lambda: LinesLink("controller"), on_peer=legacy_came) as old,
        ReliableListener(name="controller", on_peer=reliable_came) as new,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(router.run)
        print("legacy", old.port, "reliable", new.port, flush=True)  # noqa: T201 - for whoever starts devices
        async for line in anyio.wrap_file(sys.stdin):
            device, value = line.split()
            if device == "share":
                router.apply(selector(float(value)))
                continue
            number = next(numbers)
            delivery = await router.send(Message(device, number, b"set %d %s" % (number, value.encode())))
            print(device, value, delivery.outcome, "by", delivery.runtime, delivery.reason, flush=True)  # noqa: T201 - the answer
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, float(sys.argv[1]))
