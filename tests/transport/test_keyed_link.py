"""A native link under a key, both ends as pure cores, over a wire that cuts, damages and repeats what it likes."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import Delivered, Dropped, KeyRing, Link, Opened, Outgoing, PreSharedKey, Received
from agt.transport.trust import DiallingLayer, KeyedAcceptor, KeyedLink
from agt.transport.wires.native import NativeAcceptor, NativeConfig, NativeLink, Refused

KEY = PreSharedKey("k1", bytes(range(32)))
CONFIG = NativeConfig(max_retries=None)
STEP_S = 0.01


class World:
    """A dialler, an acceptor, and a wire in between with faults on it."""

    def __init__(self, faults: list[tuple[str, int]]) -> None:
        rng = random.Random(1)
        inner = NativeLink("d", rng=rng, config=CONFIG)
        self.dialler = KeyedLink(inner, lambda: DiallingLayer(KEY, "d", rng=rng))
        self.acceptor = KeyedAcceptor(NativeAcceptor("g", rng=rng, config=CONFIG), KeyRing(KEY), "g", rng=rng)
        self.now = 0.0
        self.seen: list[bytes] = []
        self.delivered: list[Outgoing] = []
        self.opened = 0
        self.dropped: list[Dropped] = []
        self._faults = iter(faults)
        self._accepting: KeyedLink | None = None

    def send(self, payload: bytes) -> Outgoing:
        """Accept a message at the dialler."""
        return self.dialler.send(payload, now=self.now, deadline=1e9)

    def connect(self, turns: int = 40) -> None:
        """Live through one connection: until a fault ends it, or for so many turns."""
        self.dialler.connection_made(now=self.now)
        greeting, link = self.acceptor.greeting(now=self.now), None
        for _ in range(turns):
            self.now += STEP_S
            data = self._carry(self.dialler.data_to_send(now=self.now))
            if data is None:
                break
            if link is not None:
                link.receive_data(data, now=self.now)
            else:
                try:
                    if greeting.receive_data(data) is not None:
                        link = self._accepting = self.acceptor.admit(greeting)
                        link.connection_made(now=self.now)
                except Refused:
                    break
            back = greeting.data_to_send() if link is None else self._answer(link)
            carried = self._carry(back)
            if carried is None:
                break
            self.dialler.receive_data(carried, now=self.now)
            self.dialler.handle_timer(now=self.now)
            if any(isinstance(event, Dropped) for event in self._events(self.dialler)):
                break
        for end in (self.dialler, link):
            if end is not None:
                end.connection_lost(now=self.now)

    def _carry(self, data: bytes) -> bytes | None:
        fault, place = next(self._faults, ("none", 0)) if data else ("none", 0)
        if fault == "cut":
            return None
        if fault == "flip":
            at = place % len(data)
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        if fault == "repeat":
            return data + data
        return data[: place % len(data)] if fault == "shorten" else data

    def _answer(self, link: KeyedLink) -> bytes:
        for event in self._events(link):
            if isinstance(event, Received):
                self.seen.extend(event.payloads)
                link.acknowledge(event.token, now=self.now, count=len(event.payloads))
        return link.data_to_send(now=self.now)

    def _events(self, link: Link) -> Iterator[object]:
        events: list[object] = []
        while (event := link.next_event()) is not None:
            events.append(event)
            if isinstance(event, Delivered):
                self.delivered.extend(event.messages)
            elif isinstance(event, Dropped):
                self.dropped.append(event)
            elif isinstance(event, Opened) and link is self.dialler:
                self.opened += 1
        return iter(events)


FAULTS = st.lists(
    st.tuples(st.sampled_from(["none", "none", "none", "cut", "flip", "repeat", "shorten"]), st.integers(0, 2000)),
    max_size=60,
)


@given(faults=FAULTS)
def test_whatever_the_wire_does_messages_arrive_once_in_order_and_those_delivered_did(faults: list[tuple[str, int]]):
    """Cuts, damage, repetitions, losses, in the exchange and behind it; once the wire heals, all gets through."""
    world = World(faults)
    sent = [b"message %d" % number for number in range(12)]
    for first in range(0, 12, 4):
        for payload in sent[first : first + 4]:
            world.send(payload)
        world.connect()
        assert world.seen == sent[: len(world.seen)]
        assert {message.sequence for message in world.delivered} <= set(range(1, len(world.seen) + 1))
    world._faults = iter(())
    for _ in range(3):
        world.connect()
    assert world.seen == sent
    assert len(world.delivered) == 12


def test_a_message_waits_for_the_proof_and_not_a_byte_of_it_goes_out_before():
    """The link inside learns of a connection only when both sides are proven."""
    world = World([])
    world.send(b"a secret plan")
    world.dialler.connection_made(now=0)
    assert b"a secret plan" not in world.dialler.data_to_send(now=0)
    world.dialler.receive_data(b"AGTK\x01\x04\x00\x04\x91\xa2no", now=0)
    assert world.dialler.data_to_send(now=0) == b""
    event = world.dialler.next_event()
    assert isinstance(event, Dropped)
    assert (event.culprit, event.final) == ("peer", False)
    assert world.dialler.queued == 1


def test_a_listener_that_never_answers_is_given_up_by_the_clock():
    """The wait has a deadline of its own, which the driver learns of as of any other."""
    world = World([])
    world.dialler.connection_made(now=10)
    world.dialler.data_to_send(now=10)
    assert world.dialler.next_deadline() == 15
    world.dialler.handle_timer(now=15)
    event = world.dialler.next_event()
    assert isinstance(event, Dropped)
    assert "did not prove within 5 s" in event.reason


def test_a_damaged_record_is_the_network_s_fault_and_counted():
    """Dial again and resume is the answer to damage and to attack alike."""
    world = World([("none", 0)] * 4 + [("flip", 30)])
    world.send(b"x" * 100)
    world.connect()
    assert world.opened == 1
    dropped = [event for event in world.dropped if "failed its tag" in event.reason]
    accepting = world._accepting
    assert accepting is not None
    if not dropped:
        dropped = [event for event in iter(accepting.next_event, None) if isinstance(event, Dropped)]
    assert {event.culprit for event in dropped} == {"network"}
    assert world.dialler.counters.tag_failures + accepting.counters.tag_failures == 1


def test_what_the_link_inside_can_is_there_outside():
    """Whoever holds a keyed link needs not know that it is one."""
    world = World([])
    assert world.dialler.traits == world.dialler.inner.traits
    assert world.dialler.epoch == world.dialler.inner.epoch  # type: ignore[attr-defined]
    message = world.send(b"x")
    assert list(world.dialler.unsettled()) == [message]
    assert world.dialler.withdraw(now=0).unsent == (message,)
    with pytest.raises(AttributeError):
        _ = world.dialler.nonsense
