"""Stores for durable delivery; each object over one stands for a process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agt.transport.durable import SQLiteInbox, SQLiteOutbox
from support.durable_pair import SCHEMA


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio; what has to do with waking a loop says that it wants both."""
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the stores are."""
    return tmp_path / "stores"


@pytest.fixture
def outbox(folder: Path) -> Callable[..., SQLiteOutbox]:
    """Make an object over the outbox; each stands for a process."""
    return lambda **limits: SQLiteOutbox(folder / "outbox.db", **limits)


@pytest.fixture
def inbox(folder: Path) -> Callable[[], SQLiteInbox]:
    """The same for the inbox."""
    return lambda: SQLiteInbox(folder / "inbox.db", schema=SCHEMA)
