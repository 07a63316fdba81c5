"""Two native links with the fault proxy's own lanes between them, in virtual time: no socket, no waiting, exact.

What a way of 5 ms and 10 Gbit/s does to a probe can't be shown on a loopback whose bytes all pass through one process;
here the same links and the same lanes run on a clock that jumps to whatever is due next.
"""

import math
from random import Random

from agt.chaos.faults import Bandwidth, Fault, Latency
from agt.chaos.proxy import Flow, Rule, make_splitter
from agt.chaos.proxy._lane import Lane
from agt.chaos.proxy._rules import Rules
from agt.transport import Received
from agt.transport.wires.native import NativeLink, Role


class LinePair:
    """A dialling and an accepting link; every direction is a line of its own."""

    def __init__(self, *faults: Fault, older: str = "", older_link: type[NativeLink] = NativeLink) -> None:
        """Connect; `older` names the side that is an `older_link`."""
        self.now = 100.0
        self.rules = Rules()
        for fault in faults:
            self.rules.add(Rule(fault))
        dialling, accepting = (older_link if older == side else NativeLink for side in ("dialling", "accepting"))
        self.dialling = dialling("device", rng=Random(1))
        self.accepting = accepting("gateway", rng=Random(2), role=Role.ACCEPTING)
        rng = Random(3)
        self._ways = (
            (
                self.dialling,
                Lane(Flow("native", "to_target"), make_splitter("native"), self.rules, rng),
                self.accepting,
            ),
            (
                self.accepting,
                Lane(Flow("native", "to_client"), make_splitter("native"), self.rules, rng),
                self.dialling,
            ),
        )
        self.carried = {"to_target": 0, "to_client": 0}
        self.received: list[tuple[float, Received]] = []
        for link in (self.dialling, self.accepting):
            link.connection_made(now=self.now)

    def run(self, seconds: float = 1.0) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        while True:
            self._exchange()
            due = min(lane.next_due() for _, lane, _ in self._ways)
            due = min(due, *(link.next_deadline() for link, _, _ in self._ways))
            if due > until:
                self.now = until
                return
            self.now = max(self.now, due)
            for link, _, _ in self._ways:
                link.handle_timer(now=self.now)

    def _exchange(self) -> None:
        """Move what can be moved without time passing."""
        moved = True
        while moved:
            moved = False
            for link, lane, other in self._ways:
                while data := link.data_to_send(now=self.now):
                    moved = True
                    for frame in lane.split(data):
                        lane.enter(frame, self.now)
                while data := lane.take(self.now):
                    moved = True
                    self.carried[lane.flow.direction] += len(data)
                    other.receive_data(data, now=self.now)
                while (event := other.next_event()) is not None:
                    if isinstance(event, Received):
                        self.received.append((self.now, event))
                        other.acknowledge(event.token, now=self.now, count=len(event.payloads))


def line(latency_s: float = 0.0, bits_per_s: float = math.inf) -> LinePair:
    """Make a pair whose round trip is `latency_s`, open and at rest."""
    faults: list[Fault] = [Latency(latency_s / 2)] if latency_s else []
    if bits_per_s < math.inf:
        faults.append(Bandwidth(bits_per_s))
    pair = LinePair(*faults)
    pair.run()
    return pair
