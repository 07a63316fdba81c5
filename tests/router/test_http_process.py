"""The adapter with its files and its socket: selector on disk, status and kill from outside, 410 by the selector."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import msgspec
import pytest

from agt.router import SelectorFile
from agt.router.http import Address, HttpConfig, HttpStatus, serve_all
from agt.supervisor.cli import run
from support.http_front import RUNTIMES, Service, config, listening, selector

pytestmark = pytest.mark.anyio

RETIRED = """
[[retired]]
path = "/api/v1/**"
runtime = "v1"
sunset = 2026-04-20T00:00:00Z
successor = "/api/v2/"
says = "v1 was replaced"
"""


@pytest.fixture
def anyio_backend() -> str:
    """The adapter runs on asyncio only."""
    return "asyncio"


@asynccontextmanager
async def served(
    folder: Path, extra: str = "", **route: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Everything that `http.toml` asks for, in a folder: a caller's client, and one of the router's own socket."""
    SelectorFile(folder / "selector.toml").write(selector(**route, generation=0), expected=0)
    async with (
        listening(Service("v1")) as control,
        listening(Service("v2")) as candidate,
        anyio.create_task_group() as tasks,
    ):
        address = await tasks.start(serve_all, config(control.address, candidate.address, extra), folder)
        api = httpx.AsyncHTTPTransport(uds=str(folder / "gateway.sock"), verify=False)
        async with (
            httpx.AsyncClient(base_url=f"http://{address}", verify=False) as client,
            httpx.AsyncClient(transport=api, base_url="http://router", verify=False) as router,
        ):
            yield client, router
        tasks.cancel_scope.cancel()


async def test_the_routers_own_socket_tells_and_commands(tmp_path: Path) -> None:
    """Status, preview, metrics, devices and kill are the router's, as for live connections."""
    async with served(tmp_path, percentage=50.0) as (client, router):
        for n in range(10):
            await client.get("/", headers={"x-device": f"d{n}"})
        status = (await router.get("/status")).json()
        assert sum(one["devices"] for one in status["runtimes"].values()) == 10
        assert len((await router.get("/devices")).json()) == 10
        preview = (await router.get("/preview", params={"percentage": 100})).json()
        assert preview["to_candidate"] == status["runtimes"]["v1"]["devices"]
        metrics = (await router.get("/metrics")).text
        assert 'tcp_comm_packet_sent_total{outcome="delivered",transport="v2"}' in metrics
        assert 'agt_http_answers_total{status="2xx",transport="v1"}' in metrics
        assert 'agt_observed_replies_total{transport="v1"}' in metrics
        own = msgspec.json.decode((await router.get("/http")).content, type=HttpStatus)
        assert (own.callers, own.under_way) == (10, {"v1": 0, "v2": 0})
        receipt = (await router.post("/kill", params={"reason": "test", "wait": "settled"})).json()
        assert receipt["moved"] == status["runtimes"]["v2"]["devices"]
        assert {(await client.get("/", headers={"x-device": f"d{n}"})).json()["by"] for n in range(10)} == {"v1"}
        assert (tmp_path / "selector.toml.killed").exists()


async def test_what_is_retired_answers_410_by_the_selector(tmp_path: Path) -> None:
    """First headers, then 410 with a body that says where to go; what the other runtime answers isn't touched."""
    async with served(tmp_path, RETIRED, percentage=0.0, cohort=("new",)) as (client, router):

        async def listener(mode: str, generation: int) -> httpx.Response:
            told = selector(0.0, cohort=("new",), legacy_listener=mode, generation=generation)
            SelectorFile(tmp_path / "selector.toml").write(told, expected=generation - 1)
            with anyio.fail_after(5):
                while (await router.get("/status")).json()["legacy_listener"] != mode:
                    pass
            return await client.get("/api/v1/users", headers={"x-device": "old"})

        assert "sunset" not in (await client.get("/api/v1/users")).headers
        warned = await listener("warn", 2)
        assert (warned.status_code, warned.headers["sunset"]) == (200, "Mon, 20 Apr 2026 00:00:00 GMT")
        gone = await listener("refuse", 3)
        assert (gone.status_code, gone.headers["link"]) == (410, '</api/v2/>; rel="successor-version"')
        assert gone.json()["error"]["message"] == "v1 was replaced"
        assert gone.json()["error"]["successor"] == "/api/v2/"
        assert (await client.get("/api/v1/users", headers={"x-device": "new"})).status_code == 200
        assert (await client.get("/other")).status_code == 200
        assert (await router.get("/http")).json()["retired"] == {"deprecated": 1, "gone": 1}


