"""Rounds of measurements: over the fault proxy's own lines in virtual time, and over made-up peers by the hundred."""

from dataclasses import dataclass, field

import pytest

from agt.chaos.faults import Bandwidth, Latency
from agt.chaos.proxy import Rule
from agt.router.modes import Mode, RoundLimits, Rounds
from agt.transport import KernelWay, Probe, ProbeLimits
from support.line_pair import LinePair, line


class LineWay:
    """The way over a line, as a gateway sees it."""

    kernel_way: KernelWay | None = None

    def __init__(self, pair: LinePair, peer: str = "lamp-1") -> None:
        self.pair, self.peer, self.connected, self.progress = pair, peer, True, 0

    @property
    def round_trips(self) -> tuple[int, float]:
        return self.pair.accepting.round_trips

    def ask(self) -> bool:
        return self.pair.accepting.ping(now=self.pair.now)

    def begin_probe(self, limits: ProbeLimits | None = None) -> bool:
        return self.pair.accepting.begin_probe(limits, now=self.pair.now)

    def probed(self) -> Probe | None:
        return self.pair.accepting.probed(now=self.pair.now)

    def kernel(self) -> KernelWay | None:
        return self.kernel_way


def played(rounds: Rounds, pairs: list[LinePair], seconds: float) -> float:
    """Play rounds over lines for so many seconds; return for how many the mode was not yet known."""
    ways = [LineWay(pair, f"lamp-{place}") for place, pair in enumerate(pairs)]
    began = pairs[0].now
    known_after = seconds
    while (at := pairs[0].now - began) < seconds:
        rounds.play(ways, now=pairs[0].now, wall=pairs[0].now)
        if rounds.detector.mode is not Mode.UNKNOWN:
            known_after = min(known_after, at)
        pause_s = rounds.pause_s()
        for pair in pairs:
            pair.run(pause_s)
    return known_after


@pytest.mark.parametrize(
    ("latency_s", "rate", "mode"),
    [
        (0.005, 10e9, Mode.DATACENTER),
        (0.1, 10e9, Mode.INTERNET),
        (0.005, 200e6, Mode.INTERNET),
        (0.023, 1.4e9, Mode.HYBRID),
    ],
)
def test_a_line_is_known_for_what_it_is_within_seconds(latency_s: float, rate: float, mode: Mode) -> None:
    """The documents' networks, measured by pings and probes over them."""
    rounds = Rounds()
    assert played(rounds, [line(latency_s, rate)], 60.0) < 5
    report = rounds.detector.report()
    assert report.mode == mode.value
    assert report.latency_s == pytest.approx(latency_s, rel=0.01)
    assert report.bandwidth == pytest.approx(rate, rel=0.01)
    assert (len(report.latencies), len(report.bandwidths)) == (10, 10)


def test_a_line_that_changes_changes_the_mode() -> None:
    """A datacenter whose way becomes long and narrow is the internet, once the averages say so."""
    rounds, pair = Rounds(), line(0.005, 10e9)
    played(rounds, [pair], 60.0)
    assert rounds.detector.mode is Mode.DATACENTER
    pair.rules.clear()
    for fault in (Latency(0.05), Bandwidth(200e6)):
        pair.rules.add(Rule(fault))
    played(rounds, [pair], 60.0)
    assert rounds.detector.mode is Mode.INTERNET


def test_one_bad_peer_of_three_changes_nothing() -> None:
    """A measurement is the median over peers."""
    rounds = Rounds()
    played(rounds, [line(0.005, 10e9), line(0.3, 1e6), line(0.006, 9e9)], 60.0)
    report = rounds.detector.report()
    assert rounds.detector.mode is Mode.DATACENTER
    assert report.latency_s == pytest.approx(0.006, rel=0.01)
    assert report.latencies[-1].peers == 3


def test_an_idle_fleet_is_probed_seldom() -> None:
    """Once a window is full: one probe every 30 s, over all peers, and no more than its bytes."""
    rounds, pair = Rounds(), line(0.005, 10e9)
    played(rounds, [pair], 60.0)
    before = pair.carried["to_client"]
    played(rounds, [pair], 300.0)
    probe = RoundLimits().probe
    assert pair.carried["to_client"] - before <= 10 * probe.bytes_max + 100_000


