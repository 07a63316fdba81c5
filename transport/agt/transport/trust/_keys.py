"""Pre-shared keys: secrets that both ends of a plain connection know, by id, so that they can be changed one by one.

A key never appears in a `repr`, a log line or an error. One that can be read by other users is no secret, so a key
file must have mode 0600; it is refused otherwise.
"""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from typing import Final, NoReturn

from agt.transport._errors import BadCredential, UsageError

SECRET_MIN: Final = 32
"""Bytes that a secret must have: what is guessed must not be guessable."""
SECRET_MAX: Final = 64
"""Bytes that a secret may have: what keyed BLAKE2b takes."""
KEY_ID_MAX: Final = 64
"""Characters that a key's id may have."""
KEY_FILE_MAX: Final = 65536
"""Largest key file, in bytes."""


class PreSharedKey:
    """One secret and its id; compares by both, and never shows the secret."""

    __slots__ = ("_secret", "id", "peers")

    def __init__(self, key_id: str, secret: bytes, *, peers: Iterable[str] = ()) -> None:
        """Wrap a secret.

        Args:
            key_id: which key it is; told to anybody who asks, so nothing secret.
            secret: 32 to 64 random bytes, not a password: see `generate`.
            peers: the names that the other end may claim with this key; any when empty.

        Raises:
            BadCredential: when the id or the secret is of no use.
        """
        if not key_id or len(key_id) > KEY_ID_MAX or not key_id.isprintable() or any(map(str.isspace, key_id)):
            raise BadCredential("a key's id", f"must be 1 to {KEY_ID_MAX} printable characters without spaces")
        if not SECRET_MIN <= len(secret) <= SECRET_MAX:
            raise BadCredential(
                f"key {key_id!r}",
                f"must have {SECRET_MIN} to {SECRET_MAX} random bytes, not {len(secret)}; `openssl rand -hex 32` makes "
                "some",
            )
        self.id = key_id
        """Which key it is."""
        self.peers = frozenset(peers)
        """The names that the other end may claim; any when empty."""
        self._secret = bytes(secret)

    @classmethod
    def generate(cls, key_id: str, *, peers: Iterable[str] = ()) -> "PreSharedKey":
        """Make a key of 32 random bytes."""
        return cls(key_id, secrets.token_bytes(SECRET_MIN), peers=peers)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "PreSharedKey":
        """Read the one key of a file, see `KeyRing.from_file` for its form.

        Raises:
            BadCredential: when it can't be used, with the way out.
        """
        keys = tuple(KeyRing.from_file(path))
        if len(keys) != 1:
            raise BadCredential(str(path), f"holds {len(keys)} keys and should hold one; the others are for listeners")
        return keys[0]

    def allows(self, name: str) -> bool:
        """Whether the other end may claim this name."""
        return not self.peers or name in self.peers

    def reveal(self) -> bytes:
        """Return the secret itself; only for computing with it, or for writing it to a file."""
        return self._secret

    def line(self) -> str:
        """Return the line that stands for this key in a key file; it holds the secret."""
        return " ".join((self.id, self._secret.hex(), *sorted(self.peers)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PreSharedKey):
            return NotImplemented
        same_secret = secrets.compare_digest(self._secret, other._secret)
        return same_secret and (self.id, self.peers) == (other.id, other.peers)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> NoReturn:
        raise UsageError("a key is not pickled: that would put its secret wherever the pickle goes")

    def __repr__(self) -> str:
        peers = f", peers={sorted(self.peers)!r}" if self.peers else ""
        return f"PreSharedKey({self.id!r}{peers})"


class KeyFile:
    """A key that is read from its file anew for each connection, so that it can be changed without a restart."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Remember where the key is; the file need not be there yet."""
        self.path = str(path)
        """The file's path, see `KeyRing.from_file` for its form; it should hold one key."""

    def __call__(self) -> PreSharedKey:
        """Read the key.

        Raises:
            BadCredential: when it can't be used, with the way out.
        """
        return PreSharedKey.from_file(self.path)

    def __repr__(self) -> str:
        return f"KeyFile({self.path!r})"


class KeyRing:
    """The keys that a listener takes, by id; change it at any time, connections from then on see the change."""

    def __init__(self, *keys: PreSharedKey) -> None:
        """Hold these keys.

        Raises:
            BadCredential: when two have the same id.
        """
        self._keys: dict[str, PreSharedKey] = {}
        for key in keys:
            self.add(key)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "KeyRing":
        """Read keys from a file of mode 0600.

        One key a line: its id, its secret in hex, and the names that the other end may claim with it, if not any.
        Empty lines and those that start with `#` are passed over.

        Raises:
            BadCredential: naming the file and what is wrong with it, never what is in it.
        """
        return cls(*read_keys(str(path), _read_private(str(path))))

    def add(self, key: PreSharedKey) -> None:
        """Take another key.

        Raises:
            BadCredential: when there is one with the same id.
        """
        if key.id in self._keys:
            raise BadCredential(f"key {key.id!r}", "there is one with this id already; give the new one a new id")
        self._keys[key.id] = key

    def remove(self, key_id: str) -> None:
        """Take a key no longer; connections that were made with it last. A no-op when there is none."""
        self._keys.pop(key_id, None)

    def get(self, key_id: str) -> PreSharedKey | None:
        """Return the key with this id, or None."""
        return self._keys.get(key_id)

    def __iter__(self) -> Iterator[PreSharedKey]:
        return iter(tuple(self._keys.values()))

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(map(repr, self._keys))})"


