"""The control API over TCP, on a real socket: who gets in, what they may do, and what too much is."""

import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest

from agt.supervisor.access import TokenFile
from agt.supervisor.control import TcpListening, serve_control
from agt.supervisor.control import _doors as doors
from agt.supervisor.control._protocols import OneRequestProtocol
from agt.supervisor.tokens import Role, TokenOrder


class Served:
    """A control API on TCP, and what it told."""

    def __init__(self, run: Path) -> None:
        self.tokens = TokenFile(run)
        self.failures: list[tuple[str, int]] = []
        self.port = 0

    def listening(self) -> TcpListening:
        def on_listening(_host: str, port: int) -> None:
            self.port = port

        return TcpListening(
            host="127.0.0.1",
            port=0,
            tokens=self.tokens,
            on_failures=lambda peer, count: self.failures.append((peer, count)),
            on_listening=on_listening,
        )

    def http(self, role: Role | None, *, name: str = "", **headers: str) -> httpx.AsyncClient:
        """Return a client with a token of its own."""
        if role is not None:
            token = self.tokens.create(TokenOrder(name=name or f"ci-{role}", role=role)).token
            headers["authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=5)


@pytest.fixture
async def served(tmp_path: Path, backend) -> AsyncIterator[Served]:
    """The control API of a script on a free port."""
    served = Served(tmp_path)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve_control, backend, tmp_path / "control.sock", tcp=served.listening()))
        yield served
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer agt_00000000_" + "x" * 43},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer \xff"},
    ],
)
async def test_without_a_token_nothing_is_answered(served: Served, backend, shown: dict[str, str]) -> None:
    """Not even health; and what was shown is told to nobody."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        headers = {name: value.encode("latin-1") for name, value in shown.items()}
        for method, route in (("GET", "/v1/view"), ("GET", "/healthz"), ("POST", "/v1/actions"), ("GET", "/nowhere")):
            response = await http.request(method, route, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] == "unauthenticated"
    assert backend.acted == []
    assert served.failures == [("127.0.0.1", 1)]


async def test_a_viewer_reads_and_previews_and_does_nothing(served: Served, backend) -> None:
    """What changes something is forbidden, whatever it is."""
    async with served.http("viewer") as http:
        assert (await http.get("/v1/view")).json()["plan"] == "scripted"
        assert (await http.post("/v1/previews", json={"action": "rollback"})).status_code == 200
        for method, route in (("POST", "/v1/actions"), ("POST", "/v1/sessions/restarts"), ("DELETE", "/v1/view")):
            response = await http.request(method, route, json={"action": "hold"})
            assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")
    assert backend.acted == []


async def test_an_operator_acts_under_the_tokens_name_and_no_other(served: Served, backend) -> None:
    """A sign-off by token is bound to its name, whatever the order claims."""
    async with served.http("operator", name="ann") as http:
        order = {"action": "sign-off", "name": "release", "by": "somebody-else"}
        assert (await http.post("/v1/actions", json=order)).status_code == 200
        assert (await http.get("/v1/tokens")).status_code == 403
    assert backend.acted[-1].by == "token:ann"


async def test_at_the_unix_socket_a_tokens_name_can_only_be_claimed(control_path: Path, backend) -> None:
    """The owner acts as an operator, under whatever name they claim, and it is marked as a claim."""
    transport = httpx.AsyncHTTPTransport(uds=str(control_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://agt") as http:
        for by in ("ann", "token:ann"):
            assert (await http.post("/v1/actions", json={"action": "hold", "by": by})).status_code == 200
    assert [action.by for action in backend.acted] == ["ann", "claimed:token:ann"]


async def test_a_page_that_a_browser_was_given_gets_nowhere(served: Served) -> None:
    """DNS rebinding shows in Host, a foreign page in Origin: refused before the token is looked at."""
    async with served.http("operator") as http:
        assert (await http.get("/v1/view", headers={"host": f"evil.example:{served.port}"})).status_code == 421
        assert (await http.get("/v1/view", headers={"origin": "http://evil.example"})).status_code == 403
        assert (await http.get("/v1/view")).status_code == 200
    assert served.failures == []


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets that hardly fill up again, so that a slow machine doesn't earn while it asks."""
    monkeypatch.setattr(doors, "TOKEN_PER_S", 0.01)
    monkeypatch.setattr(doors, "TOKEN_BURST", 5.0)


