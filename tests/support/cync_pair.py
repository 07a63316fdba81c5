"""A cync controller and a device in virtual time, joined by a network that loses and doubles whole packets."""

import heapq
import math
from collections import Counter
from collections.abc import Callable
from itertools import count

from agt.transport import Delivered, Event, Outcome, Outgoing, Received, Settled
from agt.transport.wires.cync import (
    CyncConfig,
    CyncLink,
    Malformed,
    PacketParser,
    heartbeat,
    hello,
    power_command,
    status,
)

ENDPOINT = bytes.fromhex("45880f3a")
HELLO = hello(ENDPOINT).data
BEAT = heartbeat().data


def command(number: int) -> bytes:
    """A command that sets a state."""
    return power_command(ENDPOINT, 0x50, on=bool(number % 2), number=number).data


def report(message_id: int) -> bytes:
    """A status broadcast."""
    return status(ENDPOINT, bytes(12), message_id=message_id).data


class Pair:
    """A controller and a device, a network between them, and a clock."""

    def __init__(
        self,
        controller: CyncConfig | None = None,
        device: CyncConfig | None = None,
        *,
        fate: Callable[[str, bytes], int] = lambda _to, _data: 1,
        delay_s: Callable[[], float] = lambda: 0.02,
    ) -> None:
        self.now = 0.0
        self.fate = fate
        """How many copies of a packet arrive at `controller` or `device`."""
        self.delay_s = delay_s
        """How long the next packet takes; it never overtakes one before it, but its extra copies come late."""
        self._last_arrival = {"controller": 0.0, "device": 0.0}
        self.ends = {
            "controller": CyncLink("controller", controller),
            "device": CyncLink("device", device or CyncConfig(hello=HELLO)),
        }
        self.events: dict[str, list[Event]] = {"controller": [], "device": []}
        self.written: dict[str, list[bytes]] = {"controller": [], "device": []}
        self.acknowledge = True
        self._wires: list[tuple[float, int, str, bytes]] = []
        self._order = count()

    @property
    def controller(self) -> CyncLink:
        return self.ends["controller"]

    @property
    def device(self) -> CyncLink:
        return self.ends["device"]

    def connect(self) -> "Pair":
        for link in self.ends.values():
            link.connection_made(now=self.now)
        self.flush()
        return self

    def disconnect(self) -> None:
        self._wires.clear()
        for link in self.ends.values():
            link.connection_lost(now=self.now)

    def flush(self) -> None:
        """Move bytes and events until both ends are still."""
        for name, link in self.ends.items():
            peer = "device" if name == "controller" else "controller"
            while True:
                for item in PacketParser().feed(link.data_to_send(now=self.now)):
                    assert not isinstance(item, Malformed)
                    self.written[name].append(item.data)
                    arrival = self._last_arrival[peer] = max(self._last_arrival[peer], self.now + self.delay_s())
                    for _ in range(self.fate(peer, item.data)):
                        heapq.heappush(self._wires, (arrival, next(self._order), peer, item.data))
                        arrival += 0.02
                event = link.next_event()
                if event is None:
                    break
                self.events[name].append(event)
                if isinstance(event, Received) and self.acknowledge:
                    link.acknowledge(event.token, now=self.now, count=len(event.payloads))

    def run(self, until: float = math.inf) -> "Pair":
        """Let time pass until nothing is left to happen, or until a time."""
        self.flush()
        while True:
            arrival = self._wires[0][0] if self._wires else math.inf
            timer = min(link.next_deadline() for link in self.ends.values())
            coming = min(arrival, timer)
            if coming > until or coming == math.inf:
                self.now = max(self.now, until) if until < math.inf else self.now
                return self
            self.now = max(self.now, coming)
            while self._wires and self._wires[0][0] <= self.now:
                _, _, peer, data = heapq.heappop(self._wires)
                self.ends[peer].receive_data(data, now=self.now)
            for link in self.ends.values():
                link.handle_timer(now=self.now)
            self.flush()

    def of(self, name: str, kind: type[Event]) -> list[Event]:
        return [event for event in self.events[name] if isinstance(event, kind)]

    def received(self, name: str) -> list[bytes]:
        return [payload for event in self.events[name] if isinstance(event, Received) for payload in event.payloads]

    def settled(self, name: str) -> dict[Outgoing, Settled]:
        """How messages ended, deliveries among them, in the order of their ends."""
        settled: dict[Outgoing, Settled] = {}
        for event in self.events[name]:
            if isinstance(event, Settled):
                settled[event.message] = event
            elif isinstance(event, Delivered):
                for message in event.messages:
                    settled[message] = Settled(message, Outcome.DELIVERED, "", event.now - message.accepted_at)
        return settled


def losing(*doomed: tuple[str, int, int]) -> Callable[[str, bytes], int]:
    """Lose, towards an end, the nth packet of a type: (end, type, n)."""
    seen: Counter[tuple[str, int]] = Counter()

    def fate(to: str, data: bytes) -> int:
        seen[to, data[0]] += 1
        return (to, data[0], seen[to, data[0]]) not in doomed

    return fate