async def test_the_end_waits_for_what_is_under_way(tmp_path: Path) -> None:
    """A request that has begun is answered before the adapter goes, and its sockets go with it."""
    gate, begun = anyio.Event(), anyio.Event()

    async def slow(_: Any, receive: Any, send: Any) -> None:
        begun.set()
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    SelectorFile(tmp_path / "selector.toml").write(selector(0.0, generation=0), expected=0)
    async with listening(Service("v1", slow)) as control, anyio.create_task_group() as outer:
        told = config(control.address, Address(host="127.0.0.1", port=1))
        serving = await outer.start(_cancellable, told, tmp_path)
        async with (
            httpx.AsyncClient(base_url=f"http://{serving[1]}", verify=False) as client,
            anyio.create_task_group() as tasks,
        ):
            answers: list[httpx.Response] = []

            async def ask() -> None:
                answers.append(await client.get("/"))

            tasks.start_soon(ask)
            await begun.wait()
            serving[0].cancel()
            for _ in range(300):  # Turns enough for everything that must not end yet.
                await anyio.lowlevel.checkpoint()
            assert (tmp_path / "gateway.sock").exists(), "the router is there as long as requests are"
            gate.set()
        assert answers[0].text == "done"
    assert not (tmp_path / "gateway.sock").exists()


async def _cancellable(told: HttpConfig, folder: Path, *, task_status: Any) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            address = await tasks.start(serve_all, told, folder)
            task_status.started((scope, address))


async def test_the_command_says_when_it_is_ready_and_ends_in_order(tmp_path: Path) -> None:
    """`agt http` as a supervisor starts it: READY=1, an address, SIGTERM, status 0."""
    SelectorFile(tmp_path / "selector.toml").write(selector(0.0, generation=0), expected=0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(20)
        async with listening(Service("v1")) as control:
            (tmp_path / "http.toml").write_text(
                f'[runtimes]\ncontrol = "{RUNTIMES.control}"\ncandidate = "{RUNTIMES.candidate}"\n'
                f'[upstreams.v1]\nurl = "http://{control.address}"\n[upstreams.v2]\nurl = "unix:/nobody"\n'
                '[listen]\naddress = "127.0.0.1:0"\n'
            )
            process = _started(tmp_path)
            assert process.stdout is not None
            with process:
                try:
                    assert await anyio.to_thread.run_sync(told.recv, 100) == b"READY=1"
                    address = msgspec.json.decode(await anyio.to_thread.run_sync(_document, process.stdout))[
                        "listening"
                    ]
                    async with httpx.AsyncClient(verify=False) as client:
                        assert (await client.get(f"http://{address}/")).json()["by"] == "v1"
                    process.send_signal(signal.SIGTERM)
                    assert await anyio.to_thread.run_sync(process.wait, 20) == 0
                finally:
                    process.kill()


def _started(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "agt.supervisor.cli", "http", "--config", "http.toml", "--json"],
        cwd=folder,
        env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _document(stdout: Any) -> bytes:
    lines = b""
    while not lines.endswith(b"}\n"):
        lines += stdout.readline()
    return lines


def test_a_wrong_file_ends_the_command_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Never a traceback; `--check --json` for scripts."""
    (tmp_path / "http.toml").write_text("[runtimes]\ncontrol = 1\n")
    arguments = ["http", "--config", str(tmp_path / "http.toml")]
    assert run([*arguments, "--check", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 3
    assert run(arguments) == 1
    assert "upstreams: is missing" in capsys.readouterr().err
    assert run(["http", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$defs"]["Retired"]["properties"]["sunset"]["description"]
