"""Durable delivery: messages and marks that outlive their processes, in SQLite or in an application's own database.

Import this where it is used; `agt.transport` alone loads no database.
"""

from agt.transport.durable._errors import OutOfOrder, StoreDamaged, StoreInUse, StoreUnavailable
from agt.transport.durable._inbox_store import DeadLetter, InboxChange, InboxStore
from agt.transport.durable._sqlite_inbox import SQLiteInbox
from agt.transport.durable._sqlite_outbox import SQLiteOutbox
from agt.transport.durable._transaction import SQLiteTransaction

__all__ = (
    "DeadLetter",
    "InboxChange",
    "InboxStore",
    "OutOfOrder",
    "SQLiteInbox",
    "SQLiteOutbox",
    "SQLiteTransaction",
    "StoreDamaged",
    "StoreInUse",
    "StoreUnavailable",
)
