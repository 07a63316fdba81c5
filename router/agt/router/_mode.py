"""The network mode: what the last measurements say about the network that a router stands in. Pure; `now` comes in.

Document 002's rule, with its strict comparisons, on the moving average of the last 10 measurements:
datacenter when latency < 10 ms and bandwidth > 1 Gbit/s, internet when latency > 50 ms or bandwidth < 1 Gbit/s, hybrid
between. So exactly 10 ms, 50 ms and 1 Gbit/s are hybrid. Latency and bandwidth are averaged each for itself.

Two things are ours. Without enough measurements the mode is unknown; what one of the two figures decides alone
(internet) needs no other. And once known, a mode is left only when the averages are past its border by a margin,
`in_a_row` measurements long: a device that moves to and fro between runtimes pays for it each time. A mode that was
measured stays until others are measured; silence never lifts a veto.
"""

import enum
from collections import deque
from statistics import mean
from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]


class Mode(enum.StrEnum):
    """Document 002's modes, and the time before one is known."""

    UNKNOWN = "unknown"
    DATACENTER = "datacenter"
    HYBRID = "hybrid"
    INTERNET = "internet"


class ModeLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one mode ends and the next begins."""

    datacenter_latency_s: Positive = 0.010
    """Below it a network may be a datacenter's."""
    internet_latency_s: Positive = 0.050
    """Above it a network is the internet."""
    bandwidth: Positive = 1e9
    """Bits a second: above it a network may be a datacenter's, below it is the internet."""
    window: Annotated[int, Meta(ge=1, le=1000)] = 10
    """Measurements that are averaged."""
    enough: Annotated[int, Meta(ge=1)] = 3
    """Measurements before an average counts."""
    margin: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    """Share of a border by which an average must be past it before a known mode is left."""
    in_a_row: Annotated[int, Meta(ge=1)] = 3
    """Measurements for which it must be so."""


class ModeSample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement."""

    at: float
    """When, in seconds since the epoch."""
    value: float
    """Seconds for a latency, bits a second for a bandwidth."""
    peers: int = 1
    """Peers whose median it is."""
    how: str = ""
    """What measured it: `ping`, `system` or both, `probe` or `traffic`."""


class ModeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and what follows."""

    mode: str = Mode.UNKNOWN.value
    """The measured mode."""
    since: float | None = None
    """Since when, in seconds since the epoch; None while unknown."""
    latency_s: float | None = None
    """Average of the samples; None without any."""
    bandwidth: float | None = None
    """The same in bits a second."""
    latencies: tuple[ModeSample, ...] = ()
    """The last measurements, oldest first."""
    bandwidths: tuple[ModeSample, ...] = ()
    window: int = 10
    """How many of each are kept."""
    turning_to: str = ""
    """The mode that the averages speak for and that doesn't count yet; empty when there is none."""
    turning_for: int = 0
    """For how many measurements they have."""
    turning_at: int = 0
    """For how many they must."""


def classify(latency_s: float | None, bandwidth: float | None, limits: ModeLimits) -> Mode:
    """Return the mode of two averages by the document's rule; None stands for one that isn't known."""
    if latency_s is not None and latency_s > limits.internet_latency_s:
        return Mode.INTERNET
    if bandwidth is not None and bandwidth < limits.bandwidth:
        return Mode.INTERNET
    if latency_s is None or bandwidth is None:
        return Mode.UNKNOWN
    if latency_s < limits.datacenter_latency_s and bandwidth > limits.bandwidth:
        return Mode.DATACENTER
    return Mode.HYBRID


def holds(mode: Mode, latency_s: float | None, bandwidth: float | None, limits: ModeLimits) -> bool:
    """Tell whether averages are still within a mode whose borders are moved outwards by the margin."""
    outer, inner = 1 + limits.margin, 1 / (1 + limits.margin)
    latency = 0.0 if latency_s is None else latency_s
    carried = float("inf") if bandwidth is None else bandwidth
    if mode is Mode.INTERNET:
        return latency > limits.internet_latency_s * inner or carried < limits.bandwidth * outer
    if mode is Mode.DATACENTER:
        return latency < limits.datacenter_latency_s * outer and carried > limits.bandwidth * inner
    if mode is Mode.HYBRID:
        internet = latency > limits.internet_latency_s * outer or carried < limits.bandwidth * inner
        datacenter = latency < limits.datacenter_latency_s * inner and carried > limits.bandwidth * outer
        return not (internet or datacenter)
    return False


class ModeDetector:
    """Takes measurements in and says which mode they make."""

    def __init__(self, limits: ModeLimits | None = None) -> None:
        self.limits = limits or ModeLimits()
        self.mode = Mode.UNKNOWN
        """The measured mode."""
        self.since: float | None = None
        """When it began, in seconds since the epoch."""
        self._latencies: deque[ModeSample] = deque(maxlen=self.limits.window)
        self._bandwidths: deque[ModeSample] = deque(maxlen=self.limits.window)
        self._turning_to = Mode.UNKNOWN
        self._turning_for = 0

    @property
    def bandwidth(self) -> float | None:
        """The average bandwidth in bits a second; None before the first measurement."""
        return _average(self._bandwidths)

    def take_latency(self, sample: ModeSample) -> bool:
        """Take a round trip in; true when the mode has changed."""
        self._latencies.append(sample)
        return self._judge(sample.at)

    def take_bandwidth(self, sample: ModeSample) -> bool:
        """Take a bandwidth in; true when the mode has changed."""
        self._bandwidths.append(sample)
        return self._judge(sample.at)

    def report(self) -> ModeReport:
        """Return everything that is known."""
        turning = self._turning_for > 0
        return ModeReport(
            mode=self.mode.value,
            since=self.since,
            latency_s=_average(self._latencies),
            bandwidth=_average(self._bandwidths),
            latencies=tuple(self._latencies),
            bandwidths=tuple(self._bandwidths),
            window=self.limits.window,
            turning_to=self._turning_to.value if turning else "",
            turning_for=self._turning_for,
            turning_at=self.limits.in_a_row if turning else 0,
        )

    def _judge(self, now: float) -> bool:
        enough = self.limits.enough
        latency_s = _average(self._latencies) if len(self._latencies) >= enough else None
        bandwidth = _average(self._bandwidths) if len(self._bandwidths) >= enough else None
        found = classify(latency_s, bandwidth, self.limits)
        if found in (self.mode, Mode.UNKNOWN) or holds(self.mode, latency_s, bandwidth, self.limits):
            self._turning_for = 0
            return False
        self._turning_for = self._turning_for + 1 if found is self._turning_to else 1
        self._turning_to = found
        if self.mode is not Mode.UNKNOWN and self._turning_for < self.limits.in_a_row:
            return False
        self.mode, self.since, self._turning_for = found, now, 0
        return True


def _average(samples: deque[ModeSample]) -> float | None:
    """Return the mean, exactly rounded: floats that are added up take three times 50 ms over the border at 50 ms."""
    return mean(sample.value for sample in samples) if samples else None
