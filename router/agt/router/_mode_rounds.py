"""Which peers are measured when, and how their figures become one: the rounds of the mode's measurements.

One router stands in one place, so there is one mode, of the router and not of each device: a measurement is the
*median* over peers, and one device behind a bad radio doesn't change it. Each round asks a bounded number of peers for
a round trip and, at most, one of them for a probe; peers take turns. A probe is only begun where nothing has come or
gone since the round before.

Synchronous and without a clock: `ways`, `now` and `wall` are arguments, so that a test can play any network.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from statistics import median
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from agt.router._mode import ModeDetector, ModeLimits, ModeSample
from agt.transport import KernelWay, Probe, ProbeLimits

PEERS_MAX: Final = 32
"""Peers that one round asks; the next round asks the next ones."""
REMEMBERED_MAX: Final = 64
"""Peers whose newest bandwidth is remembered for the median."""
FIRST_ROUNDS: Final = 4
"""Windows of rounds that are played quickly, at most."""
TRAFFIC_MIN_BYTES: Final = 1 << 20
"""Traffic below this between two rounds says nothing about what a way could carry."""

Seconds = Annotated[float, Meta(gt=0)]


class RoundLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often is measured."""

    every_s: Seconds = 5.0
    """Between two rounds."""
    first_every_s: Seconds = 0.5
    """Between two rounds until both windows are full, or forty rounds were played."""
    probe_every_s: Seconds = 30.0
    """Between two probes, of whichever peers."""
    first_probe_every_s: Seconds = 1.0
    """Between two probes until a window of bandwidths is full."""
    remember_s: Seconds = 600.0
    """How old a peer's bandwidth may be to count in the median."""
    probe: ProbeLimits = ProbeLimits()
    """What one probe may cost."""
    mode: ModeLimits = ModeLimits()
    """Where one mode ends and the next begins."""


class MeasuredWay(Protocol):
    """What a round asks of the way to one peer; `agt.transport.Way` is one."""

    @property
    def peer(self) -> str:
        """Whom it leads to."""
        ...

    @property
    def connected(self) -> bool:
        """Whether messages flow."""
        ...

    @property
    def progress(self) -> int:
        """Grows with every message that gets through."""
        ...

    @property
    def round_trips(self) -> tuple[int, float] | None:
        """How many the wire has measured, and the newest in seconds; None where it measures none."""
        ...

    def ask(self) -> bool:
        """Have the wire measure a round trip now."""
        ...

    def begin_probe(self, limits: ProbeLimits | None = None) -> bool:
        """Begin a probe; false where that isn't possible now."""
        ...

    def probed(self) -> Probe | None:
        """Return what came of the newest probe."""
        ...

    def kernel(self) -> KernelWay | None:
        """Return what the system knows."""
        ...


class _Peer:
    """What was seen of one peer in the round before."""

    __slots__ = ("bytes", "progress", "round_trips", "seen_at")

    def __init__(self) -> None:
        self.round_trips = self.progress = self.bytes = -1
        self.seen_at = 0.0


