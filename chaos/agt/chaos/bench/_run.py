"""The rounds: every subject once in each, in turns, so that what disturbs the machine disturbs all alike."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from agt.chaos.bench._limits import digest, sqlite_rows_per_s
from agt.chaos.bench._processes import measure_idle, measure_round_trips, measure_throughput
from agt.chaos.bench._result import (
    Blocking,
    DutiesFigures,
    EndBytes,
    Limits,
    NoWaiterFigures,
    Percentiles,
    Ratios,
    Result,
    SqliteFigures,
    batch_rate,
    cpu,
    percentiles,
    rates,
)
from agt.chaos.bench._tasks import RoundTripTask, Sent, Trips
from agt.chaos.bench._work import PAYLOAD_BYTES, Payloads

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 5
    connections: int = 10_000
    """Idle connections; 0 leaves them out."""
    round_trips: int = 5_000
    messages: int = 150_000
    batched: int = 300_000
    rows: int = 30_000


@dataclass
class _Rounds:
    """What one loop's rounds gave."""

    trips: dict[str, list[Trips]] = field(default_factory=lambda: {"blocking": [], "duties": [], "ours": []})
    sent: dict[str, list[Sent]] = field(
        default_factory=lambda: {"duties": [], "no-waiter": [], "ours": [], "ours-batches": [], "ours-durable": []}
    )
    rows_per_s: list[float] = field(default_factory=list)


def run(loops: tuple[str, ...], effort: Effort, progress: Progress) -> list[Result]:
    """Measure and fold.

    Raises:
        RunVoid: when a measurement means nothing.
    """
    measured = {loop: _Rounds() for loop in loops}
    for number in range(1, effort.rounds + 1):
        for loop, rounds in measured.items():
            _one_round(rounds, loop, effort, _prefixed(progress, f"round {number} of {effort.rounds}, {loop}"))
    return [_folded(loop, rounds, effort, progress) for loop, rounds in measured.items()]


def _prefixed(progress: Progress, place: str) -> Progress:
    return lambda step: progress(f"{place}: {step}")


def _one_round(rounds: _Rounds, loop: str, effort: Effort, progress: Progress) -> None:
    for subject, trips in rounds.trips.items():
        progress(f"round trips, {subject}")
        trips.append(measure_round_trips(RoundTripTask(subject, loop, effort.round_trips)))
    for subject, sent in rounds.sent.items():
        progress(f"throughput, {subject}")
        sent.append(measure_throughput(subject, loop, messages=effort.messages, batched=effort.batched))
    progress("rows, SQLite")
    with tempfile.TemporaryDirectory(prefix="agt-bench-") as directory:
        rounds.rows_per_s.append(sqlite_rows_per_s(Path(directory), Payloads().take(effort.rows)))


def _folded(loop: str, rounds: _Rounds, effort: Effort, progress: Progress) -> Result:
    ours, limits = rounds.sent["ours"], _limits(rounds)
    trips, batch = percentiles(rounds.trips["ours"]), batch_rate(rounds.sent["ours-batches"])
    durable = batch_rate(rounds.sent["ours-durable"])
    idle = None
    if effort.connections:
        progress(f"{effort.connections:,} idle connections, {loop}")
        idle = _idle(loop, effort.connections)
    return Result(
        loop=loop,
        limits_digest=digest(),
        rounds=effort.rounds,
        payload_bytes=PAYLOAD_BYTES,
        rtt_us=trips,
        acked_per_s=rates(ours),
        batch_acked_per_s=batch,
        durable_acked_per_s=durable,
        cpu_s_per_100k=cpu(ours),
        rss_per_connection_bytes=max(idle.accepting, idle.dialling) if idle is not None else None,
        rss_per_end_bytes=idle,
        connections=effort.connections,
        limits=limits,
        ratio=_ratios(trips, rates(ours), batch, durable, limits),
    )


def _limits(rounds: _Rounds) -> Limits:
    return Limits(
        blocking=Blocking(percentiles(rounds.trips["blocking"])),
        duties=DutiesFigures(percentiles(rounds.trips["duties"]), rates(rounds.sent["duties"])),
        no_waiter=NoWaiterFigures(batch_rate(rounds.sent["no-waiter"])),
        sqlite=SqliteFigures(round(median(rounds.rows_per_s))),
    )


def _ratios(trips: Percentiles, acked: dict[str, int], batch: int, durable: int, limits: Limits) -> Ratios:
    return Ratios(
        rtt_p50=round(trips.p50 / limits.duties.rtt_us.p50, 2),
        acked_64=round(acked["64"] / limits.duties.acked_per_s["64"], 3),
        acked_1000=round(acked["1000"] / limits.duties.acked_per_s["1000"], 3),
        batch=round(batch / limits.no_waiter.batch_acked_per_s, 3),
        durable=round(durable / limits.sqlite.rows_per_s, 3),
        duties_over_blocking=round(limits.duties.rtt_us.p50 / limits.blocking.rtt_us.p50, 2),
    )


def _idle(loop: str, connections: int) -> EndBytes:
    accepted, dialled = measure_idle(loop, connections)
    return EndBytes(
        accepting=(accepted.rss_bytes - accepted.rss_before_bytes) // accepted.connections,
        dialling=(dialled.rss_bytes - dialled.rss_before_bytes) // dialled.connections,
    )