async def test_a_budget_limits_everything_but_going_back(narrow: None, served: Served, backend) -> None:
    """Each token has its own; 429 says when to come again; rollback, hold, kill and lowering always pass."""
    async with served.http("operator") as one, served.http("viewer") as other:
        assert [(await one.get("/healthz")).status_code for _ in range(6)] == [200] * 5 + [429]
        last = await one.post("/v1/actions", json={"action": "drill", "name": "latency"})
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) >= 1
        assert last.json()["error"]["code"] == "limited"
        acted = len(backend.acted)
        back = [
            {"action": "rollback"},
            {"action": "hold"},
            {"action": "kill-switch-on"},
            {"action": "set", "percentage": 10.0},
            {"action": "component", "name": "codec", "on": False},
            {"action": "override", "device": "lamp-1", "side": "control"},
        ]
        for order in back * 5:
            assert (await one.post("/v1/actions", json=order)).status_code == 200
        assert len(backend.acted) == acted + 30
        assert (await other.get("/healthz")).status_code == 200


async def test_failing_again_and_again_is_limited_and_locks_nobody_out(served: Served) -> None:
    """Who fails is told to wait; a valid token still gets in from the same address."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        codes = {(await http.get("/v1/view")).status_code for _ in range(20)}
    assert codes == {401, 429}
    async with served.http("viewer") as known:
        assert (await known.get("/v1/view")).status_code == 200


async def test_a_revoked_token_ends_its_stream(served: Served, backend) -> None:
    """Not only the next request: what is open ends with the token."""
    async with served.http("viewer") as http, http.stream("GET", "/v1/stream") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: snapshot"
        served.tokens.revoke("ci-viewer")
        with anyio.fail_after(5):
            async for line in lines:
                assert not line.startswith("event: change")
                backend.change()


async def send_raw(port: int, data: bytes) -> bytes:
    """Send bytes over TCP and return what comes until the end."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(data)
        answer = b""
        with anyio.fail_after(5):
            while True:
                try:
                    answer += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return answer


async def test_a_head_that_doesnt_come_is_not_waited_for(tmp_path: Path, backend, monkeypatch) -> None:
    """A slow sender holds a place for the deadline and no longer, however it drips."""
    monkeypatch.setattr(OneRequestProtocol, "head_within_s", 0.2)
    served = Served(tmp_path)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve_control, backend, tmp_path / "c.sock", tcp=served.listening()))
        with anyio.fail_after(5):
            assert await send_raw(served.port, b"") == b""
            assert await drip(served.port, b"GET /v1/view HTTP/1.1\r\nhost: " + b"x" * 1000) < 1000
        tasks.cancel_scope.cancel()


async def drip(port: int, head: bytes) -> int:
    """Send a byte of a head now and then; return how many went before the connection was cut."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        for index, byte in enumerate(head):
            try:
                await stream.send(bytes([byte]))
                with anyio.move_on_after(0.02):
                    await stream.receive()
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return index
    return len(head)


async def test_a_body_that_is_too_large_or_too_slow_is_refused(served: Served, backend, monkeypatch) -> None:
    """The declared length before anything is read, an undeclared one as it comes, a slow one at its deadline."""
    async with served.http("operator") as http:
        token = http.headers["authorization"]
    head = f"POST /v1/actions HTTP/1.1\r\nhost: 127.0.0.1:{served.port}\r\nauthorization: {token}\r\n".encode()
    assert b" 413 " in await send_raw(served.port, head + b"content-length: 999999999999999\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert b" 422 " in await send_raw(served.port, head + b"transfer-encoding: chunked\r\n\r\n" + chunk + chunk)
    monkeypatch.setattr(doors, "_within", partial(lambda within, receive, _s: within(receive, 0.05), doors._within))
    assert b" 408 " in await send_raw(served.port, head + b"content-length: 10\r\n\r\n{")
    assert backend.acted == []


async def test_a_crowd_on_tcp_takes_no_place_at_the_unix_socket(served: Served, tmp_path: Path) -> None:
    """More connections than TCP takes: the owner's kill still gets through."""
    idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(80)]
    try:
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "control.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://agt") as http:
            assert (await http.post("/v1/actions", json={"action": "kill-switch-on"})).status_code == 200
    finally:
        for one in idle:
            one.close()
