"""`agt mode`: asked of gateways on their own sockets, without a supervisor."""

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from agt.router import MemorySelector, Route, Router, Runtimes, Selector
from agt.router.modes import ModeReport, ModeSample
from agt.router.serving import create_app, serve
from agt.supervisor.cli import run

NAMES = Runtimes(control="v1", candidate="v3")


def gateway(mode: str, latency_s: float, peers: int = 1) -> Router:
    """Make a router that has measured something."""
    router = Router(MemorySelector(Selector(runtimes=NAMES, runtime=Route(enabled=True))), runtimes=NAMES)
    report = ModeReport(
        mode=mode,
        since=0.0,
        latency_s=latency_s,
        bandwidth=2e9,
        latencies=(ModeSample(at=1.0, value=latency_s, peers=peers, how="ping"),),
        bandwidths=(ModeSample(at=1.0, value=2e9, how="probe"),),
    )
    router.set_mode(mode, report)
    return router


def asked(folder: Path, routers: dict[str, Router], *options: str) -> int:
    """Serve routers, run the command beside them in a thread, and return how it ended."""

    async def main() -> int:
        async with anyio.create_task_group() as tasks:
            for name, router in routers.items():
                await tasks.start(serve, create_app(router), folder / name)
            status = await anyio.to_thread.run_sync(lambda: run(("mode", "--run-dir", str(folder), *options)))
            tasks.cancel_scope.cancel()
            return status

    return anyio.run(main)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run directory."""
    tmp_path.chmod(0o700)
    return tmp_path


def test_one_gateway_says_its_mode_and_its_samples(folder: Path, capsys: Any) -> None:
    """One line, then the measurements, each with what measured it."""
    assert asked(folder, {"gateway.sock": gateway("hybrid", 0.023, peers=3)}) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mode hybrid: latency 23 ms of 1, bandwidth 2 Gbit/s of 1, since 1970-01-01 00:00:00Z",
        "  latency 23 ms by ping, median of 3 peers",
        "  bandwidth 2 Gbit/s by probe, 1 peer",
    ]


def test_several_gateways_are_told_apart(folder: Path, capsys: Any) -> None:
    """In JSON by name, with everything."""
    routers = {"gateway-1.sock": gateway("datacenter", 0.001), "gateway-2.sock": gateway("internet", 0.2)}
    assert asked(folder, routers, "--json") == 0
    found = msgspec.json.decode(capsys.readouterr().out)["routers"]
    assert {name: one["mode"] for name, one in found.items()} == {
        "gateway-1.sock": "datacenter",
        "gateway-2.sock": "internet",
    }
    assert found["gateway-2.sock"]["measured"]["latencies"][0]["value"] == 0.2


def test_without_a_gateway_there_is_one_clear_line(folder: Path, capsys: Any) -> None:
    """Exit status 1, what wasn't reached, and what to look at."""
    assert run(("mode", "--run-dir", str(folder))) == 1
    said = capsys.readouterr().err
    assert "no gateway answers" in said
    assert "Traceback" not in said
