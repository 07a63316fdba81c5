"""What one channel writes: skips and offers beside the stream, then resends, then new messages, in runs."""

import math
from itertools import groupby, islice
from typing import Final

from agt.transport._outgoing import Outgoing
from agt.transport.wires.native._backlog import Backlog
from agt.transport.wires.native._frames import BATCH_COUNT, BATCH_OVERHEAD, FrameType, append_messages, encode_frame
from agt.transport.wires.native._statement import encode_skip

SAMPLE_EVERY_S: Final = 0.005
"""How often the round trip is measured, at most."""
_DATA: Final = int(FrameType.DATA)


class Writing(Backlog):
    """The frames of one channel's messages."""

    __slots__ = ()

    @property
    def has_more(self) -> bool:
        """Whether `write` would write something now."""
        if not self._open:
            return False
        if self._next <= self._last:
            return bool(self._next <= self._base + self._limit or self._skips or self._offers)
        return bool((self._queue and self._room() > 0) or self._skips or self._offers)

    def write(self, parts: list[bytes], ack: int, budget: int, now: float) -> int:
        """Append the frames that may be written now, about `budget` bytes of them; return what is left of it."""
        if self._skips:
            self._write_skips(parts, ack)
        while self._offers and budget > 0:
            budget -= self._write_offers(parts, ack)
        while self._next <= self._last and self._next <= self._base + self._limit and budget > 0:
            budget -= self._write_again(parts, ack)
        room = self._room()
        if not self._queue or room <= 0 or budget <= 0 or self._next <= self._last:
            return budget
        # A sample every few milliseconds says as much as one for each message.
        if not self._timed and now - self._sampled_at > SAMPLE_EVERY_S:
            self._timed, self._timed_at = self._last + 1, now
        if self._resend_at == math.inf:
            self._arm_first(now)
        while room > 0 and budget > 0:
            budget -= self._write_new(parts, ack, room)
            room = self._room() if self._queue else 0
        self._next = self._last + 1
        return budget

    # Within

    def _arm_first(self, now: float) -> None:
        self._resend_at = now + self._round_trip.timeout_s
        self.due_at = min(self.due_at, self._resend_at)

    def _room(self) -> int:
        """How many more messages may be written now."""
        flying = self._flying_bytes
        if flying and self._queue and flying + len(self._queue[0].payload) > self._limit_bytes:
            return 0
        if self._draining or self._postponed.waiting:
            return 0
        return self._base + self._limit - self._last

    def _write_skips(self, parts: list[bytes], ack: int) -> None:
        """Tell, beside the stream, what was given up after it had been written; runs go as one frame."""
        pending = sorted({sequence for sequence in self._skips if self._base < sequence < self._next})
        self._skips.clear()
        for _, run in groupby(enumerate(pending), key=lambda pair: pair[1] - pair[0]):
            sequences = [sequence for _, sequence in run]
            parts.append(encode_skip(sequences[0], sequences[-1], ack, self._channel))

    def _write_new(self, parts: list[bytes], ack: int, room: int) -> int:
        """Write one frame of messages from the queue, at most `room` of them; return its size."""
        queue = self._queue
        limit = min(self._batch_bytes, max(1, self._limit_bytes - self._flying_bytes))
        count = len(queue)
        if count > 1:
            count = min(count, room, self._fitting(queue[0], limit))
        if count == 1:
            return self._write_one(parts, ack, queue.pop(0))
        entries = queue[:count]
        payloads = [entry.payload for entry in entries]
        fitting, size = append_messages(parts, self._last + 1, ack, payloads, self._channel, limit)
        del entries[fitting:]
        del queue[:fitting]
        last = self._last
        for entry in entries:
            last += 1
            entry.sequence = last
        self._window += entries
        self._last = last
        self._flying_bytes += size
        self._cuts.append((last, size))
        return size

    def _write_one(self, parts: list[bytes], ack: int, entry: Outgoing) -> int:
        """Write the frame of a message that goes alone; return its size."""
        self._last = entry.sequence = self._last + 1
        frame = encode_frame(_DATA, self._last, ack, entry.payload, channel=self._channel)
        size = len(frame)
        parts.append(frame)
        self._window.append(entry)
        self._flying_bytes += size
        self._cuts.append((self._last, size))
        return size

    def _write_offers(self, parts: list[bytes], ack: int) -> int:
        """Write a frame of messages that are offered again; return its size."""
        offers = self._offers
        run = [offers[0]]
        for entry in offers[1 : self._fitting(offers[0], self._batch_bytes)]:
            if entry.sequence != run[-1].sequence + 1:
                break
            run.append(entry)
        if any(entry.ending or entry.told for entry in run):
            run = [entry for entry in run[:1] if not (entry.ending or entry.told)]
            if not run:
                del offers[0]  # It was given up meanwhile, and a skip has said so.
                return 0
        payloads = [entry.payload for entry in run]
        count, size = append_messages(parts, run[0].sequence, ack, payloads, self._channel, self._batch_bytes)
        for entry in run[:count]:
            entry.resends += 1
        self._counters.resends += count
        del offers[:count]
        return size

    def _fitting(self, entry: Outgoing, limit: int) -> int:
        """How many messages fit one frame if all are like this one; were the others larger, fewer will go."""
        return max(1, min(BATCH_COUNT, (limit - BATCH_OVERHEAD) // (len(entry.payload) + BATCH_OVERHEAD)))

    def _write_again(self, parts: list[bytes], ack: int) -> int:
        """Write a frame of resends, or one SKIP over a run of given-up sequences, at `next`; return its size."""
        first = self._next
        place, limit = first - self._base - 1, self._batch_bytes
        coming = islice(self._window, place, place + self._fitting(self._window[place], limit))
        skipping, run = next((bool(given_up), list(run)) for given_up, run in groupby(coming, lambda e: bool(e.ending)))
        if skipping:
            parts.append(encode_skip(first, first + len(run) - 1, ack, self._channel))
            self._next = first + len(run)
            return len(parts[-1])
        payloads = [entry.payload for entry in run]
        count, size = append_messages(parts, first, ack, payloads, self._channel, limit)
        for entry in run[:count]:
            entry.resends += 1
        self._counters.resends += count
        self._next = first + count
        return size
