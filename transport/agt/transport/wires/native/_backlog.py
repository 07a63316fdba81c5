"""The messages of one channel between acceptance and end: the queue, the window, and what is counted about them.

The queue holds what was never written; the window what was, from sequence `base + 1` on. Two counters say whether the
window holds anything but plain messages: those that were given up (`_ending`), and those of them whose end has been
told (`_told`), which stay only because their sequence does.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final

from agt.transport._errors import QueueFull
from agt.transport._events import Delivered, Settled
from agt.transport._outcome import Outcome
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._rtt import RoundTrip
from agt.transport.wires.native._config import NativeConfig
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._frames import BATCH_BYTES, HEADER_SIZE
from agt.transport.wires.native._postponed import Postponed

BATCH_BYTES_MIN: Final = 128
"""Batches get no smaller than this where they do not get through; with most messages that is a frame for each."""


class Backlog:
    """What one channel has to say to its peer, and where it stands with it."""

    __slots__ = (
        "_base",
        "_batch_bytes",
        "_channel",
        "_config",
        "_counters",
        "_cuts",
        "_draining",
        "_emit",
        "_ending",
        "_epoch",
        "_expire_at",
        "_flying_bytes",
        "_last",
        "_limit",
        "_limit_bytes",
        "_next",
        "_offers",
        "_open",
        "_payload_max",
        "_postponed",
        "_queue",
        "_queue_bytes_max",
        "_queue_max",
        "_queued_bytes",
        "_received",
        "_resend_at",
        "_round_trip",
        "_sampled_at",
        "_skips",
        "_timed",
        "_timed_at",
        "_told",
        "_window",
        "due_at",
        "make_outgoing",
    )

    def __init__(
        self,
        config: NativeConfig,
        round_trip: RoundTrip,
        counters: LinkCounters,
        emit: Callable[[Delivered | Settled], None],
        *,
        epoch: int,
        channel: int = 0,
    ) -> None:
        self.make_outgoing: MakesOutgoing = Outgoing
        """Makes each message."""
        self._config = config
        self._round_trip = round_trip
        self._counters = counters
        self._emit = emit
        self._epoch = epoch
        self._channel = channel
        self._queue_max = config.send_queue_max
        self._queue_bytes_max = config.send_queue_bytes_max
        self._queued_bytes = 0
        self._payload_max = config.max_frame_bytes - HEADER_SIZE
        self._batch_bytes = min(BATCH_BYTES, self._payload_max)
        # Both are emptied in runs, from the front: a slice does that in one step, and an empty list weighs little.
        self._queue: list[Outgoing] = []
        self._window: list[Outgoing] = []
        self._base = 0
        self._last = 0
        self._next = 1
        self._received = 0
        self._told = 0
        self._ending = 0
        self._limit = 0
        self._limit_bytes = 0
        self._flying_bytes = 0
        self._cuts: list[tuple[int, int]] = []
        self._postponed = Postponed()
        self._offers: list[Outgoing] = []
        self._open = False
        self._draining = False
        self._sampled_at = -math.inf
        self._timed = 0
        self._timed_at = 0.0
        self._resend_at = math.inf
        self._expire_at = math.inf
        self._skips: list[int] = []
        self.due_at = math.inf
        """When `handle_timer` may have something to do: never too late, and at times too early, which costs a look."""

    # What can be known

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return len(self._window) - self._told

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return len(self._queue)

    @property
    def settled_through(self) -> int:
        """Sequences up to here have been answered."""
        return self._base

    @property
    def oldest_at(self) -> float:
        """When the oldest unsettled message was accepted; `math.inf` when there is none."""
        oldest = next(self.unsettled(), None)
        return math.inf if oldest is None else oldest.accepted_at

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended, written first, each oldest first."""
        yield from (entry for entry in self._window if not entry.told)
        yield from self._queue

    # Within

    def _look_at_bytes(self, size: int) -> None:
        """Count the queue's bytes anew: what has left it was never taken off, since that would cost each message.

        Raises:
            QueueFull: when there is no room for so many more.
        """
        self._queued_bytes = sum(len(entry.payload) for entry in self._queue)
        if self._queue and self._queued_bytes + size > self._queue_bytes_max:
            raise QueueFull("send queue", self._queue_bytes_max, unit="bytes")
        self._queued_bytes += size

    def _cancel_queued(self, message: Outgoing, reason: str, now: float) -> None:
        self._queue.remove(message)
        self._settle(message, Outcome.NOT_DELIVERED, reason, now)

    def _at(self, sequence: int) -> Outgoing:
        return self._window[sequence - self._base - 1]

    def _settle(self, entry: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        entry.give_up(reason)
        self._emit(Settled(entry, outcome, reason, max(0.0, now - entry.accepted_at)))

    def _tell(self, entry: Outgoing, outcome: Outcome, reason: str, now: float, *, code: str = "") -> None:
        """Settle a message whose sequence stays in the window."""
        self._end(entry, reason)
        entry.told = True
        self._told += 1
        self._emit(Settled(entry, outcome, reason, max(0.0, now - entry.accepted_at), code))

    def _end(self, entry: Outgoing, reason: str) -> None:
        """Have a message of the window skipped when its turn comes (again)."""
        self._ending += not entry.ending
        entry.give_up(reason)

    def _delivered_of(self, messages: list[Outgoing]) -> list[Outgoing]:
        """Return those of the messages that left the window whose end has not been told."""
        delivered = []
        for entry in messages:
            if entry.ending:
                self._ending -= 1
            if entry.told:
                self._told -= 1
            else:
                delivered.append(entry)
        return delivered

    def _write_smaller(self) -> None:
        """Have frames be an eighth as large: one of them was cut or damaged, and nothing of it got through.

        A network that breaks every few hundred bytes, or damages every few thousand, would never let a large one pass.
        """
        self._batch_bytes = min(self._batch_bytes, max(BATCH_BYTES_MIN, self._batch_bytes >> 3))

    def _write_larger(self) -> None:
        """Have frames be twice as large: messages get through."""
        self._batch_bytes = min(2 * self._batch_bytes, BATCH_BYTES, self._payload_max)

    def _landed(self, base: int) -> None:
        """Count the bytes up to here as unprocessed no more."""
        cuts = self._cuts
        while cuts and cuts[0][0] <= base:
            self._flying_bytes -= cuts.pop(0)[1]

    def _arm(self, now: float) -> None:
        """Start the resend timer anew: there was progress."""
        # A window that is shut is asked about now and then: the word that opens it may have been lost.
        waiting = self._open and (self._base < self._last or not self._limit)
        if not waiting:
            self._resend_at = math.inf
            return
        self._resend_at = now + self._round_trip.timeout_s
        if self._resend_at < self.due_at:  # noqa: PLR1730  # A call for each answer, where it is hardly ever true.
            self.due_at = self._resend_at
