"""What reports need beside decisions: the plan as it was carried out, and pictures of the supervisor at a way back.

A report is written from the records alone, perhaps weeks later and on another machine, when the plan's file may have
changed and no supervisor runs. So the plan is kept with its speed each time it begins with another text, and the whole
view is kept when something went back. Both are bounded; the oldest go first.
"""

import sqlite3
from typing import Final

import msgspec

from agt.supervisor.records._store import Store

PLANS_MAX: Final = 50
PICTURES_MAX: Final = 50
PICTURE_MAX_BYTES: Final = 1 << 20
"""A view that takes more is not kept; the journal has the decision all the same."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS plans (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, squeeze REAL NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pictures (at REAL PRIMARY KEY, view BLOB NOT NULL) STRICT;
"""


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it was carried out from some moment on."""

    at: float
    """Seconds since the epoch."""
    squeeze: float
    """How many times faster than written it ran."""
    body: bytes
    """The plan file as JSON."""


class Context:
    """Plans and pictures in one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep_plan(self, plan: KeptPlan) -> bool:
        """Keep a plan unless it is the newest one already; return whether it was new.

        Raises:
            StoreUnavailable: if that is impossible now.
        """

        def job(connection: sqlite3.Connection) -> bool:
            newest = connection.execute("SELECT squeeze, body FROM plans ORDER BY number DESC LIMIT 1").fetchone()
            if newest == (plan.squeeze, plan.body):
                return False
            row = (plan.at, plan.squeeze, plan.body)
            connection.execute("INSERT INTO plans (at, squeeze, body) VALUES (?, ?, ?)", row)
            connection.execute("DELETE FROM plans WHERE number <= (SELECT max(number) FROM plans) - ?", (PLANS_MAX,))
            return True

        return await self._store.run(job)

    async def keep_picture(self, view: bytes, *, at: float) -> None:
        """Keep the view of a moment, JSON; one that is too large is left out.

        Raises:
            StoreUnavailable: if that is impossible now.
        """
        if len(view) > PICTURE_MAX_BYTES:
            return

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO pictures VALUES (?, ?)", (at, view))
            connection.execute(
                "DELETE FROM pictures WHERE at NOT IN (SELECT at FROM pictures ORDER BY at DESC LIMIT ?)",
                (PICTURES_MAX,),
            )

        await self._store.run(job)
