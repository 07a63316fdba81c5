"""Everything that goes to the peer as a message, the reliable way (`accept`) or as today (`write`).

Both ways share the wire, the ids and therefore one matcher. A reliable message ends exactly once: by its ack, by its
deadline, by running out of resends, or by being cancelled or withdrawn. A written one ends when it is written; its
reply is only observed, and counted as missing when it stays out.
"""

import heapq
import math
from collections import deque
from collections.abc import Iterator

from agt.transport._errors import QueueFull
from agt.transport._events import Delivered, Event, Observed, Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport.wires.cync._config import CyncConfig
from agt.transport.wires.cync._guard import StrayGuard
from agt.transport.wires.cync._lane import Lane, Request
from agt.transport.wires.cync._matcher import AckMatcher, Key
from agt.transport.wires.cync._packets import Packet
from agt.transport.wires.cync._types import HELLO, TYPES


class Sender:
    """The lanes of one link, their acks, and the replies that are only observed."""

    def __init__(self, config: CyncConfig, events: deque[Event]) -> None:
        self._config = config
        self._events = events
        self._lanes: dict[int, Lane] = {}
        self._requests: dict[int, Request] = {}
        self.make_outgoing: MakesOutgoing = Outgoing
        """Makes each message."""
        self._written: dict[int, tuple[Key, float]] = {}
        self._deadlines: list[tuple[float, int]] = []
        self._matcher = AckMatcher()
        self._guard = StrayGuard()
        self._last_number = 0
        self._connected = False
        self._opened = False
        self.resends = 0
        self.ack_timeouts = 0
        self.unmatched_acks = 0
        self.stray_acks = 0
        self.observed_missing = 0

    # What can be known

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return sum(len(lane.outstanding) for lane in self._lanes.values())

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return sum(len(lane.queue) for lane in self._lanes.values())

    @property
    def unanswered(self) -> int:
        """Written messages whose reply may still come."""
        return len(self._written)

    @property
    def oldest_at(self) -> float:
        """When the oldest unsettled message was accepted; `math.inf` when there is none."""
        return next((message.accepted_at for message in self.unsettled()), math.inf)

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended, written first, each oldest first."""
        unsettled = [(request.message, request.attempts) for request in self._requests.values()]
        yield from (message for message, attempts in unsettled if message is not None and attempts)
        yield from (message for message, attempts in unsettled if message is not None and not attempts)

    # The connection

    def connection_made(self) -> None:
        """Start on a fresh connection: nothing that was answered on the last one means anything here."""
        self._connected, self._opened = True, False
        self._matcher.clear()
        self._guard.clear()

    def connection_lost(self) -> None:
        """Hold what is outstanding for the next connection; replies to what was only written are lost with this."""
        self._connected = self._opened = False
        self._matcher.clear()
        for request in [request for request in self._requests.values() if request.message is None]:
            self._lanes[request.data[0]].remove(request)
            del self._requests[request.number]
        for lane in self._lanes.values():
            lane.connection_lost()
        self.observed_missing += len(self._written)
        self._written.clear()

    def open(self) -> None:
        """Let messages flow: the peer has said hello, or has answered ours."""
        self._opened = True

    # Messages

    def accept(self, packet: Packet, *, now: float, deadline: float) -> Outgoing:
        """Take a message to deliver.

        Raises:
            QueueFull: when too many messages wait to be written.
        """
        if self.queued >= self._config.send_queue_max:
            raise QueueFull("the send queue", self._config.send_queue_max)
        message = self.make_outgoing(packet.data, now, deadline)
        message.sequence = self.request(packet, message)
        heapq.heappush(self._deadlines, (deadline, message.sequence))
        return message

    def request(self, packet: Packet, message: Outgoing | None = None) -> int:
        """Queue a packet that is to be answered, for a message or for the link itself, and return its number."""
        key = packet.answer_key
        assert key is not None, "only requests are sent as messages"
        request = Request(self._number(), packet.data, key, message)
        self._lane(packet.type).queue.append(request)
        self._requests[request.number] = request
        return request.number

    def wrote_unreliably(self, packet: Packet, *, now: float) -> int:
        """Number a message that is being written as today, and watch for its reply."""
        key, number = packet.answer_key, self._number()
        assert key is not None, "only requests are written as messages"
        self._matcher.expect(key, number)
        self._written[number] = (key, now)
        if len(self._written) > self._config.unanswered_max:
            self._give_up_observing(next(iter(self._written)))
        return number

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """End a message early; a no-op when it has ended."""
        request = self._requests.get(message.sequence)
        if request is not None and request.message is message:
            self._end(request, now, "cancelled" if request.attempts == 0 else "cancelled after it was written")

    def withdraw(self, *, now: float) -> Withdrawal:
        """Give back every unsettled message without settling it."""
        requests = [request for request in self._requests.values() if request.message is not None]
        unsettled = list(self.unsettled())
        written = sum(bool(request.attempts) for request in requests)
        for request in requests:
            self._take_out(request, now)
        return Withdrawal(unsent=unsettled[written:], in_doubt=unsettled[:written])

    def acked(self, key: Key, *, now: float) -> None:
        """Take an ack from the peer."""
        number = self._matcher.match(key)
        if number is None:
            if self._guard.explains(key, now=now):
                self.stray_acks += 1
            else:
                self.unmatched_acks += 1
            return
        written = self._written.pop(number, None)
        if written is not None:
            self._events.append(Observed(number, now - written[1]))
            return
        self._delivered(self._requests[number], now)

    # Time

    def advance(self, now: float) -> list[bytes]:
        """Settle what is overdue and return what is to be written now, in order."""
        while self._deadlines and self._deadlines[0][0] <= now:
            request = self._requests.get(heapq.heappop(self._deadlines)[1])
            if request is not None:
                self._end(request, now, "not answered by its deadline" if request.attempts else "its deadline passed")
        while self._written and self._oldest_written_at() + self._config.reply_timeout_s <= now:
            self._give_up_observing(next(iter(self._written)))
        data: list[bytes] = []
        for code, lane in self._lanes.items():
            if self._may_send(code):
                self._advance_lane(lane, now, data)
        return data

    def next_deadline(self) -> float:
        """Return when `advance` has something to do next; `math.inf` when nothing is pending."""
        while self._deadlines and self._deadlines[0][1] not in self._requests:
            heapq.heappop(self._deadlines)
        nearest = self._deadlines[0][0] if self._deadlines else math.inf
        if self._written:
            nearest = min(nearest, self._oldest_written_at() + self._config.reply_timeout_s)
        for code, lane in self._lanes.items():
            if self._may_send(code):
                nearest = min(nearest, lane.next_due())
                if lane.queue and lane.has_room:
                    nearest = min(nearest, self._guard.opens_at(lane.queue[0].key))
        return nearest

    # Inside

    def _number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _lane(self, code: int) -> Lane:
        lane = self._lanes.get(code)
        if lane is None:
            # Acks without an id can't tell two outstanding messages apart once one of them was sent again.
            has_id = TYPES[code].id_at is not None
            lane = self._lanes[code] = Lane(self._config, window=self._config.window if has_id else 1)
        return lane

    def _may_send(self, code: int) -> bool:
        return self._connected and (self._opened or code == HELLO)

    def _oldest_written_at(self) -> float:
        return self._written[next(iter(self._written))][1]

    def _advance_lane(self, lane: Lane, now: float, data: list[bytes]) -> None:
        for request in lane.due(now):
            limit = self._config.max_retries
            if math.isfinite(request.due):
                self.ack_timeouts += 1
            if limit is not None and request.resends >= limit and request.message is not None:
                self._end(request, now, f"no answer after {limit} resends")
                continue
            if not math.isfinite(request.due):
                self._matcher.expect(request.key, request.number)  # A new connection: the old wait went with the old.
            self.resends += 1
            lane.wrote(request, now)
            data.append(request.data)
        while lane.queue and lane.has_room and self._guard.opens_at(lane.queue[0].key) <= now:
            request = lane.queue[0]
            self._matcher.expect(request.key, request.number)
            lane.wrote(request, now)
            data.append(request.data)

    def _delivered(self, request: Request, now: float) -> None:
        self._lanes[request.data[0]].answered(request, now)
        self._rest(request, now, sent_again=request.resends > 0)
        del self._requests[request.number]
        if request.message is not None:
            request.message.resends = request.resends
            self._events.append(Delivered([request.message], now))

    def _end(self, request: Request, now: float, reason: str) -> None:
        """End a message without its ack: what was never written has provably not arrived."""
        self._take_out(request, now)
        message = request.message
        if message is not None:
            outcome = Outcome.INDETERMINATE if request.attempts else Outcome.NOT_DELIVERED
            message.resends = request.resends
            self._events.append(Settled(message, outcome, reason, now - message.accepted_at))

    def _take_out(self, request: Request, now: float) -> None:
        self._lanes[request.data[0]].remove(request)
        del self._requests[request.number]
        if request.attempts:
            self._matcher.forget(request.key, request.number)
            self._rest(request, now, sent_again=True)  # Its ack may still come.

    def _rest(self, request: Request, now: float, *, sent_again: bool) -> None:
        pause = self._config.resend_window_s if sent_again else self._config.settle_pause_s
        self._guard.rest(request.key, until=now + pause, now=now)

    def _give_up_observing(self, number: int) -> None:
        key, _ = self._written.pop(number)
        self._matcher.forget(key, number)
        self.observed_missing += 1