def write_key_file(path: str | os.PathLike[str], *keys: PreSharedKey) -> None:
    """Write keys to a file of mode 0600, in place of an older one, in one step.

    Raises:
        BadCredential: when it can't be written.
    """
    name = str(path)
    fresh = f"{name}.new"
    text = "".join(f"{key.line()}\n" for key in keys)
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(fresh, name)  # noqa: PTH105 - one system call, beside the others
    except OSError as error:
        raise BadCredential(name, f"the key file can't be written: {os.strerror(error.errno or 0).lower()}") from error


def new_runtime_nonce(path: str | os.PathLike[str]) -> PreSharedKey:
    """Make the nonce of this run, a key that was never used before, and write it where our own user can read it.

    For listeners on a Unix socket: to be called at each start, and given as the only key. Whoever dials reads it from
    the file (`KeyFile`); what is left of an earlier run opens nothing.

    Raises:
        BadCredential: when the file can't be written.
    """
    key = PreSharedKey.generate(f"run-{secrets.token_hex(4)}")
    write_key_file(path, key)
    return key


def _read_private(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # A pipe would be waited for.
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)  # Of what was opened, not of what stands there a moment later.
            if not stat.S_ISREG(found.st_mode):
                raise BadCredential(path, "is no regular file")
            if found.st_uid not in (os.getuid(), 0):
                raise BadCredential(path, f"belongs to uid {found.st_uid}; a key file must be our own")
            if open_to := stat.S_IMODE(found.st_mode) & 0o077:
                raise BadCredential(
                    path, f"is open to others (mode has {open_to:03o}); `chmod 600` it and change the key"
                )
            data = file.read(KEY_FILE_MAX + 1)
    except OSError as error:
        raise BadCredential(path, f"the key file can't be read: {os.strerror(error.errno or 0).lower()}") from error
    if len(data) > KEY_FILE_MAX:
        raise BadCredential(path, f"has more than {KEY_FILE_MAX} bytes; is it a key file?")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadCredential(path, "is not text; one key a line: id, secret in hex") from None


def read_keys(path: str, text: str) -> Iterator[PreSharedKey]:
    """Yield the keys of a file's text; `path` is for messages.

    Raises:
        BadCredential: naming the line, never what is in it.
    """
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key_id, secret, *peers = words
            key = PreSharedKey(key_id, bytes.fromhex(secret), peers=peers)
        except ValueError:
            raise BadCredential(f"{path}, line {number}", "should be: id, secret in hex, names if not any") from None
        except BadCredential as error:
            raise BadCredential(f"{path}, line {number}", error.why) from None
        yield key
