"""The accepting end of a native link that remembers its sender over a restart.

Theory of operation. What a receiver must know of a sender is one record: whose claim on the name counts, the token of
this memory, and a mark per channel. Nothing that depends on the record leaves before the record is durable: no
welcome to an incarnation that isn't in it, no acknowledgement of a message that isn't behind its mark. An answer of
the application (`acknowledge`, `refuse`) therefore only waits here; the keeper takes what waits as one `Pending`, has
it written, together with the application's effects where there are some, and says `stored`. The mark passes only what
is answered without a gap, so what was handed out ahead of it comes again after a restart: its effect was not
committed. Refusals and skips behind the mark are in the record too, for the sender may not have heard of them. A
message for which the application is busy stays open: its sender offers it again.

Pure: `on_dirty` says that there is something to write.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from agt.transport._errors import Closed
from agt.transport._events import Event, Received
from agt.transport._message_id import CHANNEL_SHIFT
from agt.transport.durable._errors import OutOfOrder
from agt.transport.durable._inbox_record import VERSION, Mark, SenderRecord, encode_record
from agt.transport.durable._inbox_store import DeadLetter
from agt.transport.durable._progress import Progress
from agt.transport.wires.native import NativeConfig, NativeLink, Role
from agt.transport.wires.native._handshake import DURABLE
from agt.transport.wires.native._statement import RefusalCode
from agt.transport.wires.native._states import State

if TYPE_CHECKING:
    from random import Random

Run = tuple[int, int]
"""First token and count."""


class Pending(msgspec.Struct, frozen=True):
    """What the keeper has to write for one sender, and what follows from it once it is durable."""

    record: bytes
    """The sender's record."""
    dead_letters: tuple[DeadLetter, ...]
    runs: tuple[Run, ...]
    """Messages whose effects are written with it."""
    answers: tuple[tuple[int, int, str], ...]
    """First token, count and refusal code (empty: processed) of what the application has answered."""
    identity: tuple[int, int, int]
    """Epoch, memory and highest generation in the record."""


class Lane:
    """What is open on one channel, in the present incarnation of the sender."""

    __slots__ = ("ahead", "declined", "first_token", "last_token", "progress", "refused")

    def __init__(self, through: int, first_token: int) -> None:
        self.progress = Progress(through)
        self.ahead = 0
        """What a message's token is ahead of its sequence."""
        self.first_token = first_token
        """Lower tokens belong to older incarnations, and answers to them mean nothing."""
        self.last_token = first_token - 1
        self.refused: dict[int, int] = {}
        """Codes of refusals that are not durable yet."""
        self.declined: set[int] = set()
        """Messages that the application was too busy for, until they end: they come again, or their sender gives up."""


