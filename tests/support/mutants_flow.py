"""Bugs in channels, credit, busy applications and the orderly end of connections (promises 1, 4 and 5)."""

import math

from agt.transport import Outcome, Outgoing
from agt.transport.wires.native import NativeConfig, NativeLink
from agt.transport.wires.native._lanes import Lanes
from agt.transport.wires.native._postponed import Postponed
from agt.transport.wires.native._sender import Sender
from support.mutants import Mutant, Patch, in_worlds, story
from support.native_pair import NativePair

RETRY_S = 1.0
STEADY = NativeConfig(idle_timeout_s=100.0, ping_interval_s=50.0, recv_window_bytes=1000)


def busy_is_honoured() -> None:
    """A message that an application has no time for comes again, not before it asked for it, and then is delivered."""
    pair = NativePair(STEADY).connect().run(0.1)
    came: list[float] = []

    def busy(_payload: bytes) -> float:
        came.append(pair.clock.now)
        return RETRY_S if len(came) == 1 else 0.0

    pair.busy = busy
    message = pair.send(b"later, please")
    pair.run(5.0)
    assert pair.outcome(message)[0] is Outcome.DELIVERED, "a message that was too early for the peer never came again"
    assert came[1] - came[0] >= RETRY_S, f"offered again after {came[1] - came[0]:.3f} s, asked for {RETRY_S} s"


def credit_in_bytes_is_kept() -> None:
    """Towards an application that never answers, no more bytes are on their way than it gave credit for."""
    pair = NativePair(STEADY).connect().run(0.1)
    pair.answers = lambda _payload: math.inf
    for _ in range(10):
        pair.send(bytes(400))
    pair.run(1.0)
    held = sum(map(len, pair.received()))
    assert held <= 1000 + 400, f"{held} bytes handed over for a credit of 1000"
    assert not pair.dropped("gateway"), "a receiver had to defend itself against more bytes than it gave credit for"


def a_drain_loses_nothing() -> None:
    """What is in flight when a connection is drained is answered on it, and nothing new is begun."""
    pair = NativePair(STEADY).connect().run(0.1)
    pair.answers = lambda _payload: 0.5
    messages = [pair.send(b"%d" % number) for number in range(3)]
    pair.device.drain("a drill", within_s=3.0, now=pair.clock.now)
    pair.pump().run(2.0)
    outcomes = [pair.outcome(message)[0] for message in messages]
    assert outcomes == [Outcome.DELIVERED] * 3, "a drain ended the connection over messages in flight"
    assert pair.dropped("device"), "a drain never ended"


def busy_ignored(patch: Patch) -> None:
    """A sender offers a message again at once, however long the receiver is busy."""
    refused = Postponed.refused

    def buggy(self: Postponed, message: Outgoing, times: int, retry_at: float, now: float, timeout_s: float) -> bool:
        return refused(self, message, times, now, now, timeout_s)

    patch.setattr(Postponed, "refused", buggy)


def busy_forgotten(patch: Patch) -> None:
    """A sender never offers again what the receiver was too busy for."""
    patch.setattr(Postponed, "take", lambda self, now: [])


def credit_ignored(patch: Patch) -> None:
    """A sender counts messages against its credit and no bytes."""
    endless = property(lambda _self: 1 << 40, lambda _self, _value: None)
    patch.setattr(Sender, "_limit_bytes", endless, raising=False)


def drain_that_drops(patch: Patch) -> None:
    """A drain ends the connection at once."""

    def buggy(self: NativeLink, text: str, *, within_s: float, now: float) -> None:
        self.close(text, now=now)

    patch.setattr(NativeLink, "drain", buggy)


def channels_mixed(patch: Patch) -> None:
    """A sender writes messages of one channel through another, now and then."""
    sender = Lanes.sender
    turns = iter(range(1 << 30))

    def buggy(self: Lanes, channel: int) -> Sender:
        return sender(self, (channel + (next(turns) % 3 == 0)) % len(self.senders))

    patch.setattr(Lanes, "sender", buggy)


BUSY, CREDIT, DRAIN = story(busy_is_honoured), story(credit_in_bytes_is_kept), story(a_drain_loses_nothing)

MUTANTS = (
    Mutant(channels_mixed, 1, in_worlds("in order"), "in order"),
    Mutant(busy_ignored, 1, BUSY, "offered again after"),
    Mutant(busy_forgotten, 1, BUSY, "time stands still"),
    Mutant(drain_that_drops, 1, DRAIN, "ended the connection over messages in flight"),
    Mutant(credit_ignored, 5, CREDIT, "more bytes than it gave credit for"),
)
