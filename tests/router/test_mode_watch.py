"""The network mode of a router: measured over real sockets through the fault proxy, acted on, shown, and forced."""

import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agt.chaos.faults import Bandwidth, Fault, Latency
from agt.chaos.proxy import FaultProxy
from agt.router import ForcedMode, LegacyPath, MemorySelector, ReliablePath, Route, Router, Runtimes, Selector
from agt.router.metrics import RouterCollector
from agt.router.modes import (
    ModeLimits,
    ModeReport,
    ModeSample,
    ModeStatus,
    RoundLimits,
    mode_line,
    sample_words,
    watch_mode,
)
from agt.router.serving import create_app
from agt.transport import ReliableListener, ReliableTransport, Session, TCPConnection

NAMES = Runtimes(control="v1", candidate="v3")
QUICK = RoundLimits(first_every_s=0.02, first_probe_every_s=0.02)
NEAR = ModeLimits(datacenter_latency_s=30.0, internet_latency_s=60.0, bandwidth=1e5)
"""Borders that even a busy machine's loopback is well within."""


def selector(modes: dict[str, Any], forced: ForcedMode | None = None, generation: int = 0) -> Selector:
    """Everything on the candidate, but for modes."""
    route = Route(enabled=True, percentage=100.0)
    return Selector(runtimes=NAMES, generation=generation, runtime=route, modes=modes, forced_mode=forced)


@asynccontextmanager
async def gateway(limits: RoundLimits, *faults: Fault, modes: dict[str, Any]) -> AsyncIterator[Router]:
    """Run a router whose only device comes through the fault proxy, and that measures its network."""
    router = Router(MemorySelector(selector(modes)), runtimes=NAMES, clock=anyio.current_time)

    def on_peer(session: Session) -> None:
        router.attach(session.peer, {"v1": LegacyPath(session), "v3": ReliablePath(session)})

    async with (
        ReliableListener(name="gateway", on_peer=on_peer) as listener,
        FaultProxy(("127.0.0.1", listener.port), wire="native", rng=Random(1), faults=faults) as proxy,
        ReliableTransport(TCPConnection("127.0.0.1", proxy.port), name="lamp-1") as device,
        anyio.create_task_group() as tasks,
    ):
        with anyio.fail_after(20):
            await device.wait_connected()
        tasks.start_soon(router.run)
        tasks.start_soon(lambda: watch_mode(router, limits=limits))
        yield router
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it is so."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()  # There is always a ping on its way, so tasks are never all blocked.


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_long_way_is_the_internet_and_takes_devices_back() -> None:
    """100 ms through the proxy: measured as at least that, and the policy's veto moves the device."""
    async with gateway(QUICK, Latency(0.05), modes={"internet": False}) as router:
        await until(lambda: router.runtime_of("lamp-1") == "v1" and router.status().mode.mode == "internet")
        measured = router.status().mode.measured
        assert measured.latency_s is not None
        assert measured.latency_s >= 0.099
        assert measured.latencies[-1].how == "ping"
        assert router.explain("lamp-1").reason == "network mode internet is kept on v1"


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_narrow_way_is_the_internet() -> None:
    """200 Mbit/s through the proxy: measured as at most that, give or take a turn of the loop."""
    async with gateway(QUICK, Bandwidth(200e6), modes={}) as router:
        await until(lambda: router.status().mode.mode == "internet" and router.status().mode.measured.bandwidths)
        measured = router.status().mode.measured
        assert measured.bandwidth is not None
        assert min(sample.value for sample in measured.bandwidths) < 300e6
        assert measured.bandwidths[-1].how == "probe"
        assert router.runtime_of("lamp-1") == "v3"


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_short_wide_way_is_a_datacenters() -> None:
    """The whole path to the other verdict, with borders that any loopback is within; what vetoed until then lifts."""
    limits = msgspec.structs.replace(QUICK, mode=NEAR)
    async with gateway(limits, modes={"unknown": False}) as router:
        assert router.explain("lamp-1").reason == "network mode unknown is kept on v1"
        await until(lambda: router.status().mode.mode == "datacenter" and router.runtime_of("lamp-1") == "v3")


def router_at(wall: Callable[[], float], forced: ForcedMode | None = None) -> Router:
    """Make a router on a clock of the test's."""
    return Router(MemorySelector(selector({"internet": False}, forced)), runtimes=NAMES, clock=wall, wall=wall)


