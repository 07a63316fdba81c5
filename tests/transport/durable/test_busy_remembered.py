"""Busy where a receiver remembers: what is open in its account is what is open on the wire, to the message."""

from random import Random

import pytest

from agt.transport import Event, Outcome, Received
from agt.transport.durable import OutOfOrder
from agt.transport.durable._inbox_record import decode_record
from agt.transport.durable._remembering_link import RememberingLink
from agt.transport.wires.native import NativeConfig
from support.native_pair import NativePair


class RememberingPair(NativePair):
    """A pair whose gateway has a store that writes at once, and an application that a test plays."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[bytes, int] = {}
        """The last token under which the application got a message."""
        self.through = 0
        """The mark in the stored record."""
        self.links["gateway"] = self.inbox = RememberingLink(
            "gateway",
            rng=Random(2),
            config=NativeConfig(),
            generation_floor=0,
            record=None,
            on_dirty=lambda _link: self.clock.after(0.0, self._write),
        )
        self.answers = lambda _payload: float("inf")

    def commit(self, *payloads: bytes) -> None:
        """Commit these messages together, as the store of an application does."""
        pending = self.inbox.take([(self.tokens[payload], 1) for payload in payloads])
        self.inbox.stored(pending, now=self.clock.now)
        self.through = decode_record("device", pending.record).marks[0].through
        self.pump()

    def put_off(self, payload: bytes, retry_after_s: float) -> None:
        """Have no time for a message now."""
        self.inbox.refuse(self.tokens[payload], "busy", now=self.clock.now, retry_after_s=retry_after_s)
        self.pump()

    def _take(self, side: str, event: Event) -> None:
        super()._take(side, event)
        if side == "gateway" and isinstance(event, Received):
            self.tokens.update((payload, token) for token, payload in enumerate(event.payloads, event.token))

    def _write(self) -> None:
        if self.inbox.dirty:
            self.commit()


def test_what_waited_unseen_behind_a_busy_message_is_committed_with_it() -> None:
    """Both come again as one run, of which the application has seen only the first (seed 968)."""
    pair = RememberingPair()
    pair.connect().run(0.1)
    first = pair.send(b"a")
    pair.clock.after(0.006, lambda: pair.put_off(b"a", 1.0))
    pair.run(0.002)
    second = pair.send(b"b")
    pair.run(0.5)
    assert pair.received() == [b"a"]
    pair.run(1.0)
    runs = [event.payloads for event in pair.events["gateway"] if isinstance(event, Received)]
    assert runs == [[b"a"], [b"a", b"b"]]
    pair.commit(b"a", b"b")
    pair.run(0.1)
    assert (pair.outcome(first)[0], pair.outcome(second)[0]) == (Outcome.DELIVERED, Outcome.DELIVERED)
    assert pair.through == 2


def test_a_busy_message_that_was_given_up_stands_in_nobodys_way() -> None:
    """What came before and after it is committed together, though the former was open meanwhile (seeds 341, 404)."""
    pair = RememberingPair()
    pair.connect().run(0.1)
    first, given_up, last = pair.send(b"a"), pair.send(b"b", deadline_s=1.0), pair.send(b"c")
    pair.run(0.1)
    pair.put_off(b"b", 30.0)
    with pytest.raises(OutOfOrder, match="message 3 of 'device' can't be committed before message 2"):
        pair.commit(b"a", b"c")
    pair.run(2.0)
    assert pair.outcome(given_up)[0] not in {None, Outcome.DELIVERED}
    pair.commit(b"a", b"c")
    pair.run(0.1)
    assert (pair.outcome(first)[0], pair.outcome(last)[0]) == (Outcome.DELIVERED, Outcome.DELIVERED)
    assert pair.through == 3


def test_a_busy_message_that_came_again_is_the_applications() -> None:
    """It is open until it is committed, whatever its sender thinks of it meanwhile."""
    pair = RememberingPair()
    pair.connect().run(0.1)
    late, last = pair.send(b"a", deadline_s=1.0), pair.send(b"b")
    pair.run(0.1)
    pair.put_off(b"a", 0.2)
    pair.run(2.0)
    assert pair.received() == [b"a", b"b", b"a"]
    assert pair.outcome(late)[0] is Outcome.INDETERMINATE
    with pytest.raises(OutOfOrder):
        pair.commit(b"b")
    pair.commit(b"a", b"b")
    pair.run(0.1)
    assert (pair.outcome(last)[0], pair.through) == (Outcome.DELIVERED, 2)
