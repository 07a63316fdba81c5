"""The stream over a real socket: snapshot, changes, two readers, and a prompt end."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import httpx_sse
import pytest

from agt.supervisor.client import Client, NoSupervisor
from agt.supervisor.control import Hub, serve_control
from agt.supervisor.control._stream import EventStream
from agt.supervisor.view import View


async def test_events_are_a_snapshot_and_then_changes(control_path: Path, backend) -> None:
    """On the wire: event `snapshot` is the view, event `change` holds only what changed."""
    transport = httpx.AsyncHTTPTransport(uds=str(control_path))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://agt") as http,
        httpx_sse.aconnect_sse(http, "GET", "/v1/stream") as source,
    ):
        events = aiter(source.aiter_sse())
        first = await anext(events)
        assert (first.event, first.json()["plan"]) == ("snapshot", "scripted")
        backend.change(percentage=20.0)
        second = await anext(events)
        assert (second.event, second.json()) == ("change", {"version": 2, "at": 101.0, "percentage": 20.0})


async def read_until(views: AsyncIterator[View], version: int) -> list[int]:
    """Return the versions seen until one is reached."""
    versions = []
    async for view in views:
        versions.append(view.version)
        if view.version >= version:
            return versions
    raise AssertionError(f"the stream ended before version {version}")


async def test_two_subscribers_see_the_same_end_in_order(control_path: Path, backend) -> None:
    """Each has its own place; versions only grow; both end at the same view."""
    seen: list[list[int]] = []

    async def read() -> None:
        async with Client(control_path) as client:
            seen.append(await read_until(client.stream(), 30))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
            for _ in range(29):
                backend.change()
                await anyio.lowlevel.checkpoint()
    assert len(seen) == 2
    for versions in seen:
        assert versions == sorted(set(versions))
        assert versions[-1] == 30


async def test_the_client_merges_changes_into_whole_views(client: Client, backend) -> None:
    """What the stream yields is always a whole view, equal to the supervisor's."""
    views = client.stream()
    assert await anext(views) == backend.current
    backend.change(reason="because")
    backend.change(percentage=33.0)
    async for view in views:
        if view.version == 3:
            assert view == backend.current
            break
    await views.aclose()


async def test_an_action_shows_on_the_stream(client: Client, control_path: Path) -> None:
    """Who acts and who watches need not be the same."""
    from agt.supervisor.actions import Action  # noqa: PLC0415 - beside its only use.

    async with Client(control_path) as watcher:
        views = watcher.stream()
        await anext(views)
        await client.act(Action(action="hold", by="ops"))
        assert (await anext(views)).reason == "hold by ops"
        await views.aclose()


async def test_shutdown_with_an_open_stream_is_prompt(tmp_path: Path, backend) -> None:
    """Streams watch the end: the server is gone within two seconds, the reader sees a clean end, the file goes too."""
    path = tmp_path / "control.sock"
    ended = anyio.Event()

    async def read(task_status=anyio.TASK_STATUS_IGNORED) -> None:
        async with Client(path) as client:
            async for _view in client.stream():
                task_status.started()
        ended.set()

    async with anyio.create_task_group() as readers:
        with anyio.fail_after(2):
            async with anyio.create_task_group() as server:
                await server.start(serve_control, backend, path)
                await readers.start(read)
                server.cancel_scope.cancel()
            await ended.wait()
    assert not path.exists()


async def test_a_broken_stream_says_so(tmp_path: Path) -> None:
    """A peer that dies in mid-stream is `NoSupervisor`, not an httpx error."""
    path = tmp_path / "control.sock"

    async def die(stream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            await stream.send(b"5\r\nevent\r\n")

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, die)
        async with Client(path) as client:
            with pytest.raises(NoSupervisor, match="no supervisor answers"):
                await anext(client.stream())
        tasks.cancel_scope.cancel()


async def test_a_stalled_reader_loses_its_place(backend) -> None:
    """A reader that takes no bytes is dropped, and its place is free again."""
    hub = Hub(backend.current)

    async def receive() -> dict[str, str]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    with anyio.fail_after(5):
        await EventStream(hub.subscribe(), stall_s=0.05)({}, receive, send)
    assert hub.subscribers == 0


async def test_a_silent_stream_gets_a_sign_of_life(backend) -> None:
    """Comments tell a quiet supervisor from a dead one."""
    hub = Hub(backend.current)
    chunks: list[bytes] = []
    enough = anyio.Event()

    async def receive() -> dict[str, str]:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.body":
            chunks.append(message["body"])
            if len(chunks) == 2:
                enough.set()

    with anyio.fail_after(5):
        await EventStream(hub.subscribe(), heartbeat_s=0.01)({}, receive, send)
    assert chunks[0].startswith(b"event: snapshot\n")
    assert chunks[1].startswith(b": ")


async def test_too_many_streams_are_refused_in_words(control_path: Path, backend, monkeypatch) -> None:
    """The limit answers 503 with a hint; requests still work."""
    from agt.supervisor.actions import Refused  # noqa: PLC0415 - beside its only use.

    monkeypatch.setattr(Hub, "subscribe", lambda hub: (_ for _ in ()).throw(_too_many()))
    async with Client(control_path) as client:
        with pytest.raises(Refused, match="close another screen") as refused:
            await anext(client.stream())
        assert refused.value.code == "unavailable"
        assert (await client.view()).version == 1


def _too_many() -> Exception:
    from agt.supervisor.control import TooManySubscribers  # noqa: PLC0415 - beside its only use.

    return TooManySubscribers(32)
