"""What the control API says of tokens, and how it is asked for them: bodies as structs."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Role = Literal["viewer", "operator"]
NAME_MAX = 64
LASTS_MAX_S = 10 * 366 * 86_400


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed: everything but what could be used."""

    name: str
    role: Role
    created: float
    """Seconds since the epoch."""
    expires: float | None = None
    """Seconds since the epoch; null for never."""
    valid: bool = True
    """False when it has expired."""


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """All tokens, by name."""

    tokens: tuple[TokenView, ...]


class TokenOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a token."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]
    role: Role
    lasts_s: Annotated[float, Meta(gt=0, le=LASTS_MAX_S)] | None = None
    """Seconds until it expires; null for never."""
    by: str = ""


class TokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new token: the only time that it is shown."""

    name: str
    role: Role
    token: str
    expires: float | None = None


class TokenRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """A token that counts no longer."""

    name: str
    role: Role