def test_a_line_in_use_is_not_probed() -> None:
    """Messages in every round: pings go on, probes wait."""
    rounds, pair = Rounds(), line(0.005, 10e9)
    way = LineWay(pair)
    for _ in range(20):
        pair.accepting.send(b"status?", now=pair.now, deadline=pair.now + 5)
        way.progress += 1
        rounds.play([way], now=pair.now, wall=pair.now)
        pair.run(1.0)
    report = rounds.detector.report()
    assert len(report.latencies) == 10
    assert report.bandwidths == ()


@dataclass
class MadeUpWay:
    """A peer whose answers a test writes down."""

    peer: str = "lamp-1"
    connected: bool = True
    progress: int = 0
    round_trips: tuple[int, float] | None = None
    kernel_way: KernelWay | None = None
    probes: int = 0
    asked: int = 0
    rate: float = 5e9
    begun: list[str] = field(default_factory=list)

    def ask(self) -> bool:
        self.asked += 1
        if self.round_trips is not None:
            self.round_trips = (self.round_trips[0] + 1, self.round_trips[1])
        return True

    def begin_probe(self, limits: ProbeLimits | None = None) -> bool:
        assert limits is not None
        self.probes += 1
        self.begun.append(self.peer)
        return True

    def probed(self) -> Probe | None:
        if not self.probes:
            return None
        return Probe(
            number=self.probes, bits_per_s=self.rate, sent_bytes=1, trains=1, round_trip_s=0.1, ended="measured"
        )

    def kernel(self) -> KernelWay | None:
        return self.kernel_way


def test_many_peers_take_turns() -> None:
    """Of 300 peers at most 32 are asked in a round, one is probed, and each has its turn."""
    begun: list[str] = []
    ways = [MadeUpWay(f"lamp-{place:03}", round_trips=(0, 0.001), begun=begun) for place in range(300)]
    rounds = Rounds()
    for place in range(100):
        before = sum(way.asked for way in ways)
        rounds.play(ways, now=float(place), wall=float(place))
        assert sum(way.asked for way in ways) - before <= 32
    assert all(way.asked for way in ways)
    assert len(begun) <= 100
    assert len(set(begun)) == len(begun)


def test_a_peer_that_talked_since_the_last_round_is_not_probed() -> None:
    """Between two messages a link is at rest, and still no place for a probe; a quiet peer beside it is."""
    busy, quiet = MadeUpWay("busy", round_trips=(0, 0.001)), MadeUpWay("quiet", round_trips=(0, 0.001))
    rounds = Rounds()
    for place in range(20):
        busy.progress += 1
        rounds.play([busy, quiet], now=float(place), wall=0.0)
    assert busy.probes == 0
    assert quiet.probes >= 10


def test_a_peer_without_a_connection_is_left_alone() -> None:
    """Neither asked nor probed, and its last words are no measurement."""
    way = MadeUpWay(connected=False, round_trips=(3, 0.5))
    rounds = Rounds()
    for place in range(5):
        rounds.play([way], now=float(place), wall=0.0)
    assert (way.asked, way.probes) == (0, 0)
    assert rounds.detector.report().latencies == ()


def test_a_wire_without_pings_has_the_systems_round_trip() -> None:
    """Legacy sockets count too; which way they were measured is said."""
    way = MadeUpWay(kernel_way=KernelWay(0.08, 0, 0, 0.0, limited=True))
    rounds = Rounds()
    for place in range(4):
        rounds.play([way], now=float(place), wall=0.0)
    report = rounds.detector.report()
    assert report.latencies[-1].how == "system"
    assert report.mode == "internet"


def moving(rate: float, average: float) -> list[tuple[str, float]]:
    """Let traffic of a rate pass a peer whose probes say `average`; return the bandwidths that were taken."""
    way = MadeUpWay(rate=average, kernel_way=KernelWay(0.001, 0, 0, 0.0, limited=True))
    rounds = Rounds()
    for place in range(8):
        way.kernel_way = KernelWay(0.001, int(rate / 8 * place), 0, 0.0, limited=True)
        rounds.play([way], now=float(place), wall=0.0)
    return [(sample.how, sample.value) for sample in rounds.detector.report().bandwidths]


def test_traffic_counts_where_it_says_more_than_is_known() -> None:
    """Traffic is a lower bound: 3 Gbit/s on a way that was taken for 1 Gbit/s are news, 10 Mbit/s are none."""
    assert ("traffic", pytest.approx(3e9, rel=0.01)) in moving(3e9, 1e9)
    assert {how for how, _ in moving(10e6, 1e9)} == {"probe"}
