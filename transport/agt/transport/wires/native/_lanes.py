"""The channels of one link, side by side: a sender and a receiver each, and the one memory of the peer they share.

Channels know nothing of each other, so one whose application stalls, or whose message has to wait, holds up no other.
A connection uses as many as both sides have; what was queued for one that the peer doesn't have ends when it is met.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from agt.transport._errors import PeerViolation, UsageError
from agt.transport._events import Delivered, Received, Settled
from agt.transport._link import Withdrawal
from agt.transport._message_id import CHANNEL_SHIFT, new_epoch
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._rtt import RoundTrip
from agt.transport.wires.native._config import NativeConfig
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._receiver import Receiver
from agt.transport.wires.native._sender import Limits, Sender
from agt.transport.wires.native._statement import RefusalCode

if TYPE_CHECKING:
    from random import Random

TOKEN_BITS = 62


class Lanes:
    """What one link has to say and has heard, on all of its channels."""

    def __init__(
        self,
        config: NativeConfig,
        counters: LinkCounters,
        emit: Callable[[Delivered | Settled | Received], None],
        round_trip: RoundTrip,
        *,
        rng: "Random",
        epoch: int,
        sender_class: type[Sender],
    ) -> None:
        self._rng = rng
        self._turn_bytes_max = config.turn_bytes_max
        self.epoch = epoch
        """The incarnation of this outbox."""
        self.token = draw_token(rng)
        """Names our memory of the peer's messages: a sender that meets another one has been forgotten."""
        self.peer_epoch = 0
        """Whose messages that memory is about; 0 before the first."""
        self._first = 0
        self.used = config.channels
        """How many channels the present, or the last, connection has."""
        self.senders = [
            sender_class(config, round_trip, counters, emit, epoch=epoch, channel=channel)
            for channel in range(config.channels)
        ]
        self.receivers = [
            Receiver(config.recv_window, config.recv_window_bytes, counters, emit, channel=channel)
            for channel in range(config.channels)
        ]

    # What can be known

    @property
    def make_outgoing(self) -> MakesOutgoing:
        """Makes each message."""
        return self.senders[0].make_outgoing

    @make_outgoing.setter
    def make_outgoing(self, make: MakesOutgoing) -> None:
        for sender in self.senders:
            sender.make_outgoing = make

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return sum(sender.in_flight for sender in self.senders)

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return sum(sender.queued for sender in self.senders)

    @property
    def oldest_at(self) -> float:
        """When the oldest unsettled message was accepted; `math.inf` when there is none."""
        return min(sender.oldest_at for sender in self.senders)

    @property
    def received_idle(self) -> bool:
        """Whether the application holds no message of the peer."""
        return all(receiver.idle for receiver in self.receivers)

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended: first what was written, then what was not."""
        if len(self.senders) == 1:
            return self.senders[0].unsettled()
        messages = list(chain.from_iterable(sender.unsettled() for sender in self.senders))
        return iter(sorted(messages, key=lambda message: not message.sequence))

    def settled_through(self) -> tuple[int, ...]:
        """Return, per channel, through which sequence everything has ended."""
        return tuple(sender.settled_through for sender in self.senders)

    def received_through(self) -> tuple[int, ...]:
        """Return, per channel, through which sequence everything has arrived."""
        return tuple(receiver.accepted for receiver in self.receivers)

    # The application's side

    def sender(self, channel: int) -> Sender:
        """Return one channel's sender.

        Raises:
            UsageError: when there is no such channel.
        """
        if not 0 <= channel < len(self.senders):
            raise UsageError(f"there is no channel {channel}; there are {len(self.senders)}, from 0")
        return self.senders[channel]

    def withdraw(self) -> Withdrawal:
        """Give everything unsettled back."""
        taken = [sender.withdraw() for sender in self.senders]
        if len(taken) == 1:
            return taken[0]
        return Withdrawal(
            list(chain.from_iterable(withdrawal.unsent for withdrawal in taken)),
            list(chain.from_iterable(withdrawal.in_doubt for withdrawal in taken)),
        )

    def refuse(self, token: int, code: RefusalCode, retry_after_s: float) -> None:
        """Note that the application will not process a message."""
        self.receivers[token >> CHANNEL_SHIFT].refuse(token, code, retry_after_s)

    def set_window(self, window: int, window_bytes: int, channel: int | None) -> None:
        """Take more or less from now on, on one channel or on all."""
        for receiver in self.receivers if channel is None else self.receivers[channel : channel + 1]:
            receiver.set_window(window, window_bytes)

    # The connection's side

    def remember(self, epoch: int, settled_through: Sequence[int], *, renew_token: bool) -> bool:
        """Meet a sender: keep the record if it is about this incarnation, else begin one; true when kept.

        A new record begins where the sender has settled. `renew_token` says that the sender learns the token only
        from our answer, so that a new record can have a new one.
        """
        kept = epoch == self.peer_epoch
        if not kept and renew_token:
            self.token = draw_token(self._rng)
        self.peer_epoch = epoch
        for receiver, settled in zip_longest(self.receivers, settled_through[: len(self.receivers)], fillvalue=0):
            assert isinstance(receiver, Receiver), "there are no more settled channels than receivers"
            if kept:
                # It was settled elsewhere meanwhile (another receiver under our name); it never comes here.
                receiver.pass_over(settled)
            else:
                receiver.begin(epoch, settled)
        return kept

    def restore(self, epoch: int, token: int, marks: Mapping[int, tuple[int, Mapping[int, int]]]) -> None:
        """Go on from what an earlier receiver of this name knew of a sender.

        Args:
            epoch: whose messages it is about.
            token: the name of that memory.
            marks: per channel, through where everything was done with, and the exceptions that may be unknown.
        """
        self.peer_epoch, self.token = epoch, token
        for channel, receiver in enumerate(self.receivers):
            receiver.restore(epoch, *marks.get(channel, (0, {})))

    def forgotten(self, now: float) -> None:
        """Settle what was in flight towards a receiver that has lost its memory."""
        for sender in self.senders:
            sender.forgotten(now)

    def resume(self, received_through: Sequence[int] | None, channels: int, limits: Limits, now: float) -> None:
        """Start on a connection.

        Args:
            received_through: what the peer has, per channel; None when it remembers nothing.
            channels: how many channels the peer has.
            limits: what it takes on each.
            now: the time.

        Raises:
            PeerViolation: when that can't be.
        """
        self.used = min(channels, len(self.senders))
        for channel, sender in enumerate(self.senders):
            if channel >= self.used:
                sender.end_all(f"the peer has {channels} channels, from 0", now)
                continue
            known = received_through is not None and channel < len(received_through)
            through = received_through[channel] if known and received_through is not None else sender.settled_through
            sender.resume(through, limits, now=now)

    def drain(self) -> None:
        """Write nothing new on this connection any more."""
        for sender in self.senders:
            sender.drain()

    def connection_lost(self) -> None:
        """Stop writing."""
        for sender in self.senders:
            sender.connection_lost()

    def end_all(self, reason: str, now: float) -> None:
        """Settle everything at once: no connection will ever carry it."""
        for sender in self.senders:
            sender.end_all(reason, now)

    def check(self, channel: int) -> None:
        """Hold that the connection has a channel.

        Raises:
            PeerViolation: when it has not.
        """
        if channel >= self.used:
            raise PeerViolation(f"a frame on channel {channel}; there are {self.used}, from 0")

    def ask_for_statements(self) -> None:
        """Tell the peer everything: it may have lost our last word."""
        for receiver in self.receivers[: self.used]:
            receiver.ack_due = True

    def statements(self) -> list[bytes]:
        """Return ACK frames with everything that the peer may not know."""
        return list(chain.from_iterable(receiver.statement() for receiver in self.receivers[: self.used]))

    def write(self, parts: list[bytes], now: float) -> None:
        """Append what should go to the peer now: acknowledgements, then messages, about a turn's worth of bytes."""
        budget = self._turn_bytes_max
        used = self.used
        self._first = first = (self._first + 1) % used  # Each is first in its turn, should they have much to say.
        for place in (0,) if used == 1 else (*range(first, used), *range(first)):
            receiver, sender = self.receivers[place], self.senders[place]
            more = budget > 0 and sender.has_more
            ack_due = receiver.ack_due
            if ack_due and (not more or receiver.needs_statement()):
                parts += receiver.statement()
                ack_due = False
            if more:
                written = len(parts)
                budget = sender.write(parts, receiver.ack_anywhere(), budget, now)
                if ack_due and len(parts) == written:
                    parts += receiver.statement()  # No frame carried it.
            receiver.ack_due = False

    # Time

    def next_deadline(self) -> float:
        """When `handle_timer` has something to do."""
        senders = self.senders
        return senders[0].due_at if len(senders) == 1 else min(sender.due_at for sender in senders)

    def handle_timer(self, now: float) -> bool:
        """Do what is due; true when the peer should be asked for an acknowledgement with a ping."""
        ask = False
        for sender in self.senders:
            ask |= sender.handle_timer(now)
        return ask


def draw_token(rng: "Random") -> int:
    """Draw a token, or whatever else must not come twice; never 0, which means none."""
    return rng.getrandbits(TOKEN_BITS) + 1


def draw_epoch(rng: "Random", created_ms: int) -> int:
    """Draw an epoch: by the time where that is given, so that ids sort, else by chance alone."""
    return new_epoch(created_ms, rng) if created_ms else draw_token(rng)
