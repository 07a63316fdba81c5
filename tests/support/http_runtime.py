"""A runtime over HTTP, for comparisons: one real server on a loopback port and on a Unix socket, in a thread."""

import gzip
import json
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

ROWS = [{"id": 1, "evidence_mode": "hook"}]
BODY = json.dumps(ROWS).encode()

Scope, Receive, Send = dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]


class Runtime(NamedTuple):
    """Where it answers."""

    address: str
    """`http://127.0.0.1:PORT`."""
    socket: str
    """Path of its Unix socket."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer well under /panes and /predict, and in several wrong ways elsewhere."""
    path = scope["path"]
    headers = [(b"content-type", b"application/json")]
    status, body = 200, BODY
    if path == "/slow":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if path == "/down":
        status, body = 503, b"{}"
    elif path == "/gone":
        status, body = 410, b'{"use": "v2"}'
    elif path == "/packed":
        headers.append((b"content-encoding", b"gzip"))
        body = gzip.compress(BODY)
    elif path == "/predict":
        body = json.dumps({"score": json.loads((await receive())["body"])["seed"] / 100, "segment": "new"}).encode()
    elif path == "/echo":
        body = json.dumps(_echo(scope, (await receive())["body"])).encode()
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if path == "/large":
        for _ in range(50):  # In pieces, so that it is left in the middle.
            await send({"type": "http.response.body", "body": b"[" * 20_000, "more_body": True})
    await send({"type": "http.response.body", "body": body})


def _echo(scope: Scope, body: bytes) -> dict[str, Any]:
    seen = {name.decode(): value.decode() for name, value in scope["headers"]}
    return {
        "method": scope["method"],
        "sent": body.decode(),
        "auth": seen.get("authorization"),
        "query": scope["query_string"].decode(),
    }


@contextmanager
def http_runtime() -> Iterator[Runtime]:
    """Serve until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "s")
        tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen()
        running = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_level="critical"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [tcp, unix]})
        thread.start()  # Both sockets take connections already; nobody has to wait for the server.
        try:
            yield Runtime(f"http://127.0.0.1:{tcp.getsockname()[1]}", path)
        finally:
            running.should_exit = True
            thread.join()
            tcp.close()
            unix.close()
