"""The tokens of a run directory, in one small file: 0600, whole or not at all, read again when it has changed.

The command line may write it without a supervisor, so that a token can be revoked at any time. Readers look at the
file's identity (inode, size, time of change) before each use, which costs a few microseconds, and parse it only when
that is new. A file that can't be read lets nobody in.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.access._tokens import TokenInvalid, TokenRecord, make_token, match_token, view_of
from agt.supervisor.tokens import TokenMade, TokenOrder, TokenPage, TokenRevoked

NAME: Final = "tokens.json"
LOCK: Final = "tokens.lock"
TOKENS_MAX: Final = 64
FILE_MAX_BYTES: Final = 64 << 10


class TokenFileDamaged(SupervisorError):
    """Raised when the file can't be used: damaged, too large, or open to others."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's contents."""

    schema: int = 1
    tokens: tuple[TokenRecord, ...] = ()


class TokenFile:
    """The tokens of one run directory."""

    def __init__(
        self,
        run: Path,
        *,
        clock: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.path, self._lock = run / NAME, run / LOCK
        self._clock, self._random_bytes = clock, random_bytes
        self._cached: tuple[tuple[int, ...], tuple[TokenRecord, ...]] = ((), ())
        """The file's identity and what it held then; one tuple, because threads share it."""

    def match(self, text: str) -> TokenRecord | None:
        """Return the record of a shown token; None when it is none of ours, or the file can't be read."""
        try:
            return match_token(text, self._read(), now=self._clock())
        except TokenFileDamaged:
            return None

    def holds(self, token_id: str) -> bool:
        """Return whether a token that was matched still counts."""
        try:
            return any(one.id == token_id and one.valid_at(self._clock()) for one in self._read())
        except TokenFileDamaged:
            return False

    def page(self) -> TokenPage:
        """Return all tokens, by name.

        Raises:
            TokenFileDamaged: when the file can't be used.
        """
        now = self._clock()
        return TokenPage(tokens=tuple(view_of(one, now=now) for one in sorted(self._read(), key=lambda one: one.name)))

    def create(self, order: TokenOrder) -> TokenMade:
        """Make a token, durable before it is returned.

        Raises:
            TokenInvalid: when there is a valid one of that name, the name is none, or there are too many.
            TokenFileDamaged: when the file can't be used or written.
        """
        token, record = make_token(order, now=self._clock(), random_bytes=self._random_bytes)
        with self._locked():
            others = [one for one in self._read() if one.name != order.name]
            if any(one.name == order.name and one.valid_at(self._clock()) for one in self._read()):
                raise TokenInvalid(f"there is a token {order.name!r} already; revoke it first: agt token revoke NAME")
            if len(others) >= TOKENS_MAX:
                raise TokenInvalid(f"there are {TOKENS_MAX} tokens, which is the limit; revoke one first")
            self._write((*others, record))
        return TokenMade(name=record.name, role=record.role, token=token, expires=record.expires)

    def revoke(self, name: str) -> TokenRevoked:
        """Let a token count no longer, from this moment on.

        Raises:
            KeyError: when there is none of that name.
            TokenFileDamaged: when the file can't be used or written.
        """
        with self._locked():
            found = next((one for one in self._read() if one.name == name), None)
            if found is None:
                raise KeyError(name)
            self._write(tuple(one for one in self._read() if one is not found))
        return TokenRevoked(name=found.name, role=found.role)

    def _read(self) -> tuple[TokenRecord, ...]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._damaged(error.strerror or "it can't be read") from error
        seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        cached = self._cached
        if seen != cached[0]:
            cached = self._cached = (seen, self._parse(found))
        return cached[1]

    def _parse(self, found: os.stat_result) -> tuple[TokenRecord, ...]:
        if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
            raise self._damaged("others can read or write it", f"close it with `chmod 600 {self.path}`")
        if found.st_size > FILE_MAX_BYTES:
            raise self._damaged(f"it is larger than {FILE_MAX_BYTES} bytes")
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=_Kept)
        except OSError as error:
            raise self._damaged(error.strerror or "it can't be read") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._damaged(str(error)) from error
        return kept.tokens[:TOKENS_MAX]

    def _damaged(self, why: str, hint: str = "") -> TokenFileDamaged:
        return TokenFileDamaged(
            f"the tokens in {self.path} can't be used: {why}", hint or "move the file away and create the tokens anew"
        )

    def _write(self, tokens: tuple[TokenRecord, ...]) -> None:
        try:
            handle, fresh = tempfile.mkstemp(prefix=f".{NAME}.", dir=self.path.parent)  # Born 0600.
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.format(msgspec.json.encode(_Kept(tokens=tokens))))
                    file.flush()
                    os.fsync(file.fileno())
                Path(fresh).replace(self.path)
            except BaseException:
                Path(fresh).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise TokenFileDamaged(f"{self.path} can't be written: {error.strerror}", "nothing was changed") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out; released by the kernel whatever becomes of us."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TokenFileDamaged(
                f"{self._lock} can't be opened: {error.strerror}", "is that a run directory?"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
