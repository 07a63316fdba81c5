"""The gateway's door for sources: who may come in, who is there, and what can be asked of them.

A caller is admitted by the contract of `agt.supervisor.contracts.admit`: runtime directory 0700, socket 0600, our own
uid by SO_PEERCRED, the nonce of this very start, and then registered with a hello. A source that falls silent is stale
and delivers nothing until it is heard again.
"""

import logging
import os
import secrets
import socket
import struct
import time
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream

from agt.chaos.demo._talk import Lines
from agt.chaos.demo.events._log import Event, InvalidCursor
from agt.chaos.demo.events._times import EventTimes
from agt.supervisor.contracts import Caller, Refusal, SourceRegistry, SourceState, admit

ANSWER_WITHIN_S: Final = 5.0
"""A source that takes longer to answer loses its connection."""
NONCE_BYTES: Final = 16
LOOK_S: Final = 0.5
_CREDENTIALS: Final = struct.Struct("3i")
log = logging.getLogger("agt.demo.events")


class Feed:
    """One admitted source, by its connection."""

    def __init__(self, name: str, lines: Lines) -> None:
        self.name, self._lines = name, lines
        self.newest = 0
        """Number of its last event, as it says."""
        self.moved = anyio.Event()
        """Set when there may be more; whoever waits makes a new one."""
        self.closed = False
        self._asking = anyio.Lock()
        self._asked = 0
        self._answer: dict[str, Any] = {}
        self._answered = anyio.Event()

    async def fetch(self, after: int) -> list[Event]:
        """Return the next events behind a cursor.

        Raises:
            InvalidCursor: when the source doesn't have that place.
            anyio.EndOfStream: when it is gone, or too slow.
        """
        answer = await self._ask({"fetch": after})
        if "invalid" in answer:
            raise InvalidCursor(after, 0, self.newest)
        return msgspec.convert(answer["events"], list[Event])

    async def rows(self) -> dict[str, Any]:
        """Return everything that the source knows: its rows, and through which event they are.

        Raises:
            anyio.EndOfStream: when it is gone, or too slow.
        """
        return await self._ask({"rows": True})

    def heard(self, message: dict[str, Any]) -> None:
        """Take what the source says."""
        if "newest" in message:
            self.newest = int(message["newest"])
            self.moved.set()
        elif message.get("id") == self._asked:  # Any other is the answer to somebody who no longer waits.
            self._answer = message
            self._answered.set()

    def close(self) -> None:
        """End it: whoever waits for an answer gets an end instead."""
        self.closed = True
        self.moved.set()
        self._answered.set()

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        async with self._asking:
            try:
                with anyio.fail_after(ANSWER_WITHIN_S):
                    self._asked, self._answered = self._asked + 1, anyio.Event()
                    await self._lines.write({**question, "id": self._asked})
                    await self._answered.wait()
            except (TimeoutError, OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                raise anyio.EndOfStream from error
            if self.closed:
                raise anyio.EndOfStream
            return self._answer


class Door:
    """Admits sources and keeps their registry."""

    def __init__(self, path: Path, nonce_file: Path, *, times: EventTimes) -> None:
        self._path, self._nonce_file = path, nonce_file
        self._nonce = secrets.token_hex(NONCE_BYTES)
        self.registry = SourceRegistry(timeout_s=times.silence_s)
        """Every source that ever came, since this start."""
        self.feeds: dict[str, Feed] = {}
        """Those that are connected."""
        self.changed = anyio.Event()
        """Set when feeds came; whoever waits makes a new one."""
        self.refused = 0
        """Callers that were turned away."""

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._leave_word()
        await anyio.Path(self._path).unlink(missing_ok=True)
        async with (
            await anyio.create_unix_listener(self._path, mode=0o600) as listener,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._look)
            await listener.serve(self._converse)

    def active(self, name: str) -> bool:
        """Whether events of a source are taken now."""
        return self.registry.states().get(name) is SourceState.ACTIVE

    async def _leave_word(self) -> None:
        """Write this start's nonce where only we can read it; a full disk is waited for, nobody comes in meanwhile."""
        while True:
            try:
                _write_private(self._nonce_file, self._nonce)
            except OSError as error:
                log.warning("the nonce can't be written, no source is admitted yet: %s", error.strerror)
                await anyio.sleep(1.0)
            else:
                return

    async def _look(self) -> None:
        while True:
            await anyio.sleep(LOOK_S)
            for source in self.registry.look(now=time.monotonic()):
                log.warning("source %s has fallen silent", source.name)

    async def _converse(self, stream: SocketStream) -> None:
        feed: Feed | None = None
        async with stream:
            lines = Lines(stream)
            try:
                feed = await self._admit(stream, lines)
                while feed is not None:
                    message = await lines.read()
                    if self.registry.heartbeat(feed.name, now=time.monotonic()) is SourceState.REVOKED:
                        break
                    feed.heard(message)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ValueError):
                pass  # Gone, or it says what no source says.
            finally:
                if feed is not None:
                    feed.close()
                    if self.feeds.get(feed.name) is feed:
                        del self.feeds[feed.name]

    async def _admit(self, stream: SocketStream, lines: Lines) -> Feed | None:
        with anyio.move_on_after(ANSWER_WITHIN_S):
            hello = await lines.read()
            name, place = str(hello.get("register", "")), str(hello.get("socket", ""))
            caller = Caller(uid=_uid(stream), source=name, socket=place, nonce=str(hello.get("nonce", "")).encode())
            refusal = self._judge(caller)
            if refusal is Refusal.NOT_REGISTERED:
                self.registry.register(name, place, now=time.monotonic())
                self.registry.hello(name, place, now=time.monotonic())
                refusal = self._judge(caller)
            if refusal is not None:
                self.refused += 1
                log.warning("source %r is refused: %s", name[:64], refusal.value)
                await lines.write({"refused": refusal.value})
                return None
            self.registry.hello(name, place, now=time.monotonic())
            await lines.write({"admitted": name})
            feed = self.feeds[name] = Feed(name, lines)
            self.changed.set()
            return feed
        return None

    def _judge(self, caller: Caller) -> Refusal | None:
        return admit(
            caller,
            registry=self.registry,
            nonce=self._nonce.encode(),
            uid=os.getuid(),
            directory_mode=self._path.parent.stat().st_mode,
            socket_mode=self._path.stat().st_mode,
        )


def _uid(stream: SocketStream) -> int:
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - a socket, not a database query
    packed = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(packed)[1])


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_suffix(".tmp")
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
