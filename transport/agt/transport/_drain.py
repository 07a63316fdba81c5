"""How connections end in order, where their wire has words for that: one session's, or all of a listener's."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio

from agt.transport._carrying import FAREWELL_S
from agt.transport._parting import answered

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
    return answered(session.link)


async def drain_all(sessions: "Mapping[str, Session]", timeout_s: float, reason: str) -> tuple[str, ...]:
    """Drain them all at once, within so many seconds; return the names of those that did not finish."""
    unfinished: list[str] = []

    async def part(name: str, session: "Session") -> None:
        if not await session.drain(timeout_s, reason):
            unfinished.append(name)

    async with anyio.create_task_group() as tasks:
        for name, session in sessions.items():
            tasks.start_soon(part, name, session)
    return tuple(sorted(unfinished))
