"""What the router keeps about one device: its paths, its place in a move, and the messages that wait.

A million of these may be known, and all are looked through in one turn when a kill comes. So each has slots for what
every device has, a shared number for its position, and nothing of its own for what it needs only while it moves.
"""

import enum
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agt.router._move import MoveState
from agt.router._page import Page
from agt.router._path import Message, Path, joint_barrier
from agt.router._rare import Rare
from agt.router._selector import Runtimes
from agt.transport import Barrier, Delivery

if TYPE_CHECKING:
    from agt.router._batch import MoveBatch

_Receipt: TypeAlias = "MoveBatch | None"
_LASTING: Final = ("session", "absent_since", "cut")
"""What is rare and outlives a move."""


class KeptBy(enum.Enum):
    """What alone keeps a device on control that would be on the candidate."""

    NO_ATTACHMENT = "no attachment"
    PIN = "pin"


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
    """One attached device: what every one of them has, in slots; what few have at a time is `Rare`."""

    __slots__ = (
        "aside",
        "began",
        "component",
        "hundredths",
        "kept_by",
        "name",
        "other",
        "page",
        "path",
        "runtime",
        "runtimes",
        "sessions",
        "state",
        "target",
    )

    session = Rare[str | None](lambda: None)
    """The session's own name, where it differs from the device's."""
    absent_since = Rare(float)
    """When its last attachment went away, on the router's clock."""
    held = Rare[deque[Parcel]](deque)
    """New messages that wait for the move's end, in order."""
    taken = Rare[list[Parcel]](list)
    """Messages taken back from the old path, oldest first; they go before the held ones."""
    deadline = Rare(float)
    """When the drain ends, while draining."""
    move_id = Rare(int)
    """The newest move's number, so that a late call-back of an older one is recognised."""
    batch = Rare[_Receipt](lambda: None)
    """The receipt that this device's drain still owes a number."""
    last_batch = Rare[_Receipt](lambda: None)
    """The receipt that counts what this device sends again once its new path is there."""
    closing = Rare(bool)
    """Whether its attachments are to be closed when its path has been settled, so that it dials anew."""
    cut = Rare(bool)
    """Whether its newest drain ended at the deadline, with commands unanswered."""

    def __init__(
        self,
        name: str,
        runtimes: Runtimes,
        hundredths: int,
        *,
        session: str | None = None,
        component: str | None = None,
    ) -> None:
        self.name, self.component = name, component
        self.runtimes = runtimes
        """The names of both runtimes."""
        self.runtime = self.target = runtimes.control
        """`runtime` is the owner: the only runtime whose path may write to the device. `target` is where it belongs;
        the two differ only during a move."""
        self.path: Path | None = None
        """The owner's path."""
        self.other: Path | None = None
        """The attachment of the runtime that doesn't own it."""
        self.page: Page | None = None
        """Its page in the ledger, open at the owner's counts; looked for at the first message there."""
        self.state = MoveState.WAITING
        """A new device waits for its first attachment."""
        self.hundredths = hundredths
        """Its position under the salt that is in force, in hundredths of a percent."""
        self.began: float | None = None
        """When its live session began, on the router's clock; None while it has none. A pin can hold a live one."""
        self.sessions = 0
        """How many sessions it has had."""
        self.kept_by: KeptBy | None = None
        """What alone keeps it on control."""
        self.aside: dict[str, Any] | None = None
        """What is `Rare` about it now; None when nothing is."""
        if session is not None:
            self.session = session

    @property
    def vetoed(self) -> bool:
        """Whether only a missing candidate attachment keeps it on control."""
        return self.kept_by is KeptBy.NO_ATTACHMENT

    @property
    def pinned(self) -> bool:
        """Whether only a pin keeps its live session on control."""
        return self.kept_by is KeptBy.PIN

    # Attachments

    @property
    def paths(self) -> Mapping[str, Path]:
        """Attachments by runtime, as they are now."""
        both = ((self.runtime, self.path), (self._other_runtime, self.other))
        return {runtime: path for runtime, path in both if path is not None}

    @property
    def attached(self) -> bool:
        """Whether it has any attachment."""
        return self.path is not None or self.other is not None

    def path_of(self, runtime: str) -> Path | None:
        """Return the attachment of a runtime."""
        return self.path if runtime == self.runtime else self.other

    def put(self, runtime: str, path: Path | None) -> None:
        """Give it an attachment in the place of what was there, or take it away."""
        if runtime == self.runtime:
            self.path = path
        else:
            self.other = path

    def belong(self, runtime: str) -> None:
        """Make a new device a runtime's own."""
        self.target = runtime
        self.arrive()

    def arrive(self) -> None:
        """Change hands: the runtime where it belongs owns it from now on."""
        self.owned_by(self.target)

    def owned_by(self, runtime: str) -> None:
        """Make a runtime the owner, wherever the device belongs."""
        if runtime != self.runtime:
            self.runtime, self.page = runtime, None
            self.path, self.other = self.other, self.path

    @property
    def _other_runtime(self) -> str:
        control, candidate = self.runtimes.control, self.runtimes.candidate
        return candidate if self.runtime == control else control

    # Moves and sessions

    @property
    def waiting(self) -> int:
        """Messages that wait for the move's end."""
        aside = self.aside
        return 0 if aside is None else len(aside.get("held", ())) + len(aside.get("taken", ()))

    def rest(self) -> None:
        """Forget what only a move needs: it has ended."""
        aside = self.aside
        if aside is not None:
            self.aside = {name: value for name, value in aside.items() if name in _LASTING} or None

    @property
    def unconfirmed(self) -> int:
        """Messages on the owner's path that leaving it for the target might not be able to confirm."""
        return self.unconfirmed_towards(self.target)

    def unconfirmed_towards(self, target: str) -> int:
        """Count the messages that a move to a runtime might not be able to confirm.

        What is queued counts too: a fenced path goes on writing it, and may lose it then.
        """
        path, new = self.path, self.path_of(target)
        if path is None:
            return 0
        if new is not None and new.ready and joint_barrier(path, new) is Barrier.SEQUENCE:
            return 0  # Without an attachment to go to, a deadline may pass before there is one.
        return path.in_flight + path.queued

    def begin(self, *, now: float) -> None:
        """Begin a session: a path carries the device, and none was live."""
        assert self.began is None, "a device has one session at a time"
        self.began = now
        self.sessions += 1

    def end(self) -> None:
        """End the live session, if any: no pin holds it any more, and whatever comes next is placed anew."""
        self.began = None
        if self.pinned:
            self.kept_by = None