class RememberingLink(NativeLink):
    """A `NativeLink` whose answers wait for the keeper of its record."""

    features = NativeLink.features | DURABLE

    def __init__(
        self,
        name: str,
        *,
        rng: "Random",
        config: NativeConfig,
        generation_floor: int,
        record: SenderRecord | None,
        on_dirty: "Callable[[RememberingLink], None]",
    ) -> None:
        """Make a link that has no connection yet.

        Args:
            name: who we are as a sender.
            rng: draws epochs and memory tokens.
            config: limits and waits.
            generation_floor: no lower than any generation given before.
            record: what is remembered of the sender; None for a new one.
            on_dirty: called whenever there is something to `take`.
        """
        super().__init__(name, rng=rng, config=config, role=Role.ACCEPTING, generation_floor=generation_floor)
        self.stale = False
        """Whether another link stands for this sender now: answers to this one mean nothing any more."""
        self._on_dirty = on_dirty
        self._answers: list[tuple[int, int, str]] = []
        self._letters: list[DeadLetter] = []
        self._stored = (0, 0, 0)
        if record is not None:
            marks = {channel: (mark.through, mark.exceptions) for channel, mark in record.marks.items()}
            self._lanes.restore(record.epoch, record.memory, marks)
            self._claims.restore(record.generation, record.holder, record.holder_generation)
            self._stored = (record.epoch, record.memory, record.generation)
        self._known_epoch = self._lanes.peer_epoch
        self._open_lanes = [Lane(receiver.processed, 0) for receiver in self._lanes.receivers]

    # The application's side

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:  # noqa: ARG002  # As in every link.
        """Note that the application has processed messages; the sender hears of it once that is durable."""
        lane = self._open_lanes[token >> CHANNEL_SHIFT]
        if token >= lane.first_token:
            self._answers.append((token, count, ""))
            lane.progress.finish(token - lane.ahead, count)
            self._on_dirty(self)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:
        """Note that the application will not process a message; its last word on it is kept as a dead letter.

        Raises:
            UsageError: when there is no such code.
        """
        number = RefusalCode.parse(code)
        channel = token >> CHANNEL_SHIFT
        lane = self._open_lanes[channel]
        if token < lane.first_token:
            return
        if number is RefusalCode.BUSY:
            super().refuse(token, code, now=now, retry_after_s=retry_after_s)
            lane.declined.add(token - lane.ahead)
            self._follow()
            return
        sequence = token - lane.ahead
        lane.refused[sequence] = number
        payload = lane.progress.payload(sequence)
        self._letters.append(
            DeadLetter(sender=self.peer, channel=channel, sequence=sequence, code=code, payload=payload)
        )
        self._answers.append((token, 1, code))
        lane.progress.finish(sequence, 1)
        self._on_dirty(self)

    # The keeper's side

    @property
    def dirty(self) -> bool:
        """Whether there is something to take."""
        return bool(self._answers) or self._identity() != self._stored

    def take(self, runs: Sequence[Run] = ()) -> Pending:
        """Return what has to be written now: everything answered, and these messages as if they were.

        Raises:
            OutOfOrder: when an earlier message of the sender is open.
            Closed: when one is of an older incarnation of the sender, which has begun anew.
        """
        marks = {}
        for channel, lane in enumerate(self._open_lanes):
            own = [(token - lane.ahead, count) for token, count in runs if token >> CHANNEL_SHIFT == channel]
            if any(token < lane.first_token for token, _ in runs if token >> CHANNEL_SHIFT == channel):
                raise Closed(f"{self.peer!r} has begun anew; what it sent before can't be committed any more")
            try:
                through = lane.progress.through_after(own)
            except ValueError as error:
                raise OutOfOrder(self.peer, *error.args) from None
            marks[channel] = Mark(through, self._exceptions(channel, through))
        answers, self._answers = tuple(self._answers), []
        letters, self._letters = tuple(self._letters), []
        highest, holder, holder_generation = self._claims.state
        identity = self._identity()
        record = SenderRecord(VERSION, identity[0], highest, holder, holder_generation, identity[1], marks)
        return Pending(encode_record(record), letters, tuple(runs), answers, identity)

    def stored(self, pending: Pending, *, now: float) -> None:
        """What was taken is durable: tell the sender."""
        self._stored = pending.identity
        for token, count, code in pending.answers:
            if code:
                super().refuse(token, code, now=now)
                lane = self._open_lanes[token >> CHANNEL_SHIFT]
                lane.refused.pop(token - lane.ahead, None)
            else:
                super().acknowledge(token, now=now, count=count)
        for token, count in pending.runs:
            lane = self._open_lanes[token >> CHANNEL_SHIFT]
            if token >= lane.first_token:
                lane.progress.finish(token - lane.ahead, count)
                super().acknowledge(token, now=now, count=count)
        if self.dirty:
            self._on_dirty(self)
        self._follow()

    def returned(self, pending: Pending) -> None:
        """What was taken is not durable, for certain: take it again later."""
        if pending.identity[0] == self._lanes.peer_epoch:
            self._answers[:0] = pending.answers
            self._letters[:0] = pending.dead_letters

    # The connection's side

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        super().receive_data(data, now=now)
        if self._lanes.peer_epoch and self._identity() != self._stored:
            if self._lanes.peer_epoch != self._known_epoch:
                self._begin_anew()
            self._on_dirty(self)
        self._follow()

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, what should go to the peer now; nothing while whom it would welcome is not durable."""
        if self._state is State.WELCOMED and self._identity() != self._stored:
            return b""
        return super().data_to_send(now=now)

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        event = super().next_event()
        if isinstance(event, Received):
            lane = self._open_lanes[event.channel]
            lane.ahead = event.token - event.sequence
            lane.last_token = max(lane.last_token, event.token + len(event.payloads) - 1)
            lane.progress.handed(event.sequence, event.payloads)
        return event

    # Within

    def _follow(self) -> None:
        """Be done with busy messages that their sender has given up, wherever among the open ones: none comes again."""
        for receiver, lane in zip(self._lanes.receivers, self._open_lanes, strict=True):
            for sequence in [sequence for sequence in lane.declined if receiver.is_done(sequence)]:
                lane.declined.remove(sequence)
                lane.progress.finish(sequence, 1)

    def _identity(self) -> tuple[int, int, int]:
        return self._lanes.peer_epoch, self._lanes.token, self._claims.state[0]

    def _exceptions(self, channel: int, through: int) -> dict[int, int]:
        known = {**self._lanes.receivers[channel].exceptions, **self._open_lanes[channel].refused}
        return {sequence: int(code) for sequence, code in known.items() if sequence <= through}

    def _begin_anew(self) -> None:
        """Another incarnation of the sender: what is open belongs to the one before."""
        self._known_epoch = self._lanes.peer_epoch
        self._answers.clear()
        self._letters.clear()
        self._open_lanes = [
            Lane(receiver.processed, lane.last_token + 1)
            for receiver, lane in zip(self._lanes.receivers, self._open_lanes, strict=True)
        ]
