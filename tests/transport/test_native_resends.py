"""In which pieces messages go out again after connections that ended in the middle, and how they grow back."""

import pytest

from agt.transport import Outcome
from agt.transport.wires.native import FrameType, NativeConfig
from support.native_pair import NativePair

CONFIG = NativeConfig(max_retries=None, send_queue_max=2000)
PAYLOAD = bytes(64)


class BreakingPair(NativePair):
    """Two links on a wire that loses all of a connection behind so many bytes of the device's."""

    def __init__(self, break_after: float) -> None:
        super().__init__(CONFIG)
        self.break_after = break_after
        self.connections = 0
        self._passed = 0
        self.loses = self._breaks

    def connect(self) -> "NativePair":
        """Dial (again)."""
        self._passed = 0
        self.connections += 1
        return super().connect()

    @property
    def broken(self) -> bool:
        """Whether nothing comes through any more on this connection."""
        return self._passed > self.break_after

    def live(self, connections: int) -> None:
        """Go through so many connections at most, each until it breaks, or all is answered."""
        for _ in range(connections):
            self.connect()
            while not self.broken and self.device.in_flight + self.device.queued:
                self.run(0.005)
            if not self.device.in_flight + self.device.queued:
                return
            self.run(0.02)  # What had passed arrives, and is answered.
            self.cut()

    def _breaks(self, side: str, frame: bytes) -> bool:
        if side == "device":
            self._passed += len(frame)
        return self.broken and side == "device"


@pytest.mark.parametrize("break_after", [500, 900, 5_000])
def test_a_wire_that_breaks_early_lets_several_messages_of_each_connection_pass(break_after: int) -> None:
    """Once the frames are small enough they stay so: nothing starts over with a batch that can't pass."""
    pair = BreakingPair(break_after)
    sent = [pair.send(PAYLOAD) for _ in range(100)]
    useful = (break_after - 300) // (len(PAYLOAD) + 40)  # The handshake, and each message in a frame of its own.
    pair.live(4 + 2 * 100 // useful)
    assert [pair.outcome(message)[0] for message in sent] == [Outcome.DELIVERED] * 100
    assert pair.received() == [PAYLOAD] * 100


def test_frames_grow_again_when_messages_get_through() -> None:
    """What a bad hour has made small doesn't stay so: after some answers, a burst is one batch as before."""
    pair = BreakingPair(600)
    for _ in range(100):
        pair.send(PAYLOAD)
    pair.live(3)
    pair.break_after = float("inf")
    pair.live(1)
    for _ in range(12):
        pair.send(PAYLOAD)
        pair.run(0.1)
    pair.written["device"].clear()
    for number in range(500):
        pair.device.send(b"%064d" % number, now=pair.clock.now, deadline=pair.clock.now + 30)
    pair.pump().run(0.1)
    frames = [frame for frame in pair.written["device"] if frame[8] in (FrameType.BATCH, FrameType.DATA)]
    assert len(frames) == 1
    assert pair.received()[-1] == b"%064d" % 499


def test_a_connection_that_ends_between_messages_makes_nothing_smaller() -> None:
    """All had been received: the next burst is one batch."""
    pair = BreakingPair(float("inf"))
    for _ in range(5):
        pair.connect()
        pair.send(PAYLOAD)
        pair.run(0.1)
        pair.cut()
    pair.written["device"].clear()
    for _ in range(500):
        pair.device.send(PAYLOAD, now=pair.clock.now, deadline=pair.clock.now + 30)
    pair.connect().run(0.1)
    assert [frame[8] for frame in pair.written["device"]].count(FrameType.BATCH) == 1
