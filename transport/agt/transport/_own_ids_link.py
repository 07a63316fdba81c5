"""A link whose messages are recognised by their own ids: it goes around any other, so that every driver has it.

It looks at what the link inside hands out and at the answers that go back in, and at nothing else. The accepting side
needs one for each sender that its acceptor remembers, which is the second half of this file.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from agt.transport._events import Event, Received
from agt.transport._link import Link
from agt.transport._link_around import LinkAround
from agt.transport._own_ids import OwnIds

if TYPE_CHECKING:
    from agt.transport.wires.native import Greeting


class OwnIdsLink(LinkAround):
    """A link that hands each id out once; a `Link`."""

    def __init__(self, inner: Link, ids: OwnIds) -> None:
        """Wrap a link.

        Args:
            inner: the link that is to be carried.
            ids: what is remembered of its peer's messages.
        """
        super().__init__(inner)
        self._ids = ids
        self._now = 0.0
        self._ready: deque[Received] = deque()
        # What has nothing to do with what is received goes straight to the link inside, without a step in between.
        self.send = inner.send
        self.cancel = inner.cancel
        self.withdraw = inner.withdraw
        self.connection_made = inner.connection_made
        self.connection_lost = inner.connection_lost
        self.data_to_send = inner.data_to_send
        self.next_deadline = inner.next_deadline
        self.handle_timer = inner.handle_timer

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        self._now = now
        self.inner.receive_data(data, now=now)

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None; copies of what was handed out are not among them."""
        while True:
            if self._ready:
                return self._ready.popleft()
            event = self.inner.next_event()
            if not isinstance(event, Received):
                return event
            runs, done = self._ids.sift(event, self._now)
            self._ready.extend(runs)
            for token in done:
                self.inner.acknowledge(token, now=self._now)

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:
        """Say that the application has processed received messages, and so their copies too."""
        self.inner.acknowledge(token, now=now, count=count)
        for copy in self._ids.processed(token, count):
            self.inner.acknowledge(copy, now=now)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:
        """Say that the application will not process a received message, nor its copies."""
        self.inner.refuse(token, code, now=now, retry_after_s=retry_after_s)
        for copy in self._ids.refused(token):
            self.inner.refuse(copy, code, now=now, retry_after_s=retry_after_s)


class Acceptor(Protocol):
    """Whoever finds the link of a caller."""

    def __len__(self) -> int: ...

    def link_of(self, name: str) -> Link | None:
        """Return the link that remembers this sender, or None."""
        ...

    def greeting(self, *, now: float) -> "Greeting":
        """Begin reading a raw connection."""
        ...

    def admit(self, greeting: "Greeting") -> Link:
        """Return the link for who is calling."""
        ...

    def forget(self, name: str) -> None:
        """Drop what is remembered of a sender."""
        ...


class OwnIdsAcceptor:
    """The links of everyone who dials us, each with its memory of ids; an `Acceptor`."""

    def __init__(self, inner: Acceptor, make_ids: Callable[[], OwnIds]) -> None:
        """Wrap an acceptor.

        Args:
            inner: who remembers the senders.
            make_ids: makes the memory of one more sender.
        """
        self._inner, self._make_ids = inner, make_ids
        # A session holds its link; whom no session holds has no connection, and so nothing that is worth keeping.
        self._links: WeakValueDictionary[str, OwnIdsLink] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._inner)

    def link_of(self, name: str) -> OwnIdsLink | None:
        """Return the link that remembers this sender, or None."""
        inner, link = self._inner.link_of(name), self._links.get(name)
        return link if link is not None and link.inner is inner else None

    def greeting(self, *, now: float) -> "Greeting":
        """Begin reading a raw connection."""
        return self._inner.greeting(now=now)

    def admit(self, greeting: "Greeting") -> OwnIdsLink:
        """Return the link for who is calling; the same one as before while the name is remembered.

        Raises:
            Refused: as the acceptor inside.
        """
        inner = self._inner.admit(greeting)
        assert greeting.hello is not None, "only a complete greeting is admitted"
        name = greeting.hello.name
        link = self._links.get(name)
        if link is None or link.inner is not inner:
            link = self._links[name] = OwnIdsLink(inner, self._make_ids())
        return link

    def forget(self, name: str) -> None:
        """Drop what is remembered of a sender; when it comes back, it learns that it was forgotten."""
        self._inner.forget(name)
        self._links.pop(name, None)
