"""Kill after kill of a whole fleet: how long until nothing new enters the candidate, and until all is decided.

Each round puts every device on the candidate, lets commands flow, and then runs `agt kill-switch on`, the very command
that an operator would; there is no supervisor. Afterwards the logs of sources and devices are joined: a fast kill that
loses a command would be no kill.
"""

import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from agt.chaos.checkers import Counts
from agt.chaos.demo._files import CANDIDATE
from agt.chaos.demo._oracle import Role
from agt.chaos.scale._stage import Progress, Stage, StageFailed, Troupe, staged

ROUTED_GOAL_MS: Final = 1000.0
SETTLED_GOAL_MS: Final = 5000.0
TRAFFIC_S: Final = 2.0
"""How long commands flow before each kill."""
COMMAND_WITHIN_S: Final = 30.0
ATTACH_PER_S: Final = 20.0
"""The slowest that devices may come; more than ten times faster is usual."""
SETTLE_WITHIN_S: Final = 60.0


class KillWork(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured."""

    devices: int = 10_000
    gateways: int = 2
    rounds: int = 5
    rate: float = 1000.0
    seed: int = 1


class KillRound(msgspec.Struct, frozen=True, kw_only=True):
    """One kill, in milliseconds from the order."""

    routed_ms: float | None
    """To the last router's confirmation."""
    settled_ms: float | None
    command_ms: float
    """The whole command, with the start of its interpreter."""
    routers: dict[str, float | None]
    """Each router's confirmation."""
    missing: dict[str, str] = {}
    draining: int = 0
    """Devices that had something in flight when they were killed."""


class KillFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    devices: int
    gateways: int
    connections: int
    """On each side: every device has its legacy socket and its reliable one."""
    rate: float
    seed: int
    attached_s: float
    rounds: tuple[KillRound, ...]
    routed_ms: float | None
    """Median over the rounds; None when a router was missing in one."""
    routed_ms_worst: float | None
    settled_ms: float | None
    settled_ms_worst: float | None
    messages: dict[Role, Counts]
    violations: tuple[str, ...]
    """What was lost, doubled, misordered or untrue, by name."""
    disagreements: tuple[str, ...]
    """Where the gateways' ledgers contradict the logs."""

    @property
    def within_goals(self) -> bool:
        """Whether every kill was routed in under a second and settled in under five."""
        routed, settled = self.routed_ms_worst, self.settled_ms_worst
        return routed is not None and settled is not None and routed < ROUTED_GOAL_MS and settled < SETTLED_GOAL_MS

    @property
    def accounted(self) -> bool:
        """Whether every message was accounted for, and truly."""
        return not self.violations and not self.disagreements


async def kill_devices(work: KillWork, run: Path, progress: Progress) -> KillFigures:
    """Set the fleet up, kill it again and again, count.

    Raises:
        StageFailed: when it can't be set up, or a round can't be begun.
    """
    troupe = Troupe(devices=work.devices, gateways=work.gateways, rate=work.rate, seed=work.seed)
    within_s = 60.0 + work.devices / ATTACH_PER_S
    rounds: list[KillRound] = []
    async with staged(run, troupe, progress, percentage=100.0, within_s=within_s) as stage:
        progress(f"{work.devices:,} devices are there after {stage.attached_s:.0f} s")
        await stage.tell_fleets("resume")
        for number in range(work.rounds):
            generation = await stage.route(100.0, after_kill=True) if number else 1
            await _all_on_candidate(stage, generation)
            await anyio.sleep(TRAFFIC_S)
            rounds.append(await _kill(stage))
            progress(f"kill {number + 1} of {work.rounds}: {_in_words(rounds[-1])}")
        await stage.tell_fleets("quiesce", within_s=20.0)
        attached_s = stage.attached_s
    progress("joining the logs of sources and devices")
    finding = await anyio.to_thread.run_sync(lambda: stage.finding(stage.history()))
    return KillFigures(
        devices=work.devices,
        gateways=work.gateways,
        connections=2 * work.devices,
        rate=work.rate,
        seed=work.seed,
        attached_s=attached_s,
        rounds=tuple(rounds),
        routed_ms=_middle([one.routed_ms for one in rounds]),
        routed_ms_worst=_worst([one.routed_ms for one in rounds]),
        settled_ms=_middle([one.settled_ms for one in rounds]),
        settled_ms_worst=_worst([one.settled_ms for one in rounds]),
        messages=finding.counts,
        violations=tuple(f"{one.check}: {one.device} #{one.number}: {one.says}" for one in finding.violations),
        disagreements=finding.disagreements,
    )


async def _all_on_candidate(stage: Stage, generation: int) -> None:
    await stage.until(
        "every device on the candidate",
        lambda seen: (
            sum(one.runtimes[CANDIDATE]["devices"] for one in seen.values()) == stage.troupe.devices
            and all(one.settled_generation >= generation and not one.killed for one in seen.values())
        ),
        within_s=SETTLE_WITHIN_S,
    )


async def _kill(stage: Stage) -> KillRound:
    """Run the operator's command and read its report."""
    command = [sys.executable, "-m", "agt.supervisor.cli", "kill-switch", "on", "--json", "--run-dir", str(stage.run)]
    began = time.perf_counter()
    run = partial(subprocess.run, command, capture_output=True, timeout=COMMAND_WITHIN_S, check=False)
    done = await anyio.to_thread.run_sync(run)
    command_ms = (time.perf_counter() - began) * 1000
    try:
        report = msgspec.json.decode(done.stdout, type=dict[str, Any])
    except msgspec.DecodeError as problem:
        raise StageFailed(f"`agt kill-switch on` says {done.stdout[:200]!r} {done.stderr[:200]!r}") from problem
    return KillRound(
        routed_ms=None if report["missing"] else report["routed_ms"],
        settled_ms=report["settled_ms"],
        command_ms=command_ms,
        routers={one["router"]: one["ms"] for one in report["answers"]},
        missing=report["missing"],
        draining=sum(one["moving"] for one in report["answers"]),
    )


def _in_words(one: KillRound) -> str:
    routed = "NOT routed everywhere" if one.routed_ms is None else f"routed in {one.routed_ms:,.0f} ms"
    settled = "NOT settled in time" if one.settled_ms is None else f"settled in {one.settled_ms:,.0f} ms"
    return f"{routed}, {settled}"


def _middle(times: list[float | None]) -> float | None:
    known = [one for one in times if one is not None]
    return statistics.median(known) if known and len(known) == len(times) else None


def _worst(times: list[float | None]) -> float | None:
    known = [one for one in times if one is not None]
    return max(known) if known and len(known) == len(times) else None
