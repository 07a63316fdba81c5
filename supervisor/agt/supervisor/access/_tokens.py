"""Bearer tokens: made once, shown once, kept only as a hash.

A token is `agt_ID_SECRET`. The id is no secret: it finds the record, so that one comparison is made and not one a
record. The secret is 256 random bits, so SHA-256 is hash enough: a slow hash (bcrypt, argon2) makes guessing a person's
password dear, and nobody guesses 256 bits at any price; it would only let every request cost the supervisor a tenth of
a second. The comparison takes the same time wherever two hashes differ.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from agt.supervisor.tokens import Role, TokenOrder, TokenView

SECRET_BYTES: Final = 32
ID_BYTES: Final = 4
TOKEN_MAX: Final = 128
"""Characters of a token that are looked at at all."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_TOKEN: Final = re.compile(r"agt_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_NO_HASH: Final = "0" * 64


class TokenInvalid(ValueError):
    """Raised when a token can't be made as asked; the message says why."""


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a token."""

    name: str
    role: Role
    id: str
    hash: str
    """SHA-256 of the whole token, in hex."""
    created: float
    """Seconds since the epoch, as every time here."""
    expires: float | None = None
    """None for never."""

    def valid_at(self, now: float) -> bool:
        """Return whether it still counts."""
        return self.expires is None or now < self.expires


def make_token(order: TokenOrder, *, now: float, random_bytes: Callable[[int], bytes]) -> tuple[str, TokenRecord]:
    """Return a new token and what is kept of it.

    Raises:
        TokenInvalid: when the name can't be one.
    """
    if not _NAME.fullmatch(order.name):
        raise TokenInvalid(
            "a token's name is made of letters, digits and . _ @ -, and begins with one of the first two"
        )
    token_id = random_bytes(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=").decode()
    token = f"agt_{token_id}_{secret}"
    expires = None if order.lasts_s is None else now + order.lasts_s
    record = TokenRecord(name=order.name, role=order.role, id=token_id, hash=_hash(token), created=now, expires=expires)
    return token, record


def match_token(text: str, records: Iterable[TokenRecord], *, now: float) -> TokenRecord | None:
    """Return the record of a shown token; None when it is none of ours or has expired."""
    if len(text) > TOKEN_MAX:
        return None
    shape = _TOKEN.fullmatch(text)
    if shape is None:
        return None
    found = next((record for record in records if record.id == shape[1]), None)
    # Compared even with nothing, so that an id that exists takes no longer than one that doesn't.
    same = hmac.compare_digest(_hash(text), found.hash if found else _NO_HASH)
    return found if same and found is not None and found.valid_at(now) else None


def view_of(record: TokenRecord, *, now: float) -> TokenView:
    """Return a record as it is listed."""
    return TokenView(
        name=record.name,
        role=record.role,
        created=record.created,
        expires=record.expires,
        valid=record.valid_at(now),
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