def test_a_forced_mode_ends_by_itself() -> None:
    """When its time is over, the measured one counts at the router's next look, for every device."""
    now = [1000.0]
    expires = datetime.datetime.fromtimestamp(2000, datetime.UTC)
    router = router_at(lambda: now[0], ForcedMode(mode="internet", owner="ana", reason="drill", expires=expires))
    router.set_mode("datacenter")
    told = []
    router.on_change(lambda: told.append(router.status().mode.mode))
    router.handle_timer()
    status = router.status().mode
    assert (status.mode, status.forced_by, status.forced_reason, status.forced_until) == (
        "internet", "ana", "drill", 2000.0,
    )  # fmt: skip
    assert not told
    now[0] = 2000.5
    router.handle_timer()
    assert told == ["datacenter"]
    assert router.status().mode.forced_by == ""


def test_the_same_mode_again_changes_nothing() -> None:
    """Each round tells the router; only another mode than before is a change of route."""
    router = router_at(lambda: 1.0)
    told: list[None] = []
    router.on_change(lambda: told.append(None))
    for mode in ("hybrid", "hybrid", "internet", "internet", None):
        router.set_mode(mode)
    assert len(told) == 3


def report(**more: Any) -> ModeReport:
    """A report like one that a router makes."""
    return ModeReport(
        mode="hybrid",
        since=1_790_000_000.0,
        latency_s=0.023,
        bandwidth=1.4e9,
        latencies=tuple(ModeSample(at=1.0, value=0.023, how="ping") for _ in range(10)),
        bandwidths=tuple(ModeSample(at=1.0, value=1.4e9, how="probe") for _ in range(7)),
        **more,
    )


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (ModeStatus(), "unknown: latency not measured, bandwidth not measured"),
        (
            ModeStatus(mode="hybrid", measured=report()),
            "hybrid: latency 23 ms of 10, bandwidth 1.4 Gbit/s of 7, since 2026-09-21 14:13:20Z",
        ),
        (
            ModeStatus(mode="hybrid", measured=report(turning_to="internet", turning_for=2, turning_at=3)),
            "hybrid: latency 23 ms of 10, bandwidth 1.4 Gbit/s of 7, since 2026-09-21 14:13:20Z, "
            "turning to internet (2 of 3)",
        ),
        (
            ModeStatus(mode="internet", forced_by="ana", forced_reason="drill", forced_until=60.0, measured=report()),
            "internet: latency 23 ms of 10, bandwidth 1.4 Gbit/s of 7, measured as hybrid since 2026-09-21 14:13:20Z, "
            "forced by ana until 1970-01-01 00:01:00Z: drill",
        ),
    ],
)
def test_it_is_said_in_one_line(status: ModeStatus, says: str) -> None:
    """What `agt status` and `agt mode` print."""
    assert mode_line(status) == says


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        ("latency", 0.000412, "0.412 ms"), ("latency", 0.1, "100 ms"), ("bandwidth", 2e8, "200 Mbit/s"),
        ("bandwidth", 1e9, "1 Gbit/s"), ("bandwidth", 64e3, "64 kbit/s"), ("bandwidth", 12.0, "12 bit/s"),
    ],
)  # fmt: skip
def test_samples_have_units(kind: str, value: float, says: str) -> None:
    """Three digits, in the unit that fits."""
    assert sample_words(kind, value) == says


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_mode_is_on_the_api_and_in_the_metrics() -> None:
    """`GET /mode` with its samples; one family that says which mode counts, others with the averages."""
    router = router_at(lambda: 1.0, ForcedMode(mode="internet", owner="ana"))
    router.set_mode("hybrid", report())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app(router)), base_url="http://router") as client:
        answer = await client.get("/mode")
    assert msgspec.json.decode(answer.content, type=ModeStatus) == router.status().mode
    assert router.status().mode.measured == report()
    registry = CollectorRegistry()
    registry.register(RouterCollector(router))
    page = generate_latest(registry).decode()
    assert 'agt_network_mode{mode="internet"} 1.0' in page
    assert 'agt_network_mode{mode="hybrid"} 0.0' in page
    assert "agt_network_mode_forced 1.0" in page
    assert "agt_network_latency_seconds 0.023" in page
    assert "agt_network_bandwidth_bits_per_second 1.4e+09" in page
