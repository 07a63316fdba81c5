"""A sender with an outbox and a receiver with an inbox, over real sockets and real databases."""

from agt.transport import ReliableConfig, ReliableListener, ReliableTransport, TCPConnection
from agt.transport.durable import SQLiteInbox, SQLiteOutbox
from support.scenes import but

SCHEMA = "CREATE TABLE IF NOT EXISTS effects (place INTEGER PRIMARY KEY, what BLOB NOT NULL UNIQUE)"
CONFIG = ReliableConfig(max_retries=None, backoff_base_s=0.01, backoff_max_s=0.02)


IMPATIENT = but(CONFIG, hello_timeout_s=0.2)
"""For those who are not welcomed until something has been mended."""


def dial(port: int, outbox: SQLiteOutbox, *, config: ReliableConfig = CONFIG, **options: object) -> ReliableTransport:
    """Make a sender's transport."""
    return ReliableTransport(TCPConnection("127.0.0.1", port), name="lamp", outbox=outbox, config=config, **options)


def listen(inbox: object, port: int = 0, **options: object) -> ReliableListener:
    """Make a receiver's listener."""
    return ReliableListener(inbox=inbox, port=port, config=CONFIG, **options)


async def effects(inbox: SQLiteInbox) -> list[bytes]:
    """What has been applied, in order."""
    return [row[0] for row in await inbox.read("SELECT what FROM effects ORDER BY place")]
