"""v4 or v5 as a process, `python -m agt.chaos.demo.agtmux.daemon --name v5 --wire native`.

It follows the terminals' events into a projection, attaches each session at the gateway, and answers lines on
`NAME.sock`, each with one JSON document: `list_panes`, `list_sessions`, `status`.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import msgspec
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from agt.chaos.demo._files import DemoFiles, demo_files
from agt.chaos.demo._talk import Lines
from agt.chaos.demo._twin import serve_control_twin, serve_twin
from agt.chaos.demo.agtmux._follower import Follower
from agt.chaos.demo.agtmux._hand import Hand
from agt.chaos.demo.agtmux._names import daemon_socket, mux_socket
from agt.chaos.demo.agtmux._sessions import Attachments, Wire
from agt.chaos.demo.agtmux._terminals import Event
from agt.router.notifying import notify
from agt.supervisor.contracts import Recovery

LOOK_S: Final = 0.1
"""How often events are fetched."""
REDIAL_S: Final = 0.2
QUESTION_MAX: Final = 1024
"""Bytes of a question; whoever says more without a line's end is cut off."""


class Daemon:
    """Lists panes and sessions, and serves the sessions at the gateway."""

    def __init__(self, files: DemoFiles, *, name: str, wire: Wire) -> None:
        self._files, self._name, self._wire = files, name, wire
        self._mux = mux_socket(files.run)
        self._follower = Follower(str(self._mux), now=time.monotonic())
        self._hand = Hand(self._mux, path=name)
        self._attachments = Attachments(files, self._hand, wire=wire, rng=Random(name))
        self._instance = f"{os.getpid()}-{time.time():.3f}"

    async def run(self) -> None:
        """Serve until cancelled; ready once everything was read for the first time."""
        ports = await self._attachments.ports()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hand.run)
            tasks.start_soon(self._stand_in)
            first = True
            while True:
                try:
                    async with await anyio.connect_unix(self._mux) as stream:
                        lines = Lines(stream)
                        await self._read_anew(lines, counted=False)
                        if first:
                            tasks.start_soon(self._serve, daemon_socket(self._files.run, self._name))
                            notify("READY=1")
                            first = False
                        while True:
                            self._attachments.keep(self._follower.sessions, ports, tasks)
                            await anyio.sleep(LOOK_S)
                            await self._follow(lines)
                except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                    self._follower.look(now=time.monotonic())
                    await anyio.sleep(REDIAL_S)

    async def _follow(self, lines: Lines) -> None:
        """Fetch what came next, and recover when the source refuses our cursor."""
        await lines.write({"op": "events", "after": self._follower.after})
        answer, now = await lines.read(), time.monotonic()
        self._follower.heard(now=now)
        if "invalid_cursor" not in answer:
            self._follower.take(msgspec.convert(answer["events"], list[Event]), now=now)
        elif self._follower.refused(now=now) is Recovery.FULL_RESYNC:
            await self._read_anew(lines)

    async def _read_anew(self, lines: Lines, *, counted: bool = True) -> None:
        await lines.write({"op": "everything"})
        answer, now = await lines.read(), time.monotonic()
        self._follower.heard(now=now)
        panes = msgspec.convert(answer["panes"], list[Event])
        self._follower.read_anew(int(answer["through"]), panes, now=now, counted=counted)

    async def _stand_in(self) -> None:
        """Take mirrored commands, which must move nothing."""
        if self._wire == "native":
            await serve_twin(self._files.twin_socket)
        else:
            await serve_control_twin(self._files.control_twin_socket)

    async def _serve(self, path: Path) -> None:
        await anyio.Path(path).unlink(missing_ok=True)
        async with await anyio.create_unix_listener(path, mode=0o600) as listener:
            await listener.serve(self._converse)

    async def _converse(self, stream: SocketStream) -> None:
        async with stream:
            buffered = BufferedByteReceiveStream(stream)
            try:
                while True:
                    question = (await buffered.receive_until(b"\n", QUESTION_MAX)).decode("utf-8", "replace").strip()
                    await stream.send(msgspec.json.encode(self.answer(question)) + b"\n")
            except (anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.EndOfStream, anyio.BrokenResourceError):
                return  # Whoever asked has heard enough.

    def answer(self, question: str) -> dict[str, Any]:
        """Return the document that answers a line."""
        facts = {"runtime": self._name, "version": self._follower.version, "updated_at": round(time.time(), 3)}
        if question == "list_panes":
            return {"panes": self._follower.panes(), **facts}
        if question == "list_sessions":
            return {"sessions": self._listed(), **facts}
        if question == "status":
            return {**self._follower.status(now=time.monotonic()), "instance": self._instance, **facts}
        return {"error": f"unknown question {question[:64]!r}; there are list_panes, list_sessions, status"}

    def _listed(self) -> list[dict[str, Any]]:
        return [
            {
                "session_name": session,
                "pane_count": len(panes),
                "closing": any(pane.closing for pane in panes),
                "attached_s": round(self._attachments.attached_s(session), 3),
            }
            for session, panes in self._follower.sessions.items()
        ]


async def live(daemon: Daemon) -> None:
    """Run until told to end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(daemon.run)
            async for _ in signals:
                notify("STOPPING=1")
                tasks.cancel_scope.cancel()
                break


def main(arguments: list[str] | None = None) -> int:
    """Start a daemon."""
    parser = argparse.ArgumentParser(
        prog="python -m agt.chaos.demo.agtmux.daemon", description="Lists panes, sessions."
    )
    parser.add_argument("--name", required=True, help="the runtime that it is: v4, v5")
    parser.add_argument("--wire", choices=("lines", "native"), required=True, help="how it is attached at the gateway")
    options = parser.parse_args(arguments)
    anyio.run(live, Daemon(demo_files(), name=options.name, wire=options.wire))
    return 0


if __name__ == "__main__":
    sys.exit(main())
