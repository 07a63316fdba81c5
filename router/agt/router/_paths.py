"""A transport session as a path: the reliable way, and the legacy way over the same or another socket.

Moving *in place* means that both paths share one session: the candidate sends with acknowledgement, control writes
and hopes, and the session's observer matches the replies of both. Moving *warm* gives each its own session.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import anyio

from agt.router._path import Message, Withdrawn
from agt.transport import Barrier, Delivery, MoveKind, Outcome, TransportError, Way
from agt.transport import Session as TransportSession

UNANSWERED_MAX: Final = 1000
"""Written messages that a legacy path remembers to tell the unanswered tail; older ones are forgotten."""
_WRITTEN: Final = Outcome.WRITTEN  # An enumeration's members are slow to look up.


class _SessionPath:
    """What both ways over a transport session have in common."""

    def __init__(
        self,
        session: TransportSession,
        *,
        barrier: Barrier | None = None,
        move: MoveKind | None = None,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        """Wrap a session.

        Args:
            session: the device's session.
            barrier: what the device promises over all its attachments; the wire's own word when not given.
            move: how the device changes paths; the wire's own word when not given.
            clock: the clock that the session keeps deadlines on.
        """
        self._session, self._clock = session, clock
        self.barrier = barrier or session.link.traits.barrier
        """How this path can tell that it has fallen silent."""
        self.move = move or session.link.traits.move
        """How the device leaves or enters this path."""
        self._closing = self._watching = False

    @property
    def ready(self) -> bool:
        """Whether a message sent now could leave."""
        return self._session.connected and not self._closing

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call back once when nothing is queued, in flight or unanswered."""
        self._session.on_quiet(callback)

    def close(self, reason: str) -> None:
        """End the present connection, if any, so that the device dials anew; not ready until it has."""
        if not self.ready:
            return
        if not self._watching:  # Few paths are ever closed, and each callback costs a live session memory.
            self._watching = True
            self._session.on_connection(self._changed)
        self._closing = True
        self._session.disconnect(reason)

    def _changed(self, _: TransportSession) -> None:
        self._closing = False


class ReliablePath(_SessionPath):
    """The candidate's way: every message ends with an answer, or as in doubt."""

    @property
    def way(self) -> Way:
        """The way to the device, for those who measure it."""
        return Way(self._session)

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return self._session.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return self._session.queued

    def send(self, message: Message) -> Delivery:
        """Carry a message; refusals settle at once."""
        try:
            delivery = self._session.send_nowait(message.payload, deadline_s=message.deadline_s)
        except TransportError as error:
            delivery = Delivery()
            delivery.settle(Outcome.NOT_DELIVERED, reason=str(error))
        delivery.item = message
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give back everything unsettled."""
        given_up = frozenset(message for message in self._session.link.unsettled() if message.ending)
        taken = self._session.withdraw()
        return Withdrawn(
            unsent=self._with_messages(taken.unsent),
            in_doubt=self._with_messages(taken.in_doubt),
            given_up=given_up,
        )

    def _with_messages(self, deliveries: tuple[Delivery, ...]) -> tuple[tuple[Message, Delivery], ...]:
        now = self._clock()
        pairs: list[tuple[Message, Delivery]] = []
        for delivery in deliveries:
            if isinstance(delivery.item, Message):
                pairs.append((delivery.item.within(delivery.deadline - now), delivery))
            else:  # Sent on the session without us: its sender must still hear of it.
                delivery.settle(Outcome.INDETERMINATE, reason="the device changed paths")
        return tuple(pairs)


class LegacyPath(_SessionPath):
    """Control's way: written and hoped, its replies only observed."""

    _newest: "deque[Delivery] | None" = None
    """What was written last; made at the first write, since most devices of a large fleet are idle."""

    @property
    def way(self) -> Way:
        """The way to the device, for those who measure it."""
        return Way(self._session)

    @property
    def in_flight(self) -> int:
        """Messages written whose reply has neither been seen nor given up."""
        return self._session.unanswered

    @property
    def queued(self) -> int:
        """Nothing: a legacy path writes or refuses."""
        return 0

    def send(self, message: Message) -> Delivery:
        """Write a message; the handle is settled already."""
        try:
            delivery = self._session.write_nowait(message.payload)
        except TransportError as error:
            delivery = Delivery()
            delivery.settle(Outcome.NOT_DELIVERED, reason=str(error))
        delivery.item = message
        if delivery.outcome is _WRITTEN:
            if self._newest is None:
                self._newest = deque(maxlen=UNANSWERED_MAX)
            self._newest.append(delivery)
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give back what is unanswered, the tail apart: the rest has ended, as far as a legacy path can say."""
        now = self._clock()
        cut_off = self._session.cut_off_writes()
        unanswered = {*self._session.unanswered_writes(), *cut_off}
        passed: list[Message] = []
        tail: list[Message] = []
        for delivery in self._newest or ():
            if delivery in unanswered:
                message: Message = delivery.item
                tail.append(message.within(message.deadline_s - (now - delivery.accepted_at)))
            else:
                passed += tail
                tail.clear()
        self._newest = None
        return Withdrawn(unsent=(), in_doubt=(), written=tuple(tail), passed=tuple(passed), cut_off=bool(cut_off))
