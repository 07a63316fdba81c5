"""How a session's connection ends in order, where its wire has words for that."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from agt.transport._carrying import FAREWELL_S

if TYPE_CHECKING:
    from agt.transport._session import Session


async def drain(session: "Session", timeout_s: float, reason: str) -> bool:
    """Have nothing new go out, wait until what is in flight is answered and the connection has ended.

    Where the wire has no words for it, or there is no connection, nothing happens. Messages that were not written wait
    for another connection, or for `Session.close`, which says that they were not delivered.

    Args:
        session: whose connection.
        timeout_s: the longest wait, in seconds; the connection ends then all the same.
        reason: why, for people; the peer is told.

    Returns:
        Whether nothing was left unanswered.
    """
    say: Callable[..., None] | None = getattr(session.link, "drain", None)
    if session.connected and say is not None:
        ended = anyio.Event()

        def on_change(changed: "Session") -> None:
            if not changed.connected:
                ended.set()

        with session.watching(on_change):
            say(reason, within_s=timeout_s, now=session.now())
            session.changed()
            with anyio.move_on_after(timeout_s + FAREWELL_S):
                await ended.wait()
    return not session.link.in_flight
