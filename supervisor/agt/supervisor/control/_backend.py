"""What the control API needs from a supervisor: six verbs, so that it can be served by a script in tests too."""

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from agt.supervisor.actions import Action
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt
from agt.supervisor.view import Preview, Receipt, View


@runtime_checkable
class Backend(Protocol):
    """A supervisor as the control API sees it."""

    def view(self) -> View:
        """Return the present picture; cheap, it is asked at every request."""
        ...

    def changes(self) -> AsyncIterator[View]:
        """Yield each newer view, for as long as the supervisor lives; it may leave some out, never go backwards."""
        ...

    async def act(self, action: Action) -> Receipt:
        """Do what is asked and say what came of it.

        Raises:
            Refused: When it can't be done; then nothing was changed.
        """
        ...

    async def preview(self, action: Action) -> Preview:
        """Say what the action would do, and change nothing.

        Raises:
            Refused: When it could not be done.
        """
        ...

    async def sessions(self, *, runtime: str, pinned: bool, after: str, limit: int) -> SessionList:
        """Return live sessions by device: of one runtime or all, all or only the pinned, those after a device.

        Raises:
            Refused: When there is no such runtime.
        """
        ...

    async def restart_sessions(self, order: SessionOrder) -> SessionReceipt:
        """Restart sessions between commands and say what became of each.

        Raises:
            Refused: When nothing can be asked of routers now.
        """
        ...
