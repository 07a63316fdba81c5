"""A real Prometheus server between the routers and the engine: the same readings, and no data where it has none.

It scrapes `agt metrics-proxy`, as in the monitoring guide. Without the Debian package `prometheus` these are skipped.
"""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agt.supervisor._routers import list_routers
from agt.supervisor.measure import (
    AnswerUnusable,
    PrometheusServer,
    Readings,
    RouterSeen,
    Timeline,
    ask_routers,
    expression,
    measure_all,
    scrape,
)
from agt.supervisor.measure._prometheus import QUERY
from agt.supervisor.measure._prometheus_answer import read_vector
from agt.supervisor.measure._tcp_http import post_form
from support.measured_router import MeasuredRouter, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs a server: apt-get install prometheus"),
]

UntilAsked = Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]
MATCHERS = 'job="agt"'
METRICS = ("success_ratio", "p50_seconds", "p99_seconds", "packet_loss", "failure_ratio", "samples")
CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: agt
    http_sd_configs: [{{url: "http://127.0.0.1:{port}/targets", refresh_interval: 1s}}]
"""


ROUTERS = ("gateway.sock", "gateway-gone.sock")


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def process(*command: str, cwd: Path) -> Iterator[None]:
    """Run a program until the block ends."""
    with (cwd / f"{Path(command[0]).name}.log").open("wb") as log:
        running = subprocess.Popen(command, cwd=cwd, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait()


@pytest.fixture(scope="module")
def watched() -> Iterator[tuple[Path, PrometheusServer]]:
    """A run directory with two routers' sockets, and a Prometheus server that scrapes what is there."""
    run = Path(tempfile.mkdtemp(prefix="agt-"))
    list_routers(run, ROUTERS)
    proxy, port = free_port(), free_port()
    (run / "prometheus.yml").write_text(CONFIG.format(port=proxy))
    ours = [sys.executable, "-m", "agt.supervisor.cli", "metrics-proxy", "--port", str(proxy), "--run-dir", str(run)]
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"]
    with process(*ours, cwd=run), process("prometheus", *options, cwd=run):
        yield run, PrometheusServer(f"http://127.0.0.1:{port}", MATCHERS, max_age_s=30.0)
    shutil.rmtree(run)


async def ask(server: PrometheusServer, path: Path) -> RouterSeen:
    """What the engine sees now of one router."""
    (seen,) = await measure_all(server, {path.name: path}, at=time.time(), timeout_s=2.0)
    return seen


async def measured(server: PrometheusServer, path: Path, *, sent: float, until_asked: UntilAsked) -> RouterSeen:
    """What the engine sees once the server has scraped a page with so many packets on it."""
    found: list[RouterSeen] = []

    async def scraped() -> bool:
        seen = await ask(server, path)
        found[:] = [seen]
        return seen.sample is not None and seen.sample.counters["new"].sent == sent

    await until_asked(scraped)
    return found[0]


async def test_readings_are_the_same_by_scrape_and_by_promql(
    watched: tuple[Path, PrometheusServer], until_asked: UntilAsked
):
    """Success, quantiles, loss and groups over one window, asked of the router and asked of the server."""
    run, server = watched
    router, path = MeasuredRouter(carried={"1": 12.5}), run / "gateway.sock"
    scraped, asked = Timeline(), Timeline()
    async with serving(router, path):
        for count in (100, 500):
            router.delivered, router.failed, router.resent, router.slow = count, count // 50, count // 25, count // 10
            seen = await measured(server, path, sent=count, until_asked=until_asked)
            own = await scrape(path, name="gateway.sock", at=time.time(), timeout_s=2.0)
            assert seen.sample is not None
            assert own.sample is not None
            asked.add("gateway.sock", seen.sample)
            scraped.add("gateway.sock", own.sample)
            assert seen.status is not None
            assert seen.status.carried_s == {"1": 12.5}  # As scraped, and not what the router says for itself.
        readings = [
            Readings(timeline=one, now=time.time(), control="old", latency_limit_s=1.5) for one in (scraped, asked)
        ]
        for metric in METRICS:
            first, second = (one.read(metric, "new", start=0.0) for one in readings)
            assert first.value is not None
            assert (first.value, first.samples) == (second.value, second.samples), metric
        assert readings[0].groups("new", start=0.0) == readings[1].groups("new", start=0.0)
        await understands_every_expression(server)


async def understands_every_expression(server: PrometheusServer) -> None:
    """The server takes each expression, and its ratios over the same counts are ours."""
    for metric in (*METRICS, "queue_full_ratio", "decode_error_ratio", "shadow_error_rate"):
        query = expression(metric, "new", "1m", matchers=MATCHERS)
        found = read_vector((await post_form(server.url, QUERY, {"query": query})).body)
        if metric == "success_ratio":
            assert found[0].value == pytest.approx(1 / 1.02, rel=0.01)


async def test_router_that_is_gone_is_no_data(watched: tuple[Path, PrometheusServer], until_asked: UntilAsked):
    """The server's last word on it isn't taken for news, and a new instance isn't taken for the old one."""
    run, server = watched
    path = run / "gateway-gone.sock"
    async with serving(MeasuredRouter(name="g1", delivered=10), path):
        await measured(server, path, sent=10, until_asked=until_asked)
        stale = await ask(replace(server, max_age_s=0.0), path)
        assert (stale.sample, "last scraped gateway-gone.sock" in stale.error) == (None, True)

    async def forgotten() -> bool:
        return "g1" not in await ask_routers(server, now=time.time())

    await until_asked(forgotten)
    async with serving(MeasuredRouter(name="g2", delivered=3), path):
        unknown = await ask(replace(server, matchers='job="another"'), path)
        assert (unknown.sample, "knows nothing of gateway-gone.sock" in unknown.error) == (None, True)
        seen = await measured(server, path, sent=3, until_asked=until_asked)
        assert seen.status is not None
        assert seen.status.router == "g2"
    with pytest.raises(AnswerUnusable, match="refuses the query"):
        await ask_routers(replace(server, matchers="job="), now=1.0)
