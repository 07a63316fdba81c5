"""The public door of durable delivery, and what it costs those who don't go through it."""

import subprocess
import sys

from agt.transport import durable

NAMES = (
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


def test_the_door_is_what_it_was() -> None:
    """A change of the public names is a change of this list."""
    assert durable.__all__ == NAMES
    assert all(getattr(durable, name).__doc__ for name in NAMES)


def test_no_database_is_loaded_by_those_who_bring_none() -> None:
    """`import agt.transport` loads no sqlite3, nor does a transport or a listener without stores."""
    program = (
        "import sys\n"
        "from agt.transport import ReliableListener, ReliableTransport, TCPConnection\n"
        "ReliableListener(), ReliableTransport(TCPConnection('gateway', 7000))\n"
        "assert not {name for name in sys.modules if 'sqlite3' in name or 'durable' in name}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
