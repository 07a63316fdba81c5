"""A process that sends numbers through a durable outbox, as fast as it may, until it is killed.

`python durable_sender.py OUTBOX SOCKET LOG send|drain`. It appends what it knows to LOG, a line each: `b` when a life
begins, `s N` before a number is sent, `r N` for one that the outbox still had, `k` once everything that this life has
sent is stored, and `delivered N`, `not_delivered N`, `indeterminate N`.
With `drain` it sends nothing new and leaves when all it had has ended.
"""

import os
import random
import sys

import anyio

from agt.transport import Delivery, ReliableConfig, ReliableTransport, UnixConnection
from agt.transport.durable import SQLiteOutbox

DEADLINE_S = 120.0
CONFIG = ReliableConfig(max_retries=None, backoff_base_s=0.02, backoff_max_s=0.05, in_flight_max=200)


async def main(outbox: str, socket: str, log: str, mode: str) -> None:
    """Send or drain."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    store = SQLiteOutbox(outbox)

    def note(text: str) -> None:
        os.write(descriptor, text.encode() + b"\n")

    def follow(number: int, delivery: Delivery) -> None:
        delivery.add_done_callback(lambda ended: note(f"{ended.outcome} {number}"))

    async with ReliableTransport(UnixConnection(socket), name="source", outbox=store, config=CONFIG) as transport:
        note("b")
        for delivery in transport.restored:
            number = int(delivery.payload)
            note(f"r {number}")
            follow(number, delivery)
        if mode == "drain":
            for delivery in transport.restored:
                await delivery
            return
        number = next_number(log)
        while True:
            for _ in range(random.randint(1, 60)):
                note(f"s {number}")
                follow(number, transport.send_nowait(b"%d" % number, deadline_s=DEADLINE_S))
                number += 1
            if random.random() < 0.3:
                await store.stored()
                note("k")
            with anyio.move_on_after(random.random() * 0.003):
                await anyio.sleep_forever()


def next_number(log: str) -> int:
    """Return the number behind the highest that was ever sent."""
    with open(log, encoding="ascii") as file:  # noqa: PTH123  # A few lines of script.
        return 1 + max((int(line[2:]) for line in file if line.startswith("s ")), default=0)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
