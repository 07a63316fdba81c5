"""A disk without a byte left: sends and commits are refused in words, nothing accepted is lost, and `check` goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from agt.transport import Outcome
from agt.transport.durable import SQLiteInbox, SQLiteOutbox, StoreUnavailable
from support.durable_pair import SCHEMA, dial, effects, listen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny tmpfs needs root")


@pytest.fixture
def anyio_backend() -> str:
    """The disk is the same on either loop."""
    return "asyncio"


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of 1 MB."""
    folder = tmp_path / "tiny"
    folder.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "agt-test", folder], check=False).returncode:
        pytest.skip("this kernel or container refuses to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Write until not even a byte goes."""
    with path.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


async def test_a_full_disk_refuses_sends_and_keeps_what_was_accepted(tiny: Path) -> None:
    """What met the full disk is `not_delivered`, what was stored before is delivered, and `check` opens the way."""
    store = SQLiteOutbox(tiny / "outbox.db")
    got: list[bytes] = []
    async with dial(9, store) as transport:
        kept = transport.send_nowait(b"kept")
        await store.stored()
        fill(tiny / "filler")
        refused = [transport.send_nowait(b"x" * 2000) for _ in range(3)]
        assert {(await delivery).outcome for delivery in refused} == {Outcome.NOT_DELIVERED}
        assert "full" in refused[0].reason
        with pytest.raises(StoreUnavailable, match=r"free some space, then call check\(\)"):
            transport.send_nowait(b"refused")
        fill(tiny / "filler")  # Closing the store has freed a little.
        with pytest.raises(StoreUnavailable):
            await store.check()
        assert not kept.done
        (tiny / "filler").unlink()
        await store.check()
        transport.send_nowait(b"again")
        await store.stored()
    async with (
        listen(None, on_message=lambda message: got.append(message.payload)) as listener,
        dial(listener.port, SQLiteOutbox(tiny / "outbox.db")) as transport,
    ):
        for delivery in transport.restored:
            assert await delivery
    assert got == [b"kept", b"again"]


async def test_a_full_disk_commits_nothing_and_loses_nothing(tiny: Path, tmp_path: Path) -> None:
    """The application's commit is refused in words, its sender waits, and after `check` it is applied once."""
    store = SQLiteInbox(tiny / "inbox.db", schema=SCHEMA)
    send, receive = anyio.create_memory_object_stream(10)

    def take(message) -> None:
        message.defer()
        send.send_nowait(message)

    with send, receive:
        async with (
            listen(store, on_message=take) as listener,
            dial(listener.port, SQLiteOutbox(tmp_path / "sender" / "outbox.db")) as transport,
        ):
            delivery = transport.send_nowait(b"patient" * 100)
            message = await receive.receive()
            fill(tiny / "filler")
            with pytest.raises(StoreUnavailable, match=r"free some space, then call check\(\)"):
                await apply(message)
            assert not delivery.done
            (tiny / "filler").unlink()
            await store.check()
            await apply(message)
            assert await delivery
            assert await effects(store) == [b"patient" * 100]


async def apply(message) -> None:
    """Commit a message."""
    async with message.commit() as transaction:
        transaction.execute("INSERT INTO effects (what) VALUES (?)", (message.payload,))


async def test_a_store_that_cannot_be_made_says_so(tiny: Path) -> None:
    """No room for a new outbox: refused in words, and nothing half-made is taken for one later."""
    fill(tiny / "filler")
    with pytest.raises(StoreUnavailable, match="free some space"):
        async with dial(9, SQLiteOutbox(tiny / "outbox.db")):
            pass
    (tiny / "filler").unlink()
    async with dial(9, SQLiteOutbox(tiny / "outbox.db")) as transport:
        assert transport.restored == ()
