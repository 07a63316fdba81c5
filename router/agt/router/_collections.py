"""Keeps a gateway with thousands of sessions from standing still for its garbage collector.

CPython's full collections look at every container there is. With 5,000 devices attached twice that is some millions of
objects and took 0.7 s of a core (2.4 s on a busy machine): longer than a kill may take to be routed. What stays for
long, the sessions, needs no looking at: `gc.freeze` takes it out of every later collection, at no cost. An object that
nobody refers to is freed all the same; only cycles among frozen objects wait, and they are bounded by what was
there when it was frozen. Most of the sessions gone, everything is looked at again, once.

This is the process's business and no library's, so nothing happens unless a gateway asks for it.
"""

import gc
from collections.abc import Callable
from typing import Final

import anyio

LOOK_S: Final = 0.5
GROWTH_MIN: Final = 500
"""Sessions that may come before they are frozen; so many are looked through in a few milliseconds."""
GROWTH_SHARE: Final = 0.1
"""Of those that are frozen already, so many may come on top before all are frozen anew."""


class Frozen:
    """Decides from the number of sessions when to freeze and when to thaw."""

    def __init__(self) -> None:
        self._sessions = 0

    def look(self, sessions: int) -> bool | None:
        """Return true to freeze what there is now, false to thaw everything, None to leave it as it is."""
        if sessions >= self._sessions + max(GROWTH_MIN, GROWTH_SHARE * self._sessions):
            self._sessions = sessions
            return True
        if self._sessions and sessions < self._sessions / 2:
            self._sessions = 0
            return False
        return None


async def keep_collections_short(sessions: Callable[[], int]) -> None:
    """Freeze sessions out of the garbage collector's way as they come, until cancelled; then thaw them.

    Args:
        sessions: How many there are now.
    """
    frozen = Frozen()
    try:
        while True:
            change = frozen.look(sessions())
            if change is True:
                gc.freeze()
            elif change is False:
                gc.unfreeze()
            await anyio.sleep(LOOK_S)
    finally:
        gc.unfreeze()
