"""Two native links, a wire with a constant delay between them, and virtual time; a test says what gets lost.

The simulated world (`agt.chaos.sim`) draws what goes wrong; here a check says it, frame by frame.
"""

import math
from collections.abc import Callable
from random import Random

from agt.chaos.sim import Clock
from agt.chaos.sim._world import split_frames
from agt.transport import Delivered, Dropped, Event, Outcome, Outgoing, Received, Settled
from agt.transport.wires.native import NativeConfig, NativeLink, Role


class NativePair:
    """A device that dials and a gateway that accepts."""

    def __init__(self, config: NativeConfig | None = None, *, one_way_s: float = 0.005) -> None:
        self.clock = Clock()
        self.one_way_s = one_way_s
        self.links = {
            "device": NativeLink("device", rng=Random(1), config=config),
            "gateway": NativeLink("gateway", rng=Random(2), config=config, role=Role.ACCEPTING),
        }
        self.events: dict[str, list[Event]] = {"device": [], "gateway": []}
        self.written: dict[str, list[bytes]] = {"device": [], "gateway": []}
        """Frames that each side wrote, in order."""
        self.loses: Callable[[str, bytes], bool] = lambda _side, _frame: False
        """Whether the wire loses this frame of that side."""
        self.answers: Callable[[bytes], float] = lambda _payload: 0.0
        """How long the application takes for a message, in seconds; `math.inf` for never."""
        self.busy: Callable[[bytes], float] = lambda _payload: 0.0
        """After how many seconds an application that has no time for a message wants it again; 0 when it has time."""
        self._connection = 0
        self._connected = False
        self._armed: dict[str, float] = {}

    @property
    def device(self) -> NativeLink:
        return self.links["device"]

    @property
    def gateway(self) -> NativeLink:
        return self.links["gateway"]

    def connect(self) -> "NativePair":
        """Dial (again); what was under way is gone."""
        for link in self.links.values():
            link.connection_made(now=self.clock.now)
        self._connection += 1
        self._connected = True
        return self.pump()

    def cut(self) -> None:
        """End the connection."""
        self._connected = False
        for link in self.links.values():
            link.connection_lost(now=self.clock.now)
        self.pump()

    def send(self, payload: bytes, *, deadline_s: float = 30.0, side: str = "device") -> Outgoing:
        """Send a message and let it go out."""
        message = self.links[side].send(payload, now=self.clock.now, deadline=self.clock.now + deadline_s)
        self.pump()
        return message

    def run(self, seconds: float) -> "NativePair":
        """Let time pass."""
        self.clock.run(self.clock.now + seconds)
        return self

    def give(self, side: str, data: bytes) -> None:
        """Give a side bytes that its peer didn't write."""
        self.links[side].receive_data(data, now=self.clock.now)
        self.pump()

    def pump(self) -> "NativePair":
        """Move bytes and events until both sides are still, and arm their timers."""
        for side, link in self.links.items():
            while True:
                while (event := link.next_event()) is not None:
                    self._take(side, event)
                data = link.data_to_send(now=self.clock.now)
                if not data:
                    break
                self._carry(side, data)
            deadline = link.next_deadline()
            if deadline < math.inf and deadline != self._armed.get(side):
                self._armed[side] = deadline
                self.clock.at(deadline, lambda side=side: self._due(side))  # type: ignore[misc]
        return self

    def received(self, side: str = "gateway") -> list[bytes]:
        """Return what an application got."""
        runs = [event.payloads for event in self.events[side] if isinstance(event, Received)]
        return [payload for run in runs for payload in run]

    def outcome(self, message: Outgoing, side: str = "device") -> tuple[Outcome | None, str]:
        """Return how a message ended and why; None while it hasn't."""
        for event in self.events[side]:
            if isinstance(event, Delivered) and any(one is message for one in event.messages):
                return Outcome.DELIVERED, ""
            if isinstance(event, Settled) and event.message is message:
                return event.outcome, event.reason
        return None, ""

    def dropped(self, side: str) -> list[Dropped]:
        """Return why a side gave connections up."""
        return [event for event in self.events[side] if isinstance(event, Dropped)]

    def _take(self, side: str, event: Event) -> None:
        self.events[side].append(event)
        if isinstance(event, Received):
            for place, payload in enumerate(event.payloads):
                retry_s = self.busy(payload)
                if retry_s:
                    self.links[side].refuse(event.token + place, "busy", now=self.clock.now, retry_after_s=retry_s)
                    continue
                think_s = self.answers(payload)
                if think_s < math.inf:
                    self.clock.after(think_s, lambda token=event.token + place: self._answer(side, token))  # type: ignore[misc]

    def _answer(self, side: str, token: int) -> None:
        self.links[side].acknowledge(token, now=self.clock.now)
        self.pump()

    def _carry(self, side: str, data: bytes) -> None:
        peer = "gateway" if side == "device" else "device"
        frames = split_frames(data)
        self.written[side] += frames
        arriving = b"".join(frame for frame in frames if not self.loses(side, frame))
        if arriving:
            connection = self._connection
            self.clock.after(self.one_way_s, lambda: self._arrive(peer, arriving, connection))

    def _arrive(self, side: str, data: bytes, connection: int) -> None:
        if self._connected and connection == self._connection:
            self.give(side, data)

    def _due(self, side: str) -> None:
        if self._armed.get(side) is not None and self.clock.now >= self._armed[side]:
            del self._armed[side]
            self.links[side].handle_timer(now=self.clock.now)
            self.pump()
