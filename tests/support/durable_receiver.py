"""A process that applies what it receives to a table, with commits of all sizes, until it is killed.

`python durable_receiver.py INBOX SOCKET`. It prints `ready` once it listens.
"""

import random
import sys

import anyio

from agt.transport import ReliableConfig, ReliableListener, Session, commit_batch
from agt.transport.durable import SQLiteInbox

SCHEMA = "CREATE TABLE IF NOT EXISTS applied (place INTEGER PRIMARY KEY, number INTEGER NOT NULL)"
CONFIG = ReliableConfig(recv_queue_max=200)


async def main(inbox: str, socket: str) -> None:
    """Apply."""
    async with anyio.create_task_group() as tasks:

        async def apply(session: Session) -> None:
            while True:
                messages = await session.receive_batch(random.choice((1, 5, 200)))
                async with commit_batch(messages) as transaction:
                    transaction.insert("applied (number)", [(int(message.payload),) for message in messages])

        def came(session: Session) -> None:
            tasks.start_soon(apply, session)

        store = SQLiteInbox(inbox, schema=SCHEMA)
        async with ReliableListener(path=socket, inbox=store, on_peer=came, config=CONFIG):
            print("ready", flush=True)  # noqa: T201  # The test waits for it.
            await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
