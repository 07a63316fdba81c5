"""The rounds of the router bench: each measurement in a process of its own, medians over all rounds."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from agt.chaos.bench._processes import RunVoid, started
from agt.chaos.bench._tasks import Ready
from agt.chaos.bench._work import PAYLOAD_BYTES
from agt.chaos.bench.router._result import Added, Decision, Memory, RouterResult, goals
from agt.chaos.bench.router._tasks import (
    Decided,
    DecideTask,
    Moves,
    MoveTask,
    Routed,
    RouteTask,
    ServeTask,
    Times,
)
from agt.router import MoveLimits

Progress = Callable[[str], None]
_ENDS = "agt.chaos.bench.router._ends"
__all__ = ("Effort", "RunVoid", "run")


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 5
    devices: int = 1_000_000
    decisions: int = 100_000
    messages: int = 10_000
    """Messages of each way in each round."""
    moved: int = 10_000
    """Devices of a change of route."""
    in_flight: int = 2
    drain_s: float = MoveLimits().back_drain_s
    """Longest drain of a fleet that doesn't answer."""


QUICK = Effort(rounds=3, devices=100_000, decisions=50_000, messages=3_000)
"""A look: smaller where size costs time; the goals are judged all the same."""


def run(effort: Effort, progress: Progress) -> RouterResult:
    """Measure and fold.

    Raises:
        RunVoid: when a process of the bench failed.
    """
    progress(f"decisions at {effort.devices:,} devices")
    decided = _decided(effort)
    reliable = _routed("reliable", (64, 1000), effort, progress)
    legacy = _routed("legacy", (64,), effort, progress)
    progress(f"moving {effort.moved:,} devices")
    moves = _moved(effort)
    decision = Decision(
        devices=effort.devices,
        in_turn_ns=_rounded(decided.in_turn),
        unsalted_ns=_rounded(decided.unsalted),
        salted_ns=_rounded(decided.salted),
        timer_ns=decided.timer_ns,
    )
    memory = Memory(
        known_bytes=round(decided.rss_per_device_bytes),
        sent_bytes=round(decided.rss_per_device_that_sent_bytes),
        attach_us=round(decided.attach_us, 2),
    )
    return RouterResult(
        rounds=effort.rounds,
        payload_bytes=PAYLOAD_BYTES,
        decision=decision,
        memory=memory,
        reliable=reliable,
        legacy=legacy,
        devices_moved=effort.moved,
        in_flight_each=effort.in_flight,
        moves=moves,
        goals=goals(decision, memory, reliable, moves),
    )


def _decided(effort: Effort) -> Decided:
    with started(DecideTask(effort.devices, effort.decisions), _ENDS) as process:
        return process.line(Decided)


def _routed(path: str, windows: tuple[int, ...], effort: Effort, progress: Progress) -> tuple[Added, ...]:
    progress(f"messages over the {path} path")
    with started(ServeTask(path), _ENDS) as device:
        port = device.line(Ready).port
        with started(RouteTask(path, port, effort.rounds, effort.messages, windows), _ENDS) as sender:
            routed = sender.line(Routed)
    return tuple(_added(routed, window) for window in windows)


def _added(routed: Routed, window: int) -> Added:
    key = str(window)
    rounds = tuple(zip(routed.session_us[key], routed.path_us[key], routed.router_us[key], strict=True))
    return Added(
        in_flight=window,
        session_us=round(median(session for session, _, _ in rounds), 3),
        path_us=round(median(path for _, path, _ in rounds), 3),
        router_us=round(median(router for _, _, router in rounds), 3),
        added=round(median((router - session) / session for session, _, router in rounds), 3),
        added_by_router=round(median((router - path) / session for session, path, router in rounds), 3),
    )


def _moved(effort: Effort) -> Moves:
    with started(MoveTask(effort.moved, effort.in_flight, effort.drain_s), _ENDS) as process:
        return process.line(Moves)


def _rounded(times: Times) -> Times:
    return Times(round(times.p50), round(times.p99))
