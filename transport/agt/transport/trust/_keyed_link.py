"""Any link, under a key: nothing of it is on the wire before both sides are proven, and everything of it is tagged.

The link inside learns of a connection only once the exchange is over, and of bytes only once their tag was found
right; what it has to say goes out under one tag a flush. So a link needs to know nothing of keys, and every driver that
can carry a link can carry this one. Messages are accepted, and their deadlines pass, whether there is a key or not.

A record with a wrong tag ends the connection and is counted (`tag_failures`): as the network's fault, since damage and
attack look alike from here, and to dial again and resume is the right answer to both. The messages on it are safe
either way: nothing behind the last right tag was looked at.
"""

import math
from collections import deque
from collections.abc import Callable

from agt.transport._errors import PeerViolation
from agt.transport._events import Dropped, Event
from agt.transport._link import Link
from agt.transport._link_around import LinkAround
from agt.transport.trust._key_layer import KeyLayer, NotProven
from agt.transport.trust._records import WrongTag

EXCHANGE_TIMEOUT_S = 5.0
"""How long the exchange of proofs may take, for the side that dials; the side that is dialled has its door."""


class KeyedLink(LinkAround):
    """A link whose connections are keyed; a `Link`."""

    def __init__(
        self, inner: Link, make_layer: Callable[[], KeyLayer] | None = None, *, timeout_s: float = EXCHANGE_TIMEOUT_S
    ) -> None:
        """Wrap a link.

        Args:
            inner: the link that is to be carried.
            make_layer: makes our end of the exchange for each connection, when we dial; None when each connection
                comes with an exchange that is over, see `adopt`.
            timeout_s: how long the exchange may take.
        """
        super().__init__(inner)
        self.tag_failures = 0
        """Connections that were dropped because a record was damaged, or changed on the way."""
        self._make_layer = make_layer
        self._timeout_s = timeout_s
        self._layer: KeyLayer | None = None
        self._adopted: tuple[KeyLayer, bytes] | None = None
        self._carried = False
        self._give_up_at = math.inf
        self._events: deque[Event] = deque()
        self._farewell = b""
        # What has nothing to do with connections goes straight to the link inside, without a step in between.
        self.send = inner.send
        self.cancel = inner.cancel
        self.withdraw = inner.withdraw
        self.acknowledge = inner.acknowledge
        self.refuse = inner.refuse

    # The connection's side

    def adopt(self, layer: KeyLayer, heard: bytes) -> None:
        """Use this exchange, which is over, for the next connection, on which this much was heard already."""
        assert layer.established, "only a proven peer reaches a link"
        self._adopted = (layer, heard)

    def connection_made(self, *, now: float) -> None:
        """Start on a fresh connection: with the exchange, or where that is over with the link inside."""
        self.connection_lost(now=now)
        if self._adopted is not None:
            (self._layer, heard), self._adopted = self._adopted, None
            self._begin(now)
            self.inner.receive_data(heard, now=now)
        elif self._make_layer is not None:
            self._layer = self._make_layer()
            self._give_up_at = now + self._timeout_s

    def connection_lost(self, *, now: float) -> None:
        """Note that the connection is gone; nothing is settled by this alone."""
        self._layer, self._farewell, self._give_up_at = None, b"", math.inf
        if self._carried:
            self._carried = False
            self.inner.connection_lost(now=now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere; what is not proven ends the connection, never raises."""
        layer = self._layer
        if layer is None:
            return
        try:
            plain = layer.receive_data(data)
        except WrongTag as error:
            counters = getattr(self.inner, "counters", self)
            counters.tag_failures += 1
            self._drop(str(error), "network", now)
            return
        except (NotProven, PeerViolation) as error:
            self._drop(str(error), "peer", now)
            return
        if not self._carried and layer.established:
            self._give_up_at = math.inf
            self._begin(now)
        if plain:
            self.inner.receive_data(plain, now=now)

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, what should go to the peer now; call until it is empty."""
        layer = self._layer
        if layer is None:
            farewell, self._farewell = self._farewell, b""
            return farewell
        if not layer.established:
            return layer.data_to_send()
        return layer.data_to_send() + layer.seal(self.inner.data_to_send(now=now))

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        return min(self.inner.next_deadline(), self._give_up_at)

    def handle_timer(self, *, now: float) -> None:
        """Do what has come due; a no-op when nothing has."""
        self.inner.handle_timer(now=now)
        if now >= self._give_up_at:
            self._drop(f"the listener did not prove within {self._timeout_s:g} s that it has our key", "network", now)

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        return self._events.popleft() if self._events else self.inner.next_event()

    # Within

    def _begin(self, now: float) -> None:
        self._carried = True
        self.inner.connection_made(now=now)

    def _drop(self, reason: str, culprit: str, now: float) -> None:
        farewell = self._layer.data_to_send() if self._layer is not None else b""
        self.connection_lost(now=now)
        self._farewell = farewell
        self._events.append(Dropped(reason, culprit, False))  # noqa: FBT003 - in the order of the fields
