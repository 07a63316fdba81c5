"""The guide's own code runs as printed, every block of it, over real sockets and on both event loops.

Blocks that belong together run as one module; what a short block leaves out is what the page says that it leaves out.
The two programs that may be killed run in `tests/processes/test_embedding_wheel.py`, as processes and from the wheel.
"""

import contextlib
import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import prometheus_client
import pytest

import agt.transport
from agt.router import MemorySelector, Message, Route, Router, Runtimes, Selector
from agt.router.testing import ScriptedPath
from agt.transport import Outcome, ReliableConfig, ReliableListener, ReliableTransport, Session, TCPConnection
from agt.transport.blocking import BlockingTransport
from agt.transport.wires.lines import LinesConfig, LinesLink
from support.driver_harness import until
from support.guide import GUIDE, blocks

ROOT = Path(__file__).parents[2]
SHORT = {name: getattr(agt.transport, name) for name in agt.transport.__all__} | {"anyio": anyio}
"""What short blocks leave out: the names of `agt.transport`, and anyio."""
OLD_AND_NEW = Runtimes(control="old", candidate="new")
RUN_HERE = {
    "A controller and a device": 2,
    "Many messages": 1,
    "Answer": 2,
    "Channels": 1,
    "Leave in order": 1,
    "asyncio, uvloop, trio": 1,
    "Plain threads": 1,
    "TLS and keys": 2,
    "Durable": 1,
    "Your own inbox store": 1,
    "An existing controller": 2,
    "Typed messages": 1,
    "Messages that bring their own id": 1,
    "Choose a path for each device": 1,
    "Your own line format": 1,
    "Measure": 1,
    "Test your own code": 2,
}
"""How many blocks of each section the tests of this file run."""
RUN_AS_PROCESSES = {"A controller that may be killed": 2}
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the guide's certificates need openssl")


class Guide(dict[str, Any]):
    """The names that blocks have made, run as one module, and what they have printed."""

    def __init__(self, *sources: str, **given: Any) -> None:
        super().__init__(SHORT, __name__="guide", print=self._print, **given)
        self.said: list[str] = []
        exec(compile("\n".join(sources), str(GUIDE), "exec"), self)

    def _print(self, *words: object, **_: object) -> None:
        self.said.append(" ".join(map(str, words)))

    def port(self) -> int:
        """Return where it said that it listens, or 0."""
        return next((int(line.split()[-1]) for line in self.said if line.startswith("listening on")), 0)


Wait = Callable[[Callable[[], object]], Awaitable[None]]


@asynccontextmanager
async def connected(**settings: Any) -> AsyncIterator[tuple[ReliableListener, ReliableTransport, Session]]:
    """Run a listener and `lamp-7`, and the listener's session with it."""
    async with (
        ReliableListener(**settings) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="lamp-7") as transport,
    ):
        await transport.wait_connected()
        yield listener, transport, listener.sessions["lamp-7"]


def test_every_block_of_the_page_is_run():
    """A block that no test runs is one that rots."""
    text = GUIDE.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    there = {heading: len(blocks(heading)) for heading in headings if blocks(heading)}
    assert there == RUN_HERE | RUN_AS_PROCESSES
    assert text.count("```python\n") == sum(there.values())


def test_the_table_of_contents_leads_to_every_section():
    """And each link to a heading of the page finds one."""
    text = GUIDE.read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


def test_every_link_of_the_page_finds_its_file():
    """Pages move."""
    links = re.findall(r"\]\(([^)#:]+\.md)", GUIDE.read_text(encoding="utf-8"))
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []


