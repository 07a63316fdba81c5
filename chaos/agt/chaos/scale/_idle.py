"""What a supervisor costs while nothing happens: processor time and memory beside gateways with many devices.

Real gateways with real devices report; a real supervisor watches them at its real pace (a look every two seconds, a
check each `checks_every`) and carries a plan out that can't advance. Both are read from /proc, as an operator would.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import msgspec

from agt.chaos.scale._stage import Progress, StageFailed, Troupe, staged
from agt.supervisor.client import Client, NoSupervisor

CORE_GOAL: Final = 0.03
"""Share of a core that an idle supervisor may take."""
RSS_GOAL_MIB: Final = 150.0
ATTACH_PER_S: Final = 20.0
SEEN_WITHIN_S: Final = 90.0
_POLL_S: Final = 0.1
_TICKS: Final = os.sysconf("SC_CLK_TCK")

_PLAN: Final = """
schema = 1
name = "idle"
routers = [{routers}]
checks_every = "{checks_every}"
[runtimes]
control = "legacy"
candidate = "reliable"
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.999
window = "30d"
[[objective]]
name = "p99"
metric = "p99_seconds"
at_most = 0.8
window = "7d"
[[phase]]
name = "canary-50"
route = {{ percent = 50 }}
soak = "7d"
[[phase.gate]]
objective = "all"
[[phase.gate]]
metric = "samples"
at_least = 10000
[[phase.gate]]
metric = "error_budget_left"
above = 0.5
[[rule]]
name = "slo-violated"
when = {{ objective = "any", violated_for = "3 checks" }}
then = "notify"
"""


class IdleWork(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured."""

    devices: int = 10_000
    gateways: int = 1
    rate: float = 50.0
    """Commands a second over all devices: a quiet house."""
    warm_s: float = 10.0
    seconds: float = 60.0
    checks_every: str = "1m"
    seed: int = 1


class IdleFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    devices: int
    """As the supervisor's view counts them."""
    gateways: int
    seconds: float
    cpu_s: float
    """User and system time of the supervisor in that time."""
    core_share: float
    rss_mib: float
    """At the end."""
    peak_mib: float
    """Since its start."""
    gateway_cpu_s: float
    """Of all gateways, for comparison: answering the supervisor is a part of it."""

    @property
    def within_goals(self) -> bool:
        """Whether it stays under 3 % of a core and 150 MiB."""
        return self.core_share < CORE_GOAL and self.peak_mib < RSS_GOAL_MIB


async def idle_devices(work: IdleWork, run: Path, progress: Progress) -> IdleFigures:
    """Set gateways and devices up, put a supervisor beside them, and read what it takes.

    Raises:
        StageFailed: when it can't be set up, or the supervisor doesn't answer.
    """
    troupe = Troupe(devices=work.devices, gateways=work.gateways, rate=work.rate, seed=work.seed)
    async with staged(run, troupe, progress, percentage=50.0, within_s=60.0 + work.devices / ATTACH_PER_S) as stage:
        progress(f"{work.devices:,} devices are there after {stage.attached_s:.0f} s")
        await stage.tell_fleets("resume")
        plan = run / "idle.toml"
        routers = ", ".join(f'"{name}"' for name in stage.files)
        plan.write_text(_PLAN.format(routers=routers, checks_every=work.checks_every), encoding="utf-8")
        stage.processes["supervisor"] = _supervise(plan, run)
        pid = stage.processes["supervisor"].pid
        gateways = [process.pid for name, process in stage.processes.items() if name.startswith("gateway")]
        async with Client(run / "control.sock") as client:
            await _until_seen(client, work.devices, stage.check_alive)
            await anyio.sleep(work.warm_s)
            progress(f"measuring for {work.seconds:g} s")
            began, cpu, beside = time.monotonic(), _cpu_s(pid), sum(map(_cpu_s, gateways))
            await anyio.sleep(work.seconds)
            stage.check_alive()
            seconds, used, beside = time.monotonic() - began, _cpu_s(pid) - cpu, sum(map(_cpu_s, gateways)) - beside
            rss_mib, peak_mib = _memory_mib(pid)
            view = await client.view()
    return IdleFigures(
        devices=sum(runtime.devices for runtime in view.runtimes),
        gateways=work.gateways,
        seconds=seconds,
        cpu_s=used,
        core_share=used / seconds,
        rss_mib=rss_mib,
        peak_mib=peak_mib,
        gateway_cpu_s=beside,
    )


def _supervise(plan: Path, run: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "agt.supervisor.cli", "up", str(plan), "--run-dir", str(run)]
    with (run / "supervisor.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command.


async def _until_seen(client: Client, devices: int, check_alive: Callable[[], None]) -> None:
    """Wait until the supervisor's view has every device: one that sees nothing costs nothing."""
    ends_at, seen = time.monotonic() + SEEN_WITHIN_S, 0
    while time.monotonic() < ends_at:
        check_alive()
        try:
            seen = sum(runtime.devices for runtime in (await client.view()).runtimes)
        except NoSupervisor:
            seen = 0
        if seen >= devices:
            return
        await anyio.sleep(_POLL_S)
    raise StageFailed(f"the supervisor sees {seen:,} of {devices:,} devices after {SEEN_WITHIN_S:g} s; see its log")


def _cpu_s(pid: int) -> float:
    """Return a process's user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mib(pid: int) -> tuple[float, float]:
    """Return what a process has in memory now and had at most."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    found = {key: value.split()[0] for key, _, value in (line.partition(":") for line in lines) if value.strip()}
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024
