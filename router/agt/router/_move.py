"""One device's move from one runtime to the other, as a table.

Theory of operation. A device is always in one of four states. CARRYING: one path owns it, messages go straight
through. DRAINING: the old path is *fenced* (no new message enters; they are held, in order) while its replies
are listened to, until it is quiet or the deadline passes. WAITING: the old path has been *settled* (everything
unsettled was taken back) and the new path has no attachment yet; messages are still held. Then *route*: what
was taken back and may be sent again, then what was held, goes over the new path in order, and the device is
CARRYING again. ENDED: the device is gone, whatever was held is settled.

Forward and back are the same table; only the deadline differs. Going forward never waits for an attachment,
because a veto keeps the device on control until the candidate's is up; WAITING is for the way back. The old
path stays the owner until it has been settled, so at each instant exactly one path may write to the device.

`step` decides, the router acts: a transition names the effects in order and never performs them.
"""

import enum
from collections.abc import Mapping
from typing import Final

from agt.router._errors import MoveRefused


class MoveState(enum.Enum):
    """Where a device is in its move."""

    CARRYING = "carrying"
    DRAINING = "draining"
    WAITING = "waiting"
    ENDED = "ended"


class MoveEvent(enum.Enum):
    """What can happen to a device's move; past participles."""

    TURNED = "turned"
    """The decision names the other runtime."""
    RETURNED = "returned"
    """The decision names the old runtime again; one that has been settled is a new path like any other."""
    QUIETED = "quieted"
    """Nothing is in flight or queued on the old path."""
    EXPIRED = "expired"
    """The drain's deadline has passed."""
    LOST = "lost"
    """The old path's attachment was taken away for good."""
    ARRIVED = "arrived"
    """The new path's attachment is up."""
    LEFT = "left"
    """The device is gone altogether."""
    RESTARTED = "restarted"
    """Its session is to end between commands and its attachments to be closed, wherever it belongs."""


class MoveEffect(enum.Enum):
    """What the router does when a transition says so; imperatives."""

    FENCE = "fence"
    """Let no new message enter the old path; hold them in order."""
    UNFENCE = "unfence"
    """Give what was held to the old path after all."""
    SETTLE = "settle"
    """Take back everything unsettled from the old path, and decide what is in doubt."""
    ROUTE = "route"
    """Send what was taken back, then what was held, over the new path."""
    CLOSE = "close"
    """Settle everything: there is no device any more."""


_S, _E, _F = MoveState, MoveEvent, MoveEffect

MOVES: Final[Mapping[tuple[MoveState, MoveEvent], tuple[MoveState, tuple[MoveEffect, ...]]]] = {
    (_S.CARRYING, _E.TURNED): (_S.DRAINING, (_F.FENCE,)),
    (_S.CARRYING, _E.RESTARTED): (_S.DRAINING, (_F.FENCE,)),
    (_S.CARRYING, _E.LOST): (_S.WAITING, (_F.FENCE, _F.SETTLE)),
    (_S.CARRYING, _E.LEFT): (_S.ENDED, (_F.SETTLE, _F.CLOSE)),
    (_S.DRAINING, _E.QUIETED): (_S.WAITING, (_F.SETTLE,)),
    (_S.DRAINING, _E.EXPIRED): (_S.WAITING, (_F.SETTLE,)),
    (_S.DRAINING, _E.LOST): (_S.WAITING, (_F.SETTLE,)),
    (_S.DRAINING, _E.RETURNED): (_S.CARRYING, (_F.UNFENCE,)),
    (_S.DRAINING, _E.LEFT): (_S.ENDED, (_F.SETTLE, _F.CLOSE)),
    (_S.WAITING, _E.ARRIVED): (_S.CARRYING, (_F.ROUTE,)),
    (_S.WAITING, _E.RETURNED): (_S.WAITING, ()),
    (_S.WAITING, _E.LEFT): (_S.ENDED, (_F.CLOSE,)),
}
"""Every transition there is; a pair that is missing can't happen."""


def step(state: MoveState, event: MoveEvent) -> tuple[MoveState, tuple[MoveEffect, ...]]:
    """Return the next state and the effects to perform, in order.

    Raises:
        MoveRefused: when the table has no such transition; the state stays as it was.
    """
    try:
        return MOVES[state, event]
    except KeyError:
        raise MoveRefused(state.value, event.value) from None
