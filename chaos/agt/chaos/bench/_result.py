"""What the bench reports: medians over the rounds, beside the limits, as JSON or as a table."""

from collections.abc import Sequence
from statistics import median

import msgspec

from agt.chaos.bench._tasks import Sent, Trips


class Percentiles(msgspec.Struct, frozen=True):
    """Round trips in microseconds."""

    p50: float
    p99: float


class Blocking(msgspec.Struct, frozen=True):
    """Bare blocking sockets."""

    rtt_us: Percentiles


class DutiesFigures(msgspec.Struct, frozen=True):
    """The duties by hand, one Future a message."""

    rtt_us: Percentiles
    acked_per_s: dict[str, int]


class NoWaiterFigures(msgspec.Struct, frozen=True):
    """The duties by hand, one Future a batch."""

    batch_acked_per_s: int


class SqliteFigures(msgspec.Struct, frozen=True):
    """Rows committed by SQLite with synchronous FULL, 100 a commit."""

    rows_per_s: int


class Limits(msgspec.Struct, frozen=True):
    """What the limits reached in the same run."""

    blocking: Blocking
    duties: DutiesFigures
    no_waiter: NoWaiterFigures
    sqlite: SqliteFigures


class Ratios(msgspec.Struct, frozen=True):
    """Ours over the limit: of times, above 1 is slower; of rates, below 1 is slower."""

    rtt_p50: float
    acked_64: float
    acked_1000: float
    batch: float
    durable: float | None
    duties_over_blocking: float
    """What the duties cost beside bare sockets, in round trips: the limit against a limit."""


class Cpu(msgspec.Struct, frozen=True):
    """Processor seconds for 100,000 awaited messages, 1,000 in flight."""

    sender: float
    receiver: float


class EndBytes(msgspec.Struct, frozen=True):
    """Resident bytes for one idle connection, each end apart."""

    accepting: int
    dialling: int


class Result(msgspec.Struct, frozen=True):
    """One loop's figures."""

    loop: str
    limits_digest: str
    rounds: int
    payload_bytes: int
    rtt_us: Percentiles
    acked_per_s: dict[str, int]
    batch_acked_per_s: int
    durable_acked_per_s: int | None
    cpu_s_per_100k: Cpu
    rss_per_connection_bytes: int | None
    """The dearer end."""
    rss_per_end_bytes: EndBytes | None
    connections: int
    limits: Limits
    ratio: Ratios


def percentiles(rounds: Sequence[Trips]) -> Percentiles:
    """Fold rounds of round trips."""
    return Percentiles(
        p50=round(median(trips.p50_us for trips in rounds), 1), p99=round(median(trips.p99_us for trips in rounds), 1)
    )


def rates(rounds: Sequence[Sent]) -> dict[str, int]:
    """Fold rounds of awaited messages a second, by how many were in flight."""
    return {window: round(median(sent.acked_per_s[window] for sent in rounds)) for window in rounds[0].acked_per_s}


def batch_rate(rounds: Sequence[Sent]) -> int:
    """Fold rounds of messages a second in batches."""
    return round(median(sent.batch_acked_per_s for sent in rounds))


def cpu(rounds: Sequence[Sent]) -> Cpu:
    """Fold rounds of processor time."""
    return Cpu(
        sender=round(median(sent.sender_cpu_s_per_100k for sent in rounds), 3),
        receiver=round(median(sent.receiver_cpu_s_per_100k for sent in rounds), 3),
    )


def table(result: Result) -> str:
    """Return the result for people."""
    limits, ratio = result.limits, result.ratio
    rows = [
        f"{result.loop}, {result.payload_bytes}-byte messages, medians of {result.rounds}, limits "
        f"{result.limits_digest}",
        f"{'':26}{'ours':>12}{'limit':>12}{'ratio':>9}",
        _row("round trip p50, us", result.rtt_us.p50, limits.duties.rtt_us.p50, ratio.rtt_p50),
        _row("round trip p99, us", result.rtt_us.p99, limits.duties.rtt_us.p99, None),
        _row("awaited, 64 in flight, /s", result.acked_per_s["64"], limits.duties.acked_per_s["64"], ratio.acked_64),
        _row(
            "awaited, 1,000 in flight", result.acked_per_s["1000"], limits.duties.acked_per_s["1000"], ratio.acked_1000
        ),
        _row("in batches, /s", result.batch_acked_per_s, limits.no_waiter.batch_acked_per_s, ratio.batch),
        _row("durable, /s", result.durable_acked_per_s, limits.sqlite.rows_per_s, ratio.durable),
        f"bare sockets take {limits.blocking.rtt_us.p50} us for a round trip, the duties {ratio.duties_over_blocking} "
        "times that",
        f"CPU for 100,000 messages: sender {result.cpu_s_per_100k.sender} s, receiver "
        f"{result.cpu_s_per_100k.receiver} s",
    ]
    if result.rss_per_end_bytes is not None:
        ends = result.rss_per_end_bytes
        rows.append(
            f"an idle connection, of {result.connections:,}: {ends.accepting:,} bytes accepting, {ends.dialling:,} "
            "dialling"
        )
    return "\n".join(rows)


def _row(name: str, ours: float | None, limit: float, ratio: float | None) -> str:
    return f"{name:26}{_number(ours):>12}{_number(limit):>12}{'' if ratio is None else f'{ratio:.2f}':>9}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
