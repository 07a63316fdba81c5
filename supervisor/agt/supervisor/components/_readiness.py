"""Ask a component whether it is ready: by connecting, by HTTP, by a command, or by listening to what it says.

Fails closed: no answer, a late answer, a strange answer and an error are all "not ready", each with its reason. The
notification socket is one datagram socket in the run directory; the next supervisor binds the same path again, so that
components which outlived the last one are heard. Who speaks is told by the kernel (SCM_CREDENTIALS), not by the text.
"""

import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
from anyio.abc import ByteStream

from agt.supervisor.components._command import run_probe
from agt.supervisor.components._spec import (
    CommandProbe,
    HttpProbe,
    LogProbe,
    NotifyProbe,
    Probe,
    TcpProbe,
    UnixProbe,
    expand,
    socket_path,
)

NOTIFY_MAX_BYTES = 4096
STATUS_LINE_MAX_BYTES = 4096
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid

Notified = Callable[[int, Mapping[str, str]], None]


async def ask(probe: Probe, *, run: Path, timeout_s: float, environment: Mapping[str, str] = os.environ) -> str:
    """Say why the probe's target isn't ready; empty when it is. `environment` is that of a probe that is a command."""
    assert not isinstance(probe, NotifyProbe | LogProbe), "what is said or written is listened to, not asked for"
    if isinstance(probe, CommandProbe):
        words = [expand(word, run=run) for word in probe.command]
        return await run_probe(words, environment=environment, timeout_s=timeout_s)
    try:
        with anyio.fail_after(timeout_s):
            return await _ask(probe, run)
    except TimeoutError:
        return f"{target(probe, run=run)} does not answer within {timeout_s:g} s"
    except OSError as error:
        return f"{target(probe, run=run)}: {_why(error)}"
    except anyio.BrokenResourceError:
        return f"{target(probe, run=run)} hangs up"


def target(probe: Probe, *, run: Path) -> str:
    """Name what a probe asks, for messages."""
    if isinstance(probe, NotifyProbe):
        return "READY=1"
    if isinstance(probe, CommandProbe):
        return probe.command[0]
    if isinstance(probe, LogProbe):
        return repr(probe.pattern)
    if isinstance(probe, UnixProbe) or (isinstance(probe, HttpProbe) and probe.socket):
        return socket_path(probe.socket, run=run).name
    return f"{probe.host}:{probe.port}"


async def _ask(probe: TcpProbe | UnixProbe | HttpProbe, run: Path) -> str:
    async with await _connect(probe, run) as stream:
        if not isinstance(probe, HttpProbe):
            return ""
        request = f"GET {probe.path} HTTP/1.1\r\nHost: {probe.host}\r\nConnection: close\r\n\r\n"
        await stream.send(request.encode())
        status = await _status_line(stream)
    words = status.split(maxsplit=2)
    if len(words) >= 2 and words[0].startswith("HTTP/") and words[1].startswith("2"):
        return ""
    return f"GET {probe.path} answers {status[:60]!r}"


async def _connect(probe: TcpProbe | UnixProbe | HttpProbe, run: Path) -> ByteStream:
    if isinstance(probe, UnixProbe) or (isinstance(probe, HttpProbe) and probe.socket):
        return await anyio.connect_unix(str(socket_path(probe.socket, run=run)))
    return await anyio.connect_tcp(probe.host, probe.port)


async def _status_line(stream: ByteStream) -> str:
    received = b""
    while b"\r\n" not in received and len(received) < STATUS_LINE_MAX_BYTES:
        try:
            received += await stream.receive(STATUS_LINE_MAX_BYTES)
        except anyio.EndOfStream:
            break
    return received.partition(b"\r\n")[0].decode("latin-1")


def _why(error: OSError) -> str:
    """What the system says; anyio wraps the refusals of several addresses in one error without a number."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return cause.strerror or str(cause) or type(cause).__name__


class NotifySocket:
    """Hears what components say (sd_notify) and hands on who said it."""

    def __init__(self, path: Path, notified: Notified) -> None:
        self.path = path
        self._notified = notified
        path.unlink(missing_ok=True)  # Ours by the supervisor's lock; the last owner is dead.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))
        path.chmod(0o600)

    async def run(self) -> None:
        """Hand on notifications until cancelled."""
        try:
            while True:
                await anyio.wait_readable(self._socket)
                self._receive()
        finally:
            self._socket.close()
            self.path.unlink(missing_ok=True)

    def _receive(self) -> None:
        try:
            text, ancillary, _, _ = self._socket.recvmsg(NOTIFY_MAX_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
        except BlockingIOError:
            return
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                pid, uid, _ = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
                if uid == os.getuid():
                    self._notified(pid, parse_notification(text))


def parse_notification(text: bytes) -> Mapping[str, str]:
    """Read `KEY=value` lines; what isn't one is skipped."""
    lines = (line.partition("=") for line in text.decode("utf-8", "replace").splitlines())
    return {key: value for key, equals, value in lines if equals}
