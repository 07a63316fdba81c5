"""What an operator sees of live sessions, and asks of them: a page of the list, an order to restart some, its receipt.

The shapes are those of the routers (`agt.router.SessionStatus` and its neighbours), added up over all of them. Like
`view` this module holds facts and no behaviour, so that clients need nothing else.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

ORDER_MAX: Final = 1000
"""Sessions in one order; whoever restarts more sends several."""
PAGE_MAX: Final = 1000
"""Sessions in one page."""


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """One live session."""

    router: str = ""
    """The socket of the router that has it."""
    session: str
    device: str
    number: int = 1
    """How many sessions the device has had there, this one included."""
    runtime: str
    """Where it lives."""
    since: float
    """When it began, seconds since the epoch."""
    state: str = "carrying"
    """`carrying`, `draining` or `waiting`."""
    pinned: bool = False
    """Whether only a pin keeps it from being moved now."""
    reason: str = ""
    """Why it is where it belongs now."""
    in_flight: int = 0
    held: int = 0
    at_restart: str = ""
    """Where it would live if it were restarted now."""
    at_restart_says: str = ""
    move: str = ""
    """How it would get there: `in-place`, `warm`, `redial`; empty when it stays."""


class SessionList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of live sessions, by device."""

    total: int
    """How many were asked for, on all pages."""
    sessions: tuple[SessionView, ...] = ()
    after: str = ""
    """The device after which the next page begins; empty when this is the last."""
    generations: dict[str, int] = {}
    """The selector's generation that each router applies."""
    missing: dict[str, str] = {}
    """Routers that didn't answer, and why: their sessions are not in the list."""


class SessionOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to restart, and how."""

    sessions: Annotated[tuple[str, ...], Meta(min_length=1, max_length=ORDER_MAX)]
    """By their own names or their devices'."""
    redial: bool = False
    """Whether to close their connections too, so that each device dials anew."""
    dry_run: bool = False
    """Only say what it would do."""
    generations: dict[str, int] = {}
    """The selector's generation by router, as the list said it; a router that applies another one refuses the order."""
    by: str = ""
    """Who asks, as claimed; recorded, never trusted."""
    reason: str = ""


class SessionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each session of an order; every name is in exactly one of the lists."""

    restarted: tuple[str, ...] = ()
    """Ended between commands, and begun anew."""
    timed_out: tuple[str, ...] = ()
    """Restarted too, but at the drain's deadline, with commands unanswered."""
    waiting: tuple[str, ...] = ()
    """Ended; the next one waits for an attachment."""
    moving: tuple[str, ...] = ()
    """Still draining when the routers answered."""
    unchanged: tuple[str, ...] = ()
    """Left alone: a restart would have changed nothing."""
    refused: dict[str, str] = {}
    """Not touched, and why."""
    resent: int = 0
    indeterminate: int = 0
    missing: dict[str, str] = {}
    """Routers that didn't carry the order out, and why."""
    dry_run: bool = False
