"""One request, as far as it has been understood."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agt.router.http._headers import RawHeaders
from agt.router.http._key import Caller
from agt.router.http._rules import Treatment


@dataclass(slots=True)
class Asked:
    """Who wants what."""

    method: str
    path: str
    """Percent-decoded, without the query: what rules go by."""
    target: bytes
    """As the caller wrote it: what the service gets."""
    headers: RawHeaders
    caller: Caller
    treatment: Treatment
    body: bool
    """Whether it brings a body."""
    host: str
    """The caller's address; empty for a Unix socket."""
    scheme: str
    cut: Callable[[], None]
    """Ends the caller's connection at once."""
    added: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Headers that the answer gets beside its own."""
    started: bool = False
    """Whether the answer has begun, so that no other can take its place."""
    fell_back: bool = False
    """Whether control is asked in the candidate's place, and keeps it."""
