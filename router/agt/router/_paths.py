"""A transport session as a path: the reliable way, and the legacy way over the same or another socket.

Moving *in place* means that both paths share one session: the candidate sends with acknowledgement, control writes
and hopes, and the session's observer matches the replies of both. Moving *warm* gives each its own session.
"""

from collections.abc import Callable
from dataclasses import replace

import anyio

from agt.router._path import Message, Withdrawn
from agt.transport import Barrier, Delivery, MoveKind, Outcome, TransportError
from agt.transport import Session as TransportSession

UNANSWERED_MAX = 1000
"""Written messages that a legacy path remembers to tell the unanswered tail; older ones are forgotten."""


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
            clock: the clock that deadlines are kept on.
        """
        self._session, self._clock = session, clock
        self.barrier = barrier or session.link.traits.barrier
        """How this path can tell that it has fallen silent."""
        self.move = move or session.link.traits.move
        """How the device leaves or enters this path."""
        self._open: dict[Delivery, tuple[Message, float]] = {}
        """What a move may have to take back: what is unsettled, or, of legacy writes, what may be unanswered."""
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
            return delivery
        self._open[delivery] = (message, self._clock() + message.deadline_s)
        delivery.add_done_callback(self._forget)
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give back everything unsettled."""
        taken = self._session.withdraw()
        return Withdrawn(unsent=self._with_messages(taken.unsent), in_doubt=self._with_messages(taken.in_doubt))

    def _forget(self, delivery: Delivery) -> None:
        self._open.pop(delivery, None)

    def _with_messages(self, deliveries: tuple[Delivery, ...]) -> tuple[tuple[Message, Delivery], ...]:
        now = self._clock()
        pairs: list[tuple[Message, Delivery]] = []
        for delivery in deliveries:
            known = self._open.pop(delivery, None)
            if known is None:  # Sent on the session without us: its sender must still hear of it.
                delivery.settle(Outcome.INDETERMINATE, reason="the device changed paths")
                continue
            delivery.remove_done_callback(self._forget)
            message, expires_at = known
            pairs.append((replace(message, deadline_s=expires_at - now), delivery))
        return tuple(pairs)


class LegacyPath(_SessionPath):
    """Control's way: written and hoped, its replies only observed."""

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
            return delivery
        if delivery.outcome is Outcome.WRITTEN:
            self._open[delivery] = (message, self._clock() + message.deadline_s)
            if len(self._open) > UNANSWERED_MAX:
                del self._open[next(iter(self._open))]
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give back the unanswered tail: everything else has ended, as far as a legacy path can say."""
        now = self._clock()
        unanswered = set(self._session.unanswered_writes())
        tail: list[Message] = []
        for delivery, (message, expires_at) in reversed(self._open.items()):
            if delivery not in unanswered:
                break
            tail.append(replace(message, deadline_s=expires_at - now))
        self._open.clear()
        return Withdrawn(unsent=(), in_doubt=(), written=tuple(reversed(tail)))
