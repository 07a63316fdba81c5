"""Where an answer comes from: one question to one side, bounded in time and size, with one reason when it fails.

A side that can't be reached, answers too late, too much or nonsense raises `SourceFailed`; nothing else gets out, and
nothing of that sort ever counts as equal.
"""

from typing import Any, Final, Protocol

import msgspec

from agt.router._errors import RouterError
from agt.router.parity._json import DOCUMENT_MAX_BYTES, parse_json
from agt.router.parity._listing import Layout, Listing, decode_listing, listing_of
from agt.router.parity._values import ABSENT

TIMEOUT_S: Final = 10.0
"""Seconds that one answer may take, unless its source says otherwise."""


class SourceFailed(RouterError):
    """Raised when a source gives no usable answer; `says` is the reason, without the source's name."""

    def __init__(self, source: str, says: str, *, status: int | None = None) -> None:
        super().__init__(f"{source} {says}")
        self.source, self.says = source, says
        self.status = status
        """With what a command ended by itself; None when it was something else that failed."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long an answer may take, and how large it may be."""

    timeout_s: float = TIMEOUT_S
    max_bytes: int = DOCUMENT_MAX_BYTES


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One question of a suite; listings are asked for without one."""

    name: str = ""
    seed: int = 0
    body: Any = ABSENT
    """Any JSON value: a command's standard input, a socket's line, a request's body, a function's argument."""
    method: str = ""
    """HTTP only; empty: POST with a body, else GET."""
    path: str = ""
    """HTTP only; joined to the source's address."""
    arguments: tuple[str, ...] = ()
    """Commands only; added to the source's."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a source answered."""

    data: bytes | None = None
    """The bytes; None when the answer was a Python value from the start."""
    value: Any = None
    """The value, when there are no bytes; made of plain JSON types."""
    status: int | None = None
    """HTTP status, where there is one."""
    took_s: float = 0.0

    @property
    def refused(self) -> bool:
        """Whether an HTTP server answered, but not with what was asked for."""
        return self.status is not None and not 200 <= self.status < 300

    def decoded(self) -> Any:
        """Return the answer's JSON value.

        Raises:
            ValueError: when it is no JSON.
        """
        return self.value if self.data is None else parse_json(self.data)

    def listing(self, layout: Layout) -> Listing:
        """Return the listing in the answer.

        Raises:
            ListingRefused: when there is none in it.
        """
        return listing_of(self.value, layout) if self.data is None else decode_listing(self.data, layout)


class Source(Protocol):
    """One side of a comparison."""

    @property
    def name(self) -> str:
        """What messages call it; holds no secrets."""
        ...

    async def ask(self, call: Call | None = None) -> Answer:
        """Get one answer.

        Raises:
            SourceFailed: when there is none in time and size.
        """
        ...
