"""What the router keeps about one device: its paths, its place in a move, and the messages that wait.

Slots and no dicts of dicts: ten thousand of these are looked through in one turn when a kill comes.
"""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agt.router._move import MoveState
from agt.router._page import Page
from agt.router._path import Message, Path, joint_barrier
from agt.transport import Barrier, Delivery

if TYPE_CHECKING:
    from agt.router._batch import MoveBatch


@dataclass(slots=True)
class Parcel:
    """A message in the router's own hands, between two paths."""

    message: Message
    delivery: Delivery | None
    """The handle that will be settled; None for the repetition of a message that had ended as `written`."""
    expires_at: float
    """When its sender stops wanting it, on the router's clock."""
    doubtful: Barrier | None = None
    """The barrier that lets it be sent again although it may have arrived already; None when it can't have."""


class Device:
    """One attached device."""

    __slots__ = (
        "absent_since",
        "batch",
        "began",
        "closing",
        "component",
        "cut",
        "deadline",
        "held",
        "last_batch",
        "move_id",
        "name",
        "page",
        "paths",
        "pinned",
        "runtime",
        "session",
        "sessions",
        "state",
        "taken",
        "target",
        "vetoed",
    )

    def __init__(self, name: str, target: str, *, session: str | None = None, component: str | None = None) -> None:
        self.name, self.session, self.component = name, session, component
        self.paths: dict[str, Path] = {}
        """Attachments by runtime."""
        self.runtime = target
        """The owner: the only runtime whose path may write to the device."""
        self.page: Page | None = None
        """Its page in the ledger, open at the owner's counts; looked for at the first message there."""
        self.target = target
        """Where it belongs; differs from `runtime` only during a move."""
        self.state = MoveState.WAITING
        """A new device waits for its first attachment."""
        self.deadline = 0.0
        """When the drain ends, while draining."""
        self.move_id = 0
        """Grows with each move, so that a late call-back of an older one is recognised."""
        self.held: deque[Parcel] = deque()
        """New messages that wait for the move's end, in order."""
        self.taken: list[Parcel] = []
        """Messages taken back from the old path, oldest first; they go before the held ones."""
        self.absent_since = 0.0
        """When its last attachment went away, on the router's clock."""
        self.batch: MoveBatch | None = None
        """The receipt that this device's drain still owes a number."""
        self.last_batch: MoveBatch | None = None
        """The receipt that counts what this device sends again once its new path is there."""
        self.began: float | None = None
        """When its live session began, on the router's clock; None while it has none. A pin can hold a live one."""
        self.sessions = 0
        """How many sessions it has had."""
        self.pinned = False
        """Whether only a pin keeps its live session on control."""
        self.closing = False
        """Whether its attachments are to be closed when its path has been settled, so that it dials anew."""
        self.cut = False
        """Whether its newest drain ended at the deadline, with commands unanswered."""
        self.vetoed = False
        """Whether only a missing candidate attachment keeps it on control."""

    @property
    def path(self) -> Path | None:
        """The owner's path."""
        return self.paths.get(self.runtime)

    @property
    def unconfirmed(self) -> int:
        """Messages on the owner's path that leaving it for the target might not be able to confirm."""
        return self.unconfirmed_towards(self.target)

    def unconfirmed_towards(self, target: str) -> int:
        """Count the messages that a move to a runtime might not be able to confirm.

        What is queued counts too: a fenced path goes on writing it, and may lose it then.
        """
        path, new = self.path, self.paths.get(target)
        if path is None:
            return 0
        if new is not None and new.ready and joint_barrier(path, new) is Barrier.SEQUENCE:
            return 0  # Without an attachment to go to, a deadline may pass before there is one.
        return path.in_flight + path.queued

    def arrive(self) -> None:
        """Change hands: the runtime where it belongs owns it from now on."""
        self.runtime = self.target
        self.page = None

    def begin(self, *, now: float) -> None:
        """Begin a session: a path carries the device, and none was live."""
        assert self.began is None, "a device has one session at a time"
        self.began = now
        self.sessions += 1

    def end(self) -> None:
        """End the live session, if any: no pin holds it any more, and whatever comes next is placed anew."""
        self.began = None
        self.pinned = False
