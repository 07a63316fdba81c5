"""The account of every way back: what it moved, how fast, and what became of what was in doubt.

A way back is over in an instant for whoever asked, and for the routers only when the last old path has settled. So the
account is opened with the receipt, grows while routers are asked, and is kept for good when they are done.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec

from agt.supervisor.rollout._way import Settled, Way
from agt.supervisor.view import RollbackView

ROLLBACKS_MAX: Final = 50
"""Ways back that are shown; older ones are in the journal."""


class Rollbacks:
    """Ways back, oldest first; each completed while its moves settle."""

    def __init__(
        self,
        way: Way,
        known: Iterable[RollbackView] = (),
        *,
        keep: Callable[[RollbackView], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        """Go on with what earlier supervisors accounted for.

        Args:
            way: Asks the routers.
            known: Accounts from the journal, oldest first.
            keep: Writes a completed account down; never raises.
            on_change: Called when a shown figure has changed.
        """
        self._way, self._keep, self._on_change = way, keep, on_change
        self.views: tuple[RollbackView, ...] = tuple(known)[-ROLLBACKS_MAX:]

    def begin(self, view: RollbackView) -> None:
        """Open an account with what the receipt said."""
        self.views = (*self.views, view)[-ROLLBACKS_MAX:]

    async def follow(self, view: RollbackView, *, generation: int, began: float) -> None:
        """Show what the routers say until they have settled, then keep it; `began` is the loop's clock."""
        shown = kept = view

        def show(found: Settled) -> None:
            nonlocal shown
            newer = _with(view, found)
            if newer != shown:
                self.views = tuple(newer if one == shown else one for one in self.views)
                shown = newer
                self._on_change()

        async for found in self._way.settling(generation, began=began):
            show(found)
            if found.settled_s is not None and kept.settled_ms is None:
                kept = shown
                await self._keep(kept)
        if shown != kept:
            await self._keep(shown)


def _with(view: RollbackView, found: Settled) -> RollbackView:
    return msgspec.structs.replace(
        view,
        settled_ms=None if found.settled_s is None else found.settled_s * 1000,
        moved=found.moved,
        resent=found.resent,
        indeterminate=found.indeterminate,
    )
