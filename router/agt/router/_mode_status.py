"""The network mode in a router's status: what counts, what was measured, and who forces it; and in one line."""

import datetime

import msgspec

from agt.router._mode import ModeReport
from agt.router._selector import UNKNOWN_MODE, ForcedMode


class ModeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The mode that decisions are taken in, with its samples."""

    mode: str = UNKNOWN_MODE
    """What counts: the forced one, or the measured one."""
    forced_by: str = ""
    """Who forces it; empty when the measured one counts."""
    forced_reason: str = ""
    forced_until: float | None = None
    """When that ends, in seconds since the epoch; None for never."""
    measured: ModeReport = ModeReport()
    """What the network says."""


def mode_status(mode: str | None, report: ModeReport | None, forced: ForcedMode | None) -> ModeStatus:
    """Put together what a router knows."""
    measured = report or ModeReport(mode=mode or UNKNOWN_MODE)
    if forced is None:
        return ModeStatus(mode=mode or UNKNOWN_MODE, measured=measured)
    return ModeStatus(
        mode=forced.mode,
        forced_by=forced.owner,
        forced_reason=forced.reason,
        forced_until=forced.expires.timestamp() if forced.expires else None,
        measured=measured,
    )


def mode_line(status: ModeStatus) -> str:
    """Say it in one line: `hybrid: latency 23 ms of 10, bandwidth 1.4 Gbit/s of 10, since 2026-01-31 12:00:00Z`."""
    measured = status.measured
    parts = [
        _figure("latency", measured.latency_s, len(measured.latencies), _milliseconds),
        _figure("bandwidth", measured.bandwidth, len(measured.bandwidths), _rate),
    ]
    if measured.since is not None:
        parts.append(f"{'measured as ' + measured.mode + ' ' if status.forced_by else ''}since {_time(measured.since)}")
    if measured.turning_to:
        parts.append(f"turning to {measured.turning_to} ({measured.turning_for} of {measured.turning_at})")
    if status.forced_by:
        until = f" until {_time(status.forced_until)}" if status.forced_until is not None else ""
        why = f": {status.forced_reason}" if status.forced_reason else ""
        parts.append(f"forced by {status.forced_by}{until}{why}")
    return f"{status.mode}: {', '.join(parts)}"


def sample_words(kind: str, value: float) -> str:
    """Say one measurement, `latency` or `bandwidth`."""
    return _milliseconds(value) if kind == "latency" else _rate(value)


def _figure(name: str, value: float | None, count: int, words: object) -> str:
    assert callable(words), "one of the two below"
    return f"{name} {words(value)} of {count}" if value is not None else f"{name} not measured"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def _rate(bits_per_s: float) -> str:
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits_per_s >= size:
            return f"{bits_per_s / size:.3g} {unit}"
    return f"{bits_per_s:.0f} bit/s"


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
