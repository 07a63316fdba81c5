"""Who may talk on a Unix socket: the same user, a registered source, and somebody who knows this start's nonce.

All four conditions are looked at in one order, and anything else is refused; the nonce is compared in constant time.
"""

import enum
import hmac
import stat
from dataclasses import dataclass

from agt.supervisor.contracts._sources import SourceRegistry


class Refusal(enum.Enum):
    """Why a caller is turned away."""

    DIRECTORY_OPEN = "the runtime directory is not 0700"
    SOCKET_OPEN = "the socket is not 0600"
    OTHER_USER = "the caller is another user"
    WRONG_NONCE = "the caller knows another start of this gateway"
    NOT_REGISTERED = "the source is not registered and active"


@dataclass(frozen=True, slots=True)
class Caller:
    """What is known about a connection."""

    uid: int
    """By SO_PEERCRED, never by its own word."""
    source: str
    socket: str
    nonce: bytes


def admit(
    caller: Caller, *, registry: SourceRegistry, nonce: bytes, uid: int, directory_mode: int, socket_mode: int
) -> Refusal | None:
    """Return why a caller is refused, None when it is admitted.

    Args:
        caller: The connection.
        registry: Knows which sources are active.
        nonce: New at each start of the gateway.
        uid: Our own user.
        directory_mode: Of the runtime directory, as `stat` gives it.
        socket_mode: Of the socket.
    """
    if stat.S_IMODE(directory_mode) != 0o700:
        return Refusal.DIRECTORY_OPEN
    if stat.S_IMODE(socket_mode) != 0o600:
        return Refusal.SOCKET_OPEN
    if caller.uid != uid:
        return Refusal.OTHER_USER
    if not hmac.compare_digest(caller.nonce, nonce):
        return Refusal.WRONG_NONCE
    if not registry.admits(caller.source, caller.socket):
        return Refusal.NOT_REGISTERED
    return None