async def test_the_first_controller_and_device_talk(until: Wait):
    """Whole programs, without their command line."""
    controller, device = (Guide(block) for block in blocks("A controller and a device"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(controller["main"], 0)
        await until(controller.port)
        await device["main"]("127.0.0.1", controller.port())
        await until(lambda: len(controller.said) == 3)
        tasks.cancel_scope.cancel()
    assert device.said == ["set 1 5"]
    assert sorted(controller.said[1:]) == ["lamp-7 delivered ", "lamp-7 level 0"]


async def test_many_messages_are_sent_and_taken():
    """Each of the three ways to send, and the batch that comes of it."""
    guide = Guide(*blocks("Many messages"))
    async with connected() as (_, transport, session), anyio.create_task_group() as tasks:
        tasks.start_soon(guide["send_many"], session)
        while sum(line.startswith("b'") for line in guide.said) < 4:
            await guide["receive_many"](transport.session)
    assert sorted(line for line in guide.said if line.startswith("b'")) == ["b'four'", "b'one'", "b'three'", "b'two'"]
    assert any(line.endswith(" delivered") for line in guide.said)
    assert "2 of 2" in guide.said


async def test_messages_are_refused_put_off_and_found_among_the_dead_letters():
    """What the handler says no to, in each of its ways."""
    busy = iter([True, False])
    carried_out: list[bytes] = []
    guide = Guide(*blocks("Answer"), busy=lambda: next(busy), carry_out=carried_out.append)
    async with ReliableListener(on_message=guide["on_message"]) as listener:
        connection = TCPConnection("127.0.0.1", listener.port)
        assert await guide["send_and_look"](connection) == [("malformed", b"nonsense")]
        letter, outcome = guide.said
        assert letter.endswith(" malformed b'nonsense'")
        assert outcome == "not_delivered refused by the peer: malformed"
        async with ReliableTransport(connection, name="lamp-8") as transport:
            delivery = await transport.send_reliable(b"set 1 5")
        assert delivery
        assert delivery.latency_s >= 0.5
        assert carried_out == [b"set 1 5"]


async def test_a_stalled_channel_holds_up_no_other(until: Wait):
    """The firmware is answered only after the command was delivered."""
    guide = Guide(*blocks("Channels"))
    order: list[int] = []
    async with ReliableListener(config=guide["CHANNELS"]) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(guide["send_both"], TCPConnection("127.0.0.1", listener.port))
        await until(lambda: "lamp-7" in listener.sessions)
        firmware, command = None, None
        while firmware is None or command is None:
            message = await listener.sessions["lamp-7"].receive()
            order.append(message.channel)
            firmware, command = (message, command) if message.channel == guide["FIRMWARE"] else (firmware, message)
        command.ack()
        firmware.ack()
    assert sorted(order) == [0, 1]


async def test_both_sides_leave_in_order():
    """Nothing in doubt, nothing said."""
    guide = Guide(*blocks("Leave in order"))
    async with connected(on_message=lambda message: None) as (listener, transport, _):
        sent = [transport.send_nowait(b"%d" % number) for number in range(10)]
        await guide["stop_transport"](transport)
        assert Outcome.INDETERMINATE not in [(await delivery).outcome for delivery in sent]
        await guide["stop_listener"](listener)
    assert guide.said == []


def test_a_program_of_asyncio_runs_without_anyio():
    """As printed, on a loop of its own."""
    guide = Guide(*blocks("asyncio, uvloop, trio"))
    guide["asyncio"].run(guide["main"]())
    assert guide.said == ["delivered"]


def test_the_plain_threads_block_runs_as_printed():
    """Prints what its comments say."""
    assert Guide(*blocks("Plain threads")).said == ["delivered", "False"]


@needs_openssl
async def test_certificates_made_as_the_guide_says_let_its_device_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The shell commands as printed, then both ends."""
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks("TLS and keys", "sh")
    await anyio.run_process(["sh", "-ec", commands])
    guide = Guide(blocks("TLS and keys")[0])
    async with guide["listener"]() as listener, guide["transport"](listener.port) as transport:
        with anyio.fail_after(5):
            await transport.wait_connected()
        assert list(listener.sessions) == ["lamp-7"]
    async with guide["listener"]() as listener, ReliableTransport(transport.connection, name="lamp-8") as another:
        with anyio.move_on_after(0.1):
            await another.wait_connected()
        assert not another.connected, "a certificate of lamp-7 is not one of lamp-8"


async def test_a_key_file_serves_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Written by the first line, read by the rest."""
    monkeypatch.chdir(tmp_path)
    guide = Guide(blocks("TLS and keys")[1])
    async with guide["keyed_listener"]() as listener, guide["keyed_transport"](listener.port) as transport:
        with anyio.fail_after(5):
            await transport.wait_connected()


async def test_the_durable_block_delivers_durably(until: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And what it delivers is in the table."""
    monkeypatch.chdir(tmp_path)
    guide = Guide(*blocks("Durable"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guide["main"], 0)
        await until(guide.port)
        await guide["send_durably"](TCPConnection("127.0.0.1", guide.port()))
        tasks.cancel_scope.cancel()
    assert guide.said[1].endswith(" durable")
    with contextlib.closing(sqlite3.connect("inbox.db")) as database:
        assert database.execute("SELECT * FROM readings").fetchall() == [("lamp-7", "level 5")]


def test_the_inbox_store_of_the_page_is_the_one_of_the_example():
    """Which the tests run."""
    (block,) = blocks("Your own inbox store")
    assert block in (ROOT / "examples" / "own_inbox.py").read_text(encoding="utf-8")


@pytest.fixture
def controller() -> Iterator[Any]:
    """Return the guide's controller with its second door, serving."""
    controller = Guide(*blocks("An existing controller"))["MovingController"]()
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


def test_an_old_device_is_served_as_before_and_an_updated_one_reliably(controller: Any):
    """Each by its own door; the same `command`, the same `on_line`, and what can be known about each command."""
    with (
        socket.create_connection(controller.listening.getsockname()) as old,
        BlockingTransport(TCPConnection("127.0.0.1", controller.reliable.port), name="new") as updated,
    ):
        old.sendall(b"old\nhello\n")
        assert updated.send_reliable(b"hello")
        until(lambda: len(controller.heard) == 2)
        assert sorted(controller.heard) == [("new", b"hello"), ("old", b"hello")]

        assert controller.command("old", b"on") is Outcome.WRITTEN
        assert old.recv(100) == b"on\n"

        outcomes: list[Outcome] = []
        sender = threading.Thread(target=lambda: outcomes.append(controller.command("new", b"on")))
        sender.start()
        message = updated.recv_reliable(5)
        assert (message.payload, outcomes) == (b"on", [])
        message.ack()
        sender.join(5)
        assert outcomes == [Outcome.DELIVERED]


async def test_typed_messages_come_as_they_were_sent_and_nonsense_is_refused():
    """Structs both ways of the codec; older structs are understood."""
    guide = Guide(*blocks("Typed messages"))
    levels: list[Any] = []
    async with connected() as (_, transport, session), anyio.create_task_group() as tasks:
        device, controller = guide["TypedSession"](transport.session), guide["TypedSession"](session)

        async def take(count: int) -> None:
            for _ in range(count):
                message, received = await device.receive()
                levels.append(message)
                received.ack()

        tasks.start_soon(take, 2)
        nonsense = await session.send(b"nonsense")
        assert await controller.send(guide["SetLevel"](1, 5))
        older = guide["msgspec"].msgpack.encode({"type": "set-level", "channel": 2, "level": 7})
        assert await (await session.send(older))
        assert (await nonsense).reason == "refused by the peer: malformed"
    assert levels == [guide["SetLevel"](1, 5), guide["SetLevel"](2, 7)]


async def test_a_message_with_an_id_of_its_own_is_handed_out_once():
    """Sent twice, as new messages; both are delivered, one is processed."""
    guide = Guide(*blocks("Messages that bring their own id"))
    async with (
        guide["listener_with_ids"]() as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="lamp-7") as transport,
    ):
        first, again = (transport.send_nowait(b"17 on") for _ in range(2))
        await transport.wait_connected()
        message = await listener.sessions["lamp-7"].receive()
        message.ack()
        assert await first
        assert await again
        with anyio.move_on_after(0.01):
            pytest.fail(repr(await listener.sessions["lamp-7"].receive()))


async def test_a_router_sends_the_reliable_way():
    """Both paths attached, all on the candidate."""
    guide = Guide(*blocks("Choose a path for each device"))
    async with connected(on_message=lambda message: None) as (_, transport, _):
        old = Session(LinesLink("controller", LinesConfig(name="lamp-7")))
        delivery = await guide["send_either_way"](old, transport.session)
    assert (delivery.outcome, delivery.runtime) == (Outcome.DELIVERED, "reliable")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_own_line_format_is_carried_and_left(until: Wait):
    """The old device gets its line as ever; moved to the candidate, it gets no more of them."""
    guide = Guide(*blocks("Your own line format"))
    router = Router(MemorySelector(), runtimes=OLD_AND_NEW)
    server = await guide["listen"](router)
    port = server.sockets[0].getsockname()[1]
    async with await anyio.connect_tcp("127.0.0.1", port) as valve, anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        await valve.send(b"valve-07\n")
        await until(lambda: router.runtime_of("valve-07") == "old")
        sent = await router.send(Message("valve-07", 1, b"valve-07 OPEN 30"))
        assert (sent.outcome, await valve.receive()) == (Outcome.WRITTEN, b"valve-07 OPEN 30\n")
        await valve.send(b"valve-07 OPENED 30\n")
        await until(lambda: guide.said == ["valve-07 valve-07 OPENED 30"])
        new = ScriptedPath(time.monotonic)
        router.attach("valve-07", {"new": new})
        router.apply(Selector(runtimes=OLD_AND_NEW, generation=1, runtime=Route(enabled=True, percentage=100)))
        await until(lambda: router.runtime_of("valve-07") == "new")
        router.send(Message("valve-07", 2, b"valve-07 OPEN 40"))
        assert list(new.on_wire) == [2]
        tasks.cancel_scope.cancel()
    server.close()


def test_metrics_are_scraped_as_the_guide_says(monkeypatch: pytest.MonkeyPatch):
    """In a registry of our own, so that others are not filled."""
    registry = prometheus_client.CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    Guide(*blocks("Measure"))["metrics"].accepted += 1
    assert b'agt_messages_accepted_total{transport="reliable"} 1.0' in prometheus_client.generate_latest(registry)


async def test_the_first_test_of_the_page_passes():
    """A connection that is cut under a message."""
    await Guide(blocks("Test your own code")[0])["test_a_command_survives_a_broken_connection"]()


def test_the_second_test_of_the_page_passes():
    """A day in a moment."""
    Guide(blocks("Test your own code")[1])["test_a_day_is_waited_for_an_answer"]()


@pytest.mark.parametrize(
    ("name", "default"), re.findall(r"\| `(\w+)` \| ([\d,]+)(?: MiB)? \|", GUIDE.read_text("utf-8"))
)
def test_the_limits_of_the_page_are_those_of_the_settings(name: str, default: str):
    """A number in a table outlives its change otherwise."""
    settings = {"max_connections": 10_000, "max_senders": 10_000} | {
        field: getattr(ReliableConfig(), field) for field in ReliableConfig.__struct_fields__
    }
    settings |= {"ConnectBudget": agt.transport.ConnectBudget().connects_per_s}
    settings |= {"AdmissionLimits": agt.transport.AdmissionLimits().half_open_max}
    number = int(default.replace(",", ""))
    assert settings[name] == (number << 20 if "bytes" in name else number)
