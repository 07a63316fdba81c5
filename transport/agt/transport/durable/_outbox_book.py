"""What an outbox has to write, what it is writing, and what is durable: the bookkeeping of an `OutboxLink`.

One write is on its way at a time, with everything that came since the last one; rows are deleted lazily, with the next
write. After a failed write nobody can say what the file holds behind `stored_through`: the first write after the store
was reopened has it drop all that, and writes the numbers that were given meanwhile as ended, since they were never
sent and their senders have been told.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

from agt.transport._outgoing import Outgoing
from agt.transport.durable._ledger import ChannelLedger
from agt.transport.durable._writes import OutboxWrite, Past, Segment, pack

TIDY_COUNT: Final = 1000
"""So many messages that have ended are deleted without waiting for another reason to write."""

Place = tuple[int, int]
"""Channel and sequence."""


class OutboxBook:
    """Accepted messages on their way to the disk, and what has to be noted about those that are there."""

    def __init__(self, past: Past) -> None:
        self._ledgers: dict[int, ChannelLedger] = {}
        for channel, was in past.channels.items():
            ledger = self._ledgers[channel] = ChannelLedger(was.base)
            ledger.restored(was.base + len(was.messages), sum(len(message.payload) for message in was.messages))
        self.accepted_count = 0
        """Messages accepted by this process."""
        self.stored_count = 0
        """How many of them are durable, or were."""
        self._endings: dict[Place, None] = {}
        self._bases: dict[int, int] = {}
        self._untidy = 0
        self._peer_memory = past.peer_memory
        self._new_memory = 0
        self._keep_through: dict[int, int] = {}
        self._writing: OutboxWrite | None = None
        self._writing_messages: dict[int, list[Outgoing]] = {}

    @property
    def bytes(self) -> int:
        """Bytes of the payloads that may still have to be sent."""
        return sum(ledger.bytes for ledger in self._ledgers.values())

    @property
    def writing(self) -> bool:
        """Whether a write is on its way."""
        return self._writing is not None

    @property
    def untidy(self) -> int:
        """Messages that have ended and are still in the store."""
        return self._untidy

    @property
    def holds_back(self) -> bool:
        """Whether the link must not send: something that a restarted sender has to know is not durable yet."""
        if self._endings or self._new_memory:
            return True
        return self._writing is not None and bool(self._writing.ended or self._writing.peer_memory)

    # What happens

    def accept(self, message: Outgoing, size: int) -> None:
        """Take in a message that the link has numbered."""
        ledger = self._ledgers.get(message.channel)
        if ledger is None:
            ledger = self._ledgers[message.channel] = ChannelLedger()
        ledger.accept(message, size)
        self.accepted_count += 1

    def accept_run(self, messages: Sequence[Outgoing], size: int) -> None:
        """Take in messages of one channel, of `size` bytes together."""
        if messages:
            self.accept(messages[0], size)
            self._ledgers[messages[0].channel].accepted += messages[1:]
            self.accepted_count += len(messages) - 1

    def ended(self, message: Outgoing, size: int) -> None:
        """Note that a message will not be sent (again), before its payload of `size` bytes is freed."""
        if self._ledgers[message.channel].ended(message.sequence, size):
            self._endings[message.channel, message.sequence] = None

    def noted(self, message: Outgoing) -> bool:
        """Whether a restarted sender would know that this message has ended."""
        place = (message.channel, message.sequence)
        if place in self._endings:
            return False
        writing = self._writing
        return writing is None or place not in writing.ended

    def settled(self, channel: int, base: int) -> None:
        """Note that everything up to `base` has ended."""
        ledger = self._ledgers.get(channel)
        if ledger is None:
            return
        before = ledger.base
        if ledger.settled(base):
            self._untidy += base - before
            self._bases[channel] = base

    def meet(self, memory: int) -> None:
        """Note whose memory the messages go to from now on."""
        if memory and memory != (self._new_memory or self._peer_memory):
            self._new_memory = memory

    # The store

    def next_write(self, wall_offset_s: float, *, tidy: bool = False) -> OutboxWrite | None:
        """Return everything that has to be written now; None when there is nothing, or a write is on its way.

        Args:
            wall_offset_s: what to add to a deadline of the link's clock for one of the wall clock.
            tidy: whether deleting what has ended is reason enough.
        """
        if self._writing is not None:
            return None
        due = tidy or self._untidy >= TIDY_COUNT
        accepted = any(ledger.accepted for ledger in self._ledgers.values())
        if not (accepted or self._endings or self._new_memory or self._keep_through or (due and self._bases)):
            return None
        write = self._writing = OutboxWrite(
            segments=[
                self._segment(channel, ledger, wall_offset_s)
                for channel, ledger in self._ledgers.items()
                if ledger.accepted
            ],
            ended=set(self._endings),
            bases=self._bases,
            peer_memory=self._new_memory,
            keep_through=self._keep_through,
        )
        self._endings, self._bases, self._keep_through = {}, {}, {}
        self._new_memory = self._untidy = 0
        return write

    def written(self) -> dict[int, int]:
        """The write is durable; return per channel through which sequence everything is."""
        write = self._writing
        assert write is not None, "a write was on its way"
        self.stored_count += sum(map(len, self._writing_messages.values()))
        self._writing, self._writing_messages = None, {}
        self._peer_memory = write.peer_memory or self._peer_memory
        through = {segment.channel: segment.last for segment in write.segments}
        for channel, last in through.items():
            self._ledgers[channel].stored_through = last
        return through

    def failed(self) -> tuple[list[Outgoing], list[Outgoing]]:
        """The write failed; return the messages that were in it, and those accepted since, to be ended."""
        write, self._writing = self._writing, None
        assert write is not None, "a write was on its way"
        in_it, self._writing_messages = self._writing_messages, {}
        since = [message for ledger in self._ledgers.values() for message in ledger.accepted]
        self._endings = dict.fromkeys(write.ended) | self._endings
        self._bases = write.bases | self._bases
        self._new_memory = self._new_memory or write.peer_memory
        for channel, ledger in self._ledgers.items():
            ledger.failed(in_it.get(channel, []))
            self._keep_through[channel] = ledger.stored_through
        return [message for messages in in_it.values() for message in messages], since

    def _segment(self, channel: int, ledger: ChannelLedger, wall_offset_s: float) -> Segment:
        payloads: list[bytes | None]
        if ledger.accepted_ended:
            payloads = [None if message.ending else message.payload for message in ledger.accepted]
        else:
            payloads = list(map(_payload, ledger.accepted))
        messages = self._writing_messages[channel] = ledger.submit()
        body = pack(wall_offset_s, messages[0].accepted_at, list(map(_deadline, messages)), payloads)
        return Segment(channel, messages[0].sequence, len(messages), body)


_payload: Callable[[Outgoing], bytes] = attrgetter("payload")
_deadline: Callable[[Outgoing], float] = attrgetter("deadline")
