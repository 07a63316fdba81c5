"""The router's HTTP API over a real Unix socket."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from agt.router import Route, Router, Runtimes, Selector, SelectorFile, SocketUnusable, format_selector
from agt.router.serving import create_app, open_socket, serve
from agt.router.testing import ManualClock, ScriptedPath

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
SELECTOR = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=25.0))

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn serves on asyncio only."""
    return "asyncio"


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Router, httpx.AsyncClient]]:
    """A router with one device on the candidate, served in a folder."""
    file = SelectorFile(folder / "selector.toml")
    file.write(SELECTOR, expected=0)
    router = Router(file, runtimes=RUNTIMES)
    clock = ManualClock()
    router.attach("a", {"legacy": ScriptedPath(clock, legacy=True), "reliable": ScriptedPath(clock)})
    path = folder / "gateway.sock"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        await tasks.start(serve, create_app(router), path)
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
            yield router, client
        tasks.cancel_scope.cancel()


async def test_status_devices_and_explanation_are_json(tmp_path: Path) -> None:
    """What the contract between the parts names is there."""
    async with served(tmp_path) as (router, client):
        status = (await client.get("/status")).json()
        names = {"router", "generation", "settled_generation", "percentage", "killed", "runtimes", "ledger", "moves"}
        assert names | {"carried_s", "shadow", "legacy_users"} <= set(status)
        carried = {"devices": 1, "in_flight": 0, "queued": 0, "sessions": 1, "pinned": 0}
        assert status["runtimes"]["reliable"] == carried
        (device,) = (await client.get("/devices")).json()
        assert device["runtime"] == "reliable"
        explanation = (await client.get("/explain", params={"device": "session-alpha"})).json()
        assert explanation["runtime"] == "legacy"
        assert explanation["moves_at"] == 30.83
        assert {link["rule"] for link in explanation["chain"]} >= {"kill", "cohort", "percentage"}
        assert (await client.get("/ready")).json()["router"] == router.status().router


async def test_metrics_have_the_agreed_names(tmp_path: Path) -> None:
    """The engine scrapes these."""
    async with served(tmp_path) as (router, client):
        text = (await client.get("/metrics")).text
        name = router.status().router
    assert f'agt_route_carried_seconds{{generation="1",router="{name}"}}' in text
    assert 'agt_devices{transport="reliable"} 1.0' in text
    assert 'agt_ledger_messages_total{outcome="delivered",transport="reliable"} 0.0' in text
    for family in ("agt_route_generation", "agt_moves_in_progress", "agt_shadow_compared_total", "agt_ledger_resends"):
        assert family in text


async def test_preview_answers_and_moves_nobody(tmp_path: Path) -> None:
    """Lowering to 10 % would take the device back."""
    async with served(tmp_path) as (router, client):
        preview = (await client.get("/preview", params={"percentage": 10})).json()
        assert (preview["moves"], preview["to_control"], preview["devices"]) == (1, 1, ["a"])
        assert router.runtime_of("a") == "reliable"
        for wrong in ({"percentage": "x"}, {"percentage": 101}, {}):
            answer = await client.get("/preview", params=wrong)
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


async def test_whole_selector_is_previewed_and_devices_are_counted(tmp_path: Path) -> None:
    """What an action would write is asked about as it is; wrong questions are answered in words."""
    async with served(tmp_path) as (router, client):
        body = format_selector(SELECTOR.with_route(kill_switch=True))
        preview = (await client.post("/preview", content=body)).json()
        assert (preview["moves"], preview["to_control"], preview["devices"]) == (1, 1, ["a"])
        assert router.runtime_of("a") == "reliable"
        order = (await client.get("/order", params={"count": 7})).json()
        assert order == {"by_name": 0, "devices": ["a"], "total": 1}
        for answer in (
            await client.post("/preview", content="percentag = 3"),
            await client.get("/order", params={"count": "-1"}),
            await client.get("/order"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


async def test_selector_is_applied_in_memory_at_once(tmp_path: Path) -> None:
    """Going back needs no file; a bad body changes nothing and names its keys."""
    async with served(tmp_path) as (router, client):
        body = format_selector(SELECTOR.with_route(percentage=0.0).at_generation(2))
        receipt = (await client.post("/selector", params={"wait": "settled"}, content=body)).json()
        assert (receipt["generation"], receipt["moved"], receipt["moving"]) == (2, 1, 0)
        assert receipt["routed_ms"] <= receipt["settled_ms"]
        assert router.runtime_of("a") == "legacy"
        answer = await client.post("/selector", content=body.replace("percentage", "percentag", 1))
        assert answer.status_code == 422
        assert "runtime.percentag" in answer.json()["error"]["message"]
        assert router.status().generation == 2


async def test_kill_answers_with_a_receipt_and_latches(tmp_path: Path) -> None:
    """Routed, settled, the file taken away; a selector sent afterwards is refused."""
    async with served(tmp_path) as (router, client):
        receipt = (await client.post("/kill", params={"reason": "by ana", "wait": "settled"})).json()
        assert (receipt["moved"], receipt["latched"], receipt["indeterminate"]) == (1, True, 0)
        assert router.killed == "by ana"
        assert (tmp_path / "selector.toml.killed").exists()
        answer = await client.post("/selector", content=format_selector(SELECTOR.at_generation(9)))
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "refused")


async def test_socket_is_ours_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    """Mode 0600; nothing stays behind."""
    path = tmp_path / "gateway.sock"
    async with served(tmp_path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_other_users_get_no_answer(tmp_path: Path) -> None:
    """Even where the file would let them in, the kernel's word on the peer's uid counts."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    script = (
        "import os, socket, sys\n"
        "peer = socket.socket(socket.AF_UNIX); peer.connect(sys.argv[1])\n"
        "peer.sendall(b'GET /ready HTTP/1.0\\r\\n\\r\\n'); print(len(peer.recv(100)))\n"
    )
    script = script.replace("peer = ", "os.setuid(65534); peer = ").replace("import os", "import os", 1)
    with open_socket(tmp_path / "probe.sock"):
        pass
    async with served(tmp_path):
        (tmp_path / "gateway.sock").chmod(0o666)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_mode & 0o001 == 0 and str(folder) != "/tmp":
                folder.chmod(folder.stat().st_mode | 0o011)
        result = await anyio.run_process(
            [sys.executable, "-c", script, str(tmp_path / "gateway.sock")], check=False, stderr=subprocess.DEVNULL
        )
    assert result.stdout.strip() in (b"0", b"")


def test_long_socket_path_is_refused_in_words(tmp_path: Path) -> None:
    """Before the kernel would, and with the number that counts."""
    with pytest.raises(SocketUnusable, match="Linux allows 107"), open_socket(tmp_path / ("x" * 120)):
        pass


def test_live_socket_is_left_alone_and_a_stale_one_replaced(tmp_path: Path) -> None:
    """A dead process's socket is no obstacle, a living one's and a plain file are."""
    path = tmp_path / "gateway.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with open_socket(path):
        with pytest.raises(SocketUnusable, match="another process serves"), open_socket(path):
            pass
        assert path.exists()
    path.write_text("not a socket")
    with pytest.raises(SocketUnusable, match="no socket"), open_socket(path):
        pass
    assert path.read_text() == "not a socket"
