"""An answer out of a Unix or TCP socket: connect, say one line, read one document or rows until the end.

For daemons that speak JSON on a socket. The question is one line (`list_panes`, or a JSON object); the answer ends
with its document, with an empty line (rows, one a line) or with the connection.
"""

from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
from anyio.abc import ByteStream

from agt.router.parity._document_end import DocumentEnd
from agt.router.parity._json import to_json
from agt.router.parity._source import Answer, Call, Limits, SourceFailed
from agt.router.parity._values import ABSENT, shown

Reading = Literal["document", "lines", "end"]


class SocketSource:
    """Dials for each answer; `unix_source` and `tcp_source` make one."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[ByteStream]],
        *,
        send: str = "",
        read: Reading = "document",
        limits: Limits | None = None,
    ) -> None:
        self.name = name
        """What messages call it."""
        self._connect, self._send, self._read = connect, send, read
        self._limits = limits or Limits()

    async def ask(self, call: Call | None = None) -> Answer:
        """Connect, ask, and read the answer.

        Raises:
            SourceFailed: when nobody answers there in time and size.
        """
        started = anyio.current_time()
        try:
            with anyio.fail_after(self._limits.timeout_s):
                data = await self._exchange(_line(self._send, call))
        except TimeoutError:
            raise SourceFailed(self.name, f"doesn't answer within {self._limits.timeout_s:g} s") from None
        except OSError as error:
            raise SourceFailed(self.name, f"can't be reached: {_why(error)}") from None
        except ValueError as error:  # A name or path that the system doesn't take.
            raise SourceFailed(self.name, f"can't be reached: {shown(str(error))}") from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise SourceFailed(self.name, "broke the connection off") from None
        return Answer(data=data, took_s=anyio.current_time() - started)

    async def _exchange(self, line: bytes) -> bytes:
        received = bytearray()
        end = DocumentEnd()
        async with await self._connect() as stream:
            if line:
                await stream.send(line)
            while True:
                try:
                    chunk = await stream.receive()
                except anyio.EndOfStream:
                    break
                received += chunk
                if len(received) > self._limits.max_bytes:
                    raise SourceFailed(self.name, f"answers more than {self._limits.max_bytes} bytes")
                if self._read == "document" and end.feed(chunk):
                    break
                if self._read == "lines" and _has_empty_line(received, len(chunk)):
                    break
        if not received:
            raise SourceFailed(self.name, "closes without an answer")
        return bytes(received)


def unix_source(path: str, *, send: str = "", read: Reading = "document", limits: Limits | None = None) -> SocketSource:
    """Return a source on a Unix socket."""
    return SocketSource(f"socket {shown(path)}", lambda: anyio.connect_unix(path), send=send, read=read, limits=limits)


def tcp_source(
    host: str, port: int, *, send: str = "", read: Reading = "document", limits: Limits | None = None
) -> SocketSource:
    """Return a source on a TCP port."""
    return SocketSource(
        f"tcp {shown(host)}:{port}", lambda: anyio.connect_tcp(host, port), send=send, read=read, limits=limits
    )


def _line(send: str, call: Call | None) -> bytes:
    if call is not None and call.body is not ABSENT:
        return to_json(call.body) + b"\n"
    return f"{send}\n".encode() if send else b""


def _has_empty_line(received: bytearray, news: int) -> bool:
    """Look for the line that ends rows, where it can have come with the last read."""
    tail = received[-(news + 3) :]
    return b"\n\n" in tail or b"\n\r\n" in tail or bytes(received[:3]) in {b"\n", b"\r\n"}


def _why(error: OSError) -> str:
    # anyio gathers what several addresses said; the first is as good as any.
    cause = error.__cause__
    if isinstance(cause, ExceptionGroup) and isinstance(cause.exceptions[0], OSError):
        cause = cause.exceptions[0]
    found = cause if isinstance(cause, OSError) else error
    return (found.strerror or str(found) or type(found).__name__).lower()
