"""The guide's own code runs as printed: plain threads, and a controller of threads that takes the driver up."""

import contextlib
import io
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agt.transport import Outcome, TCPConnection
from agt.transport.blocking import BlockingTransport
from support.driver_harness import until

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "embedding.md"


def blocks(heading: str) -> list[str]:
    """Return the Python blocks of one section."""
    section = GUIDE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [part.split("```")[0] for part in section.split("```python\n")[1:]]


def run(*sources: str) -> dict[str, Any]:
    """Run blocks as one module and return its names."""
    names: dict[str, Any] = {"__name__": "guide"}
    exec(compile("\n".join(sources), str(GUIDE), "exec"), names)
    return names


def test_the_plain_threads_block_runs_as_printed() -> None:
    """Prints what its comments say."""
    (block,) = blocks("Plain threads")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(block)
    assert printed.getvalue().splitlines() == ["delivered", "False"]


@pytest.fixture
def controller() -> Iterator[Any]:
    """Return the guide's controller with its second door, serving."""
    controller = run(*blocks("An existing controller"))["MovingController"]()
    heard: list[tuple[str, bytes]] = []
    controller.on_line = lambda name, line: heard.append((name, line))
    controller.heard = heard

    def serve() -> None:
        with contextlib.suppress(OSError):
            controller.serve()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield controller
    controller.listening.shutdown(socket.SHUT_RDWR)
    controller.close()
    thread.join(5)


def test_an_old_device_is_served_as_before_and_an_updated_one_reliably(controller: Any) -> None:
    """Each by its own door; the same `send`, the same `on_line`, and what can be known about each command."""
    with (
        socket.create_connection(controller.listening.getsockname()) as old,
        BlockingTransport(TCPConnection("127.0.0.1", controller.reliable.port), name="new") as updated,
    ):
        old.sendall(b"old\nhello\n")
        assert updated.send_reliable(b"hello")
        until(lambda: len(controller.heard) == 2)
        assert sorted(controller.heard) == [("new", b"hello"), ("old", b"hello")]

        assert controller.send("old", b"on") is Outcome.WRITTEN
        assert old.recv(100) == b"on\n"

        outcomes: list[Outcome] = []
        sender = threading.Thread(target=lambda: outcomes.append(controller.send("new", b"on")))
        sender.start()
        message = updated.recv_reliable(5)
        assert (message.payload, outcomes) == (b"on", [])
        message.ack()
        sender.join(5)
        assert outcomes == [Outcome.DELIVERED]
