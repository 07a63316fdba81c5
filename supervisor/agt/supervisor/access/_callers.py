"""Who calls, and what a caller of that kind may do.

Refused by default: what reads is allowed to a viewer, one preview beside it, and everything else needs an operator. A
route that somebody adds is therefore closed to viewers until it is a GET. Tokens themselves are made and ended by the
owner of the run directory alone, or an operator's token could outlive its own revocation by making another.
"""

from dataclasses import dataclass
from typing import Final

from agt.supervisor.tokens import Role

_SHOWN: Final = "token:"
"""Before a name that a token has shown."""
_CLAIMED: Final = "claimed:"
_PEER: Final = "peer:"
"""Before an address that showed no token of ours."""
_UNNAMED: Final = "operator"

_READS: Final = frozenset({"GET", "HEAD"})
_ASKS: Final = frozenset({"/v1/previews"})
_OWNERS: Final = "/v1/tokens"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str
    """Of the token; empty for the owner at the Unix socket, who is not told apart from another of their processes."""
    role: Role
    owner: bool = False
    """Whether the kernel says that this is our own user."""
    token_id: str = ""
    """Of the token that was shown; empty without one."""


LOCAL: Final = Caller(name="", role="operator", owner=True)
"""Who comes over the Unix socket: its peer's uid was compared at accept."""


def may_call(caller: Caller, method: str, path: str) -> bool:
    """Return whether this caller may send such a request."""
    if path == _OWNERS or path.startswith(f"{_OWNERS}/"):
        return caller.owner
    if method in _READS or path in _ASKS:
        return True
    return caller.role == "operator"


def bind_name(by: str, caller: Caller) -> str:
    """Return who an order is by: the token's own name, whatever the order claims; else the claim, marked if need be.

    Nothing is refused here, because going back mustn't fail for a name.
    """
    if caller.token_id:
        return f"{_SHOWN}{caller.name}"
    return f"{_CLAIMED}{by}" if by.startswith((_SHOWN, _PEER)) else by


def recorded_name(by: str) -> str:
    """Return a bound name as the audit writes it: `token:NAME`, `peer:ADDRESS` or `claimed:NAME`."""
    return by if by.startswith((_SHOWN, _PEER, _CLAIMED)) else f"{_CLAIMED}{by or _UNNAMED}"
