"""What the feed tells the application; both fold, because only the latest matters."""

from dataclasses import dataclass
from typing import Literal

from textual.message import Message

from agt.supervisor.view import View

ConnectionState = Literal["starting", "live", "lost", "ended"]


@dataclass(frozen=True)
class Connection:
    """How the screen stands to its supervisor."""

    state: ConnectionState
    since: float = 0.0
    """When it came to this, in seconds since the epoch."""
    reason: str = ""
    """Why it is lost, or what is waited for."""
    last_view_at: float | None = None
    """When the last view arrived; None when there was none."""


@dataclass
class SnapshotArrived(Message, bubble=False):
    """A newer view; only the latest one matters."""

    view: View

    def can_replace(self, message: Message) -> bool:
        """Fold a burst into its last."""
        return isinstance(message, SnapshotArrived)


@dataclass
class ConnectionChanged(Message, bubble=False):
    """The connection came, went, or is still being tried."""

    connection: Connection

    def can_replace(self, message: Message) -> bool:
        """Fold a burst into its last."""
        return isinstance(message, ConnectionChanged)
