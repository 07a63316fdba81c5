"""A simulated driver with its application: carries one link over whatever connection it has, and writes the book.

It keeps the calling order that `agt.transport.Link` asks of drivers and holds no policy. The application behind it
thinks for a while, in any order, refuses now and then, and notes what it does before its link hears of it.
"""

import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from agt.chaos.sim._book import BrokenPromise, Entry
from agt.chaos.sim._network import Connection
from agt.transport import Delivered, Dropped, Link, Opened, Outcome, Outgoing, QueueFull, Received, Settled

if TYPE_CHECKING:
    from agt.chaos.sim._world import World


class Port:
    """One incarnation's side of one peer."""

    def __init__(
        self, world: "World", link: Link, incarnation: str, peer: str, on_free: Callable[["Port", bool], None]
    ) -> None:
        """Wrap a link.

        Args:
            world: where it lives.
            link: what it drives.
            incarnation: who it is, as `name#number`.
            peer: the name of the host at the other end.
            on_free: called when its connection has ended, with whether that was final.
        """
        self._world = world
        self.link = link
        self.incarnation = incarnation
        self.peer = peer
        self._on_free = on_free
        self._rng = Random(world.draw())
        self._connection: Connection | None = None
        self._pumping = False
        self._armed = math.inf
        self._keys: dict[Outgoing, str] = {}
        self._sent = 0
        self.channels = world.profile.channels
        """Ordered channels that it may send through."""
        self.alive = True
        """False after a crash: whatever is still scheduled for it does nothing."""
        self.opened = self.opened_before = 0
        """How often a peer was met, and how often when its connection last ended."""
        self.failures = 0
        """Connections in a row on which nobody was met."""

    # Connections

    def attach(self, connection: Connection, first: bytes = b"") -> None:
        """Start on a connection, letting go of an older one; `first` is what was read from it already."""
        if self._connection is not None:
            self._release()
        self._connection = connection
        now = self._world.clock.now
        self.link.connection_made(now=now)
        if first:
            self.link.receive_data(first, now=now)
        self.pump()

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Hand bytes of the present connection to the link."""
        if self.alive and connection is self._connection:
            self.link.receive_data(data, now=self._world.clock.now)
            self.pump()

    def on_end(self, connection: Connection) -> None:
        """Learn that the present connection is over."""
        if self.alive and connection is self._connection:
            self._release()
            self._on_free(self, False)  # noqa: FBT003  # A callback's one flag.
            self.pump()

    def crash(self, *, silent: bool) -> None:
        """Stop in mid-air: nothing is flushed and nothing remembered."""
        self.alive = False
        if self._connection is not None:
            self._connection.close(self, silent=silent)
            self._connection = None

    def _release(self) -> None:
        assert self._connection is not None, "there is a connection to release"
        self._connection.close(self)
        self._connection = None
        self.link.connection_lost(now=self._world.clock.now)

    # Messages

    def send(self, deadline_s: float, size: int) -> str | None:
        """Send the next message; its key, or None when the queue is full."""
        now = self._world.clock.now
        key = f"{self.incarnation}>{self.peer}.{self._sent}"
        channel = self._rng.randrange(self.channels) if self.channels > 1 else 0
        payload = key.encode() + b" " * (size + 1)
        try:
            message = self.link.send(payload, now=now, deadline=now + deadline_s, channel=channel)
        except QueueFull:
            return None
        self._keys[message] = key
        self._world.book.sent(Entry(key, self.incarnation, self.peer, self._sent, now + deadline_s, channel=channel))
        self._sent += 1
        self.pump()
        return key

    def cancel_newest(self) -> None:
        """Give up on the newest unsettled message, unless the world has healed meanwhile."""
        if self.alive and self._keys and self._world.faulty:
            self.link.cancel(next(reversed(self._keys)), now=self._world.clock.now)
            self.pump()

    def withdraw(self) -> None:
        """Take everything back, as a device does that changes paths."""
        if not self.alive:
            return
        withdrawal = self.link.withdraw(now=self._world.clock.now)
        for how, messages in (("unsent", withdrawal.unsent), ("in doubt", withdrawal.in_doubt)):
            for message in messages:
                key = self._keys.pop(message)
                self._world.trace(f"{self.incarnation} withdraws {key} {how}")
                self._world.book.withdrawn(key, how)
        self.pump()
        assert not self._keys, "a withdrawal takes everything, but for ends that are told right now"

    def move_window(self, messages: int) -> None:
        """Take more or less from now on, where the link can say so."""
        set_window: Callable[..., None] | None = getattr(self.link, "set_window", None)
        if self.alive and set_window is not None:
            self._world.trace(f"{self.incarnation} takes {messages} of {self.peer}")
            set_window(messages, now=self._world.clock.now)
            self.pump()

    def drain(self, within_s: float) -> None:
        """End the connection in order, where the link can."""
        drain: Callable[..., None] | None = getattr(self.link, "drain", None)
        if self.alive and drain is not None:
            self._world.trace(f"{self.incarnation} drains {self.peer}")
            drain("a drill", within_s=within_s, now=self._world.clock.now)
            self.pump()

    # Driving

    def pump(self) -> None:
        """Drain events and bytes until there are none, then arm the timer."""
        if self._pumping:
            return
        self._pumping = True
        link, clock = self.link, self._world.clock
        while True:
            dropped: Dropped | None = None
            while (event := link.next_event()) is not None:
                if isinstance(event, Dropped):
                    dropped = event
                else:
                    self._on_event(event)
            data = link.data_to_send(now=clock.now)
            if data and self._connection is not None:
                self._connection.send(self, data)
            if dropped is not None:
                self._on_dropped(dropped)
            elif not data:
                break
        self._pumping = False
        deadline = link.next_deadline()
        if deadline < self._armed:
            self._armed = deadline
            clock.at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        now = self._world.clock.now
        # A callback that an earlier one has overtaken means nothing, or each would arm one more.
        if self.alive and now >= self._armed:
            self._armed = math.inf
            self.link.handle_timer(now=now)
            self.pump()

    def _on_dropped(self, event: Dropped) -> None:
        self._world.trace(f"{self.incarnation} drops {self.peer}: {event.reason} ({event.culprit})")
        if self._connection is not None:
            self._release()
            self._on_free(self, event.final)

    def _on_event(self, event: object) -> None:
        if isinstance(event, Received):
            for place, payload in enumerate(event.payloads):
                self._on_message(event.token + place, payload)
        elif isinstance(event, Delivered):
            for message in event.messages:
                self._settle(message, Outcome.DELIVERED, "")
            self._world.delivered += len(event.messages)
        elif isinstance(event, Settled):
            self._settle(event.message, event.outcome, event.reason)
        elif isinstance(event, Opened):
            self.opened += 1
            self._world.trace(f"{self.incarnation} meets {event.peer}{' again' if event.resumed else ''}")

    def _settle(self, message: Outgoing, outcome: Outcome, reason: str) -> None:
        key = self._keys.pop(message, "")
        if not key:
            raise BrokenPromise("settled once", f"{self.incarnation} was told of a message that it had taken back")
        self._world.trace(f"{self.incarnation} settles {key} {outcome} {reason}")
        self._world.book.settled(key, outcome, reason, self._world.clock.now)

    # The application

    def _on_message(self, token: int, payload: bytes) -> None:
        world, rng = self._world, self._rng
        key = payload.decode(errors="replace").rstrip(" ")
        world.trace(f"{self.incarnation} gets {key}")
        self._note_handed(token, key)
        code = ""
        if world.faulty and rng.random() < world.profile.refuse:
            code = "rejected"
        elif world.faulty and rng.random() < world.profile.busy:
            code = "busy"
        think_s = rng.random() * 2 * world.profile.think_s if world.faulty else 0.0
        if think_s:
            world.clock.after(think_s, lambda: self._finish(token, key, code=code))
        else:
            self._finish(token, key, code=code)

    def _note_handed(self, token: int, key: str) -> None:  # noqa: ARG002  # For those who commit by token.
        self._world.book.handed(key, self.incarnation)

    def _finish(self, token: int, key: str, *, code: str) -> None:
        if not self.alive:
            return
        world, now = self._world, self._world.clock.now
        if code == "busy":
            world.book.was_busy(key)
            world.trace(f"{self.incarnation} is busy for {key}")
            self.link.refuse(token, code, now=now, retry_after_s=world.profile.retry_s)
        elif code:
            world.book.refused(key)
            self.link.refuse(token, code, now=now)
        else:
            world.book.processed(key)
            self.link.acknowledge(token, now=now)
        self.pump()