class Rounds:
    """Measures, round by round."""

    def __init__(self, limits: RoundLimits | None = None) -> None:
        self.limits = limits or RoundLimits()
        self.detector = ModeDetector(self.limits.mode)
        """What the measurements make."""
        self._known: dict[str, _Peer] = {}
        self._rates: dict[str, tuple[float, float]] = {}
        self._next = self._played = 0
        self._probing: tuple[str, MeasuredWay, int] | None = None
        self._probe_at = 0.0

    def play(self, ways: Iterable[MeasuredWay], *, now: float, wall: float) -> bool:
        """Collect what the round before asked for, and ask again; true when the mode has changed.

        Args:
            ways: every way that there is, in an order that stays.
            now: the time, monotonic.
            wall: seconds since the epoch, for the samples.
        """
        self._played += bool(self._known)
        asked = self._turn([way for way in ways if way.connected])
        changed = self._collect_probe(now, wall)
        changed |= self._collect_latencies(asked, wall)
        changed |= self._collect_traffic(asked, now, wall)
        if now >= self._probe_at and self._probing is None:
            self._probe(asked, now)
        names = {way.peer for way in asked}
        for way in asked:
            self._known.setdefault(way.peer, _Peer()).progress = way.progress
            way.ask()
        while len(self._known) > 2 * PEERS_MAX:
            del self._known[next(name for name in self._known if name not in names)]
        return changed

    def pause_s(self) -> float:
        """Return how long to wait for the next round."""
        report = self.detector.report()
        full = len(report.latencies) >= report.window and len(report.bandwidths) >= report.window
        settled = full or self._played >= FIRST_ROUNDS * report.window  # Some fleets never have a bandwidth.
        return self.limits.every_s if settled else self.limits.first_every_s

    def _turn(self, ways: Sequence[MeasuredWay]) -> list[MeasuredWay]:
        """Return those whose turn it is; all where they are few."""
        if len(ways) <= PEERS_MAX:
            return list(ways)
        start = self._next % len(ways)
        self._next = start + PEERS_MAX // 2  # Half of them again, for their answers.
        return [*islice(ways, start, start + PEERS_MAX), *islice(ways, max(0, start + PEERS_MAX - len(ways)))]

    def _collect_latencies(self, ways: Iterable[MeasuredWay], wall: float) -> bool:
        found: list[float] = []
        how: set[str] = set()
        for way in ways:
            known = self._known.setdefault(way.peer, _Peer())
            measured = way.round_trips
            if measured is None:
                kernel = way.kernel()
                if kernel is not None and kernel.round_trip_s > 0:
                    found.append(kernel.round_trip_s)
                    how.add("system")
            elif measured[0] != known.round_trips:
                if measured[0]:
                    found.append(measured[1])
                    how.add("ping")
                known.round_trips = measured[0]
        if not found:
            return False
        sample = ModeSample(at=wall, value=median(found), peers=len(found), how=" and ".join(sorted(how)))
        return self.detector.take_latency(sample)

    def _collect_probe(self, now: float, wall: float) -> bool:
        if self._probing is None:
            return False
        peer, way, before = self._probing
        probe = way.probed()
        if way.connected and (probe is None or probe.number == before):
            return False
        self._probing = None
        if probe is None or probe.number == before or probe.bits_per_s is None:
            return False
        return self._take_rate(peer, probe.bits_per_s, "probe", now, wall)

    def _collect_traffic(self, ways: Iterable[MeasuredWay], now: float, wall: float) -> bool:
        """Take real traffic for a measurement where it says more than is known: it is only ever a lower bound."""
        changed = False
        for way in ways:
            kernel = way.kernel()
            if kernel is None:
                continue
            known = self._known.setdefault(way.peer, _Peer())
            carried = max(kernel.acked_bytes, kernel.received_bytes)
            moved, took_s = carried - known.bytes, now - known.seen_at
            fresh = known.bytes >= 0
            known.bytes, known.seen_at = carried, now
            average = self.detector.bandwidth
            if not fresh or moved < TRAFFIC_MIN_BYTES or took_s <= 0 or self._probing is not None:
                continue
            # Before the first probe only what decides by itself counts, since a lower bound may be anything.
            if moved * 8 / took_s > (average or self.limits.mode.bandwidth):
                changed |= self._take_rate(way.peer, moved * 8 / took_s, "traffic", now, wall)
        return changed

    def _take_rate(self, peer: str, rate: float, how: str, now: float, wall: float) -> bool:
        self._rates.pop(peer, None)
        self._rates[peer] = (rate, now)
        while len(self._rates) > REMEMBERED_MAX:
            del self._rates[next(iter(self._rates))]
        fresh = [rate for rate, at in self._rates.values() if now - at <= self.limits.remember_s]
        return self.detector.take_bandwidth(ModeSample(at=wall, value=median(fresh), peers=len(fresh), how=how))

    def _probe(self, ways: Sequence[MeasuredWay], now: float) -> None:
        """Begin a probe of the peer whose last one is the longest ago, among those at rest."""
        for way in sorted(ways, key=lambda way: (self._rates.get(way.peer, (0.0, -1.0))[1], way.peer)):
            known = self._known.get(way.peer)
            if known is None or known.progress != way.progress:
                continue
            before = way.probed()
            if way.begin_probe(self.limits.probe):
                full = len(self.detector.report().bandwidths) >= self.limits.mode.window
                self._probe_at = now + (self.limits.probe_every_s if full else self.limits.first_probe_every_s)
                self._probing = (way.peer, way, before.number if before else 0)
                return
