"""Pre-shared keys and their files: what is taken, what is refused, and that a secret never shows."""

import copy
import logging
import os
import pickle
import secrets
import stat
from pathlib import Path

import pytest

from agt.transport import BadCredential, KeyFile, KeyRing, PreSharedKey, UsageError, write_key_file

SECRET = bytes(range(32))


def key_file(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file as an operator would."""
    path.write_text(text)
    path.chmod(mode)
    return path


def test_keys_come_from_a_file_by_id(tmp_path: Path):
    """One a line: id, secret in hex, and whom it is for; comments and empty lines are nothing."""
    path = key_file(
        tmp_path / "keys", f"# gateways\n\n2026-a {SECRET.hex()} dev-1 dev-2\n2026-b {SECRET[::-1].hex()}\n"
    )
    ring = KeyRing.from_file(path)
    assert [key.id for key in ring] == ["2026-a", "2026-b"]
    first = ring.get("2026-a")
    assert first is not None
    assert (first.reveal(), first.allows("dev-1"), first.allows("dev-3")) == (SECRET, True, False)
    second = ring.get("2026-b")
    assert second is not None
    assert second.allows("anybody")
    assert ring.get("2025-z") is None


def test_what_is_written_is_read_again_and_nobody_else_can(tmp_path: Path):
    """In one step, over an older file, mode 0600 whatever the umask."""
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        key = PreSharedKey.generate("k", peers=("gateway",))
        write_key_file(path, key)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyFile(path)() == key
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_that_others_can_get_at_is_refused_in_words(mode: int, tmp_path: Path):
    """A secret that others may have read is none; the way out is said, the secret isn't."""
    path = key_file(tmp_path / "keys", f"k {SECRET.hex()}\n", mode)
    with pytest.raises(BadCredential, match=f"open to others .*{mode & 0o77:03o}.*chmod 600") as caught:
        KeyRing.from_file(path)
    assert SECRET.hex() not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("k\n", "line 1: should be: id, secret in hex"),
        ("# x\nk nothex\n", "line 2: should be: id, secret in hex"),
        (f"k {SECRET.hex()[:-2]}\n", "line 1: must have 32 to 64 random bytes, not 31"),
        (f"k {SECRET.hex()}\nk {SECRET.hex()}\n", "key 'k': there is one with this id already"),
        (f"{'k' * 65} {SECRET.hex()}\n", "line 1: must be 1 to 64 printable characters"),
        ("\udcff\n", "is not text"),
        ("x" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_key_file_that_makes_no_sense_is_refused_by_line_and_never_quoted(text: str, why: str, tmp_path: Path):
    """The line and what should stand there, not what does."""
    path = tmp_path / "keys"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(BadCredential, match=why) as caught:
        KeyRing.from_file(path)
    assert SECRET.hex()[:20] not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_missing_key_file_and_a_folder_are_named(tmp_path: Path):
    """What the system says, with the path."""
    with pytest.raises(BadCredential, match="nowhere: the key file can't be read: no such file"):
        KeyFile(tmp_path / "nowhere")()
    with pytest.raises(BadCredential, match="can't be read: is a directory"):
        KeyRing.from_file(tmp_path)


def test_a_pipe_in_the_place_of_a_key_file_is_refused_and_not_waited_for(tmp_path: Path):
    """Opening it would otherwise wait for a writer, for ever."""
    os.mkfifo(tmp_path / "key", 0o600)
    with pytest.raises(BadCredential, match="is no regular file"):
        KeyFile(tmp_path / "key")()


def test_a_device_has_one_key(tmp_path: Path):
    """Several in its file are a mix-up with a listener's."""
    path = key_file(tmp_path / "keys", f"a {SECRET.hex()}\nb {SECRET.hex()}\n")
    with pytest.raises(BadCredential, match="holds 2 keys and should hold one"):
        PreSharedKey.from_file(path)


@pytest.mark.parametrize("secret", [b"", b"password", bytes(31), bytes(65)])
def test_a_secret_must_be_long_enough_to_be_one(secret: bytes):
    """Passwords are not keys."""
    with pytest.raises(BadCredential, match="32 to 64 random bytes"):
        PreSharedKey("k", secret)


def test_a_secret_is_in_no_repr_no_log_no_copy_and_no_pickle(caplog: pytest.LogCaptureFixture):
    """Wherever a key object may be printed, only its id is."""
    secret = secrets.token_bytes(32)
    key = PreSharedKey("k1", secret, peers=("gateway",))
    ring = KeyRing(key)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("agt.transport").warning("%s %r %s", key, ring, [key])
    shown = caplog.text + repr(key) + str(key) + f"{ring!r}"
    assert "k1" in shown
    assert secret.hex() not in shown
    assert repr(secret)[2:-1] not in shown
    for take in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(UsageError, match="not pickled"):
            take(key)


def test_a_ring_changes_while_it_is_used():
    """Rotation: the new one in, the old one out, no restart."""
    ring = KeyRing(PreSharedKey("old", SECRET))
    ring.add(PreSharedKey("new", SECRET))
    ring.remove("old")
    ring.remove("old")
    assert ([key.id for key in ring], len(ring)) == (["new"], 1)
