"""What becomes of a device's messages when its path is left: taken back, decided, sent on in order.

What is right for order, and why. A device's messages must reach it in the order in which they were accepted:

- While a path drains, new messages are held, so nothing overtakes what is still on the old path. Draining lasts
  as long on a wire without a barrier as on one with replies: only silence keeps two sockets in order. On a
  `sequence` wire it is short, because there the device itself drops what comes twice or late.
- What was taken back goes first, in its old order; then what was held.
- What is in doubt is sent again under the same number on `sequence` (the device drops the double); on `ack` as
  the message class chose; on `half-close` and `none` never, since nobody could tell the double from a new message.
- Where no watermark drops what comes late, only the newest run is sent again of which every message may be. One that
  may not (its class says so, its deadline has passed, its path had given it up) may have arrived all the same, and
  whatever was before it would put an older state over its newer one. So that is reported, too.
- A legacy path has told its senders `written` already, and nothing takes that back. Its unanswered *tail* (no
  reply to it or to anything written later) is sent again under the same rules, as a repetition that belongs to no
  handle. An unanswered message with an answered one behind it is never sent again: the device has moved on, and
  the repetition would put an older state over a newer one. Whatever a move leaves unanswered and can't repeat is
  counted in its receipt and named in the ledger. Where a connection is lost and no move is under way, nothing is
  repeated: that is control as it always was.
"""

from collections.abc import Callable, Sequence, Set
from functools import partial

from agt.router._batch import MoveBatch
from agt.router._counts import Anomaly
from agt.router._device import Device, Parcel
from agt.router._ledger import Ledger
from agt.router._path import InDoubt, Message, Path, joint_barrier
from agt.router._relay import Relay
from agt.transport import Barrier, Delivery, Outcome, Outgoing


class Handover:
    """Carries messages from the path that is left to the one that comes."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self.resent = 0
        """Messages sent again by moves, since the start."""
        self.indeterminate = 0
        """Messages in doubt that moves reported, since the start."""
        self.unconfirmed = 0
        """Written messages that moves left unanswered and could not repeat, since the start."""
        self._ledger, self._clock = ledger, clock
        self._repetitions: set[Delivery] = set()
        self._sent_again: set[Delivery] = set()
        """Those that were in doubt before: wherever they are taken back from, even unsent, they still are."""

    def take_back(self, device: Device, path: Path, *, now: float) -> bool:
        """Take everything back from the path that is left, and decide what is in doubt.

        Returns:
            Whether something may still arrive by that path, at a device that could not tell that it is late.
        """
        # Within one path, what was written is older than what was not.
        withdrawn = path.withdraw()
        barrier = joint_barrier(path, device.path_of(device.target))
        # A device that only dials again takes its unanswered tail along where it drops doubles; else legacy's is gone.
        if device.target != device.runtime or device.vetoed or barrier is Barrier.SEQUENCE:
            self._take_written(device, (*withdrawn.passed, *withdrawn.written), len(withdrawn.passed), barrier, now)
        doubtful = (*withdrawn.in_doubt, *(each for each in withdrawn.unsent if each[1] in self._sent_again))
        unsent = [each for each in withdrawn.unsent if each[1] not in self._sent_again]
        self._take_doubtful(device, doubtful, withdrawn.given_up, barrier, now)
        device.taken.extend(Parcel(m, self._handle(one), now + m.deadline_s) for m, one in unsent)
        return withdrawn.cut_off and barrier is not Barrier.SEQUENCE

    def send_on(self, device: Device, path: Path, *, now: float) -> None:
        """Send what was taken back, then what was held, over the owner's path, in order."""
        parcels = (*device.taken, *device.held)
        device.taken.clear()
        device.held.clear()
        # What was taken back for a path that shares the watermark may find that another one has come.
        first = repeatable_from([_bears(path.barrier, parcel, now=now) for parcel in parcels])
        for place, parcel in enumerate(parcels):
            if parcel.expires_at <= now:
                self._give_up(device, parcel, "its deadline passed while the device moved")
            elif parcel.doubtful is not None and place < first:
                self._refuse(device, parcel, f"in doubt, and {device.runtime} could not tell what comes late")
            else:
                self._send(device, path, parcel, now=now)

    def expire(self, device: Device, *, now: float) -> None:
        """Settle what waits for a path that doesn't come."""
        taken = tuple(device.taken)
        late = [parcel for parcel in (*taken, *device.held) if parcel.expires_at <= now]
        if not late:
            return
        first = repeatable_from([_bears(Barrier.SEQUENCE, parcel, now=now) for parcel in taken])
        passed = [parcel for parcel in taken[:first] if parcel.doubtful is not None and parcel.expires_at > now]
        unsent = [parcel for parcel in taken[:first] if parcel.doubtful is None]
        device.taken = [parcel for parcel in (*unsent, *taken[first:]) if parcel.expires_at > now]
        device.held = type(device.held)(parcel for parcel in device.held if parcel.expires_at > now)
        for parcel in late:
            self._give_up(device, parcel, "its deadline passed while the device waited for an attachment")
        for parcel in passed:
            self._refuse(device, parcel, "in doubt, and the deadline of a later one passed")

    def close(self, device: Device) -> None:
        """Settle everything of a device that is gone."""
        parcels = (*device.taken, *device.held)
        device.taken.clear()
        device.held.clear()
        for parcel in parcels:
            self._give_up(device, parcel, "the device is gone")

    def _take_written(
        self, device: Device, messages: tuple[Message, ...], passed: int, barrier: Barrier, now: float
    ) -> None:
        """Repeat the unanswered tail where the barrier bears it; name the rest, of which `passed` come first."""
        first = max(passed, _first_again([may_resend(message, barrier) for message in messages], barrier))
        for place, message in enumerate(messages):
            if place >= first:
                device.taken.append(Parcel(message, None, now + message.deadline_s, barrier))
            elif barrier is not Barrier.SEQUENCE:
                self._unconfirmed(device, message, f"written on {device.runtime}, unanswered when the device left it")

    def _take_doubtful(
        self,
        device: Device,
        doubtful: Sequence[tuple[Message, Delivery]],
        given_up: Set[Outgoing],
        barrier: Barrier,
        now: float,
    ) -> None:
        """Keep what is in doubt and may be sent again, report the rest."""
        first = _first_again([may_resend(m, barrier) and one not in given_up for m, one in doubtful], barrier)
        for place, (message, delivery) in enumerate(doubtful):
            if delivery in given_up:  # No move's doing, so no receipt counts it.
                delivery.settle(Outcome.INDETERMINATE, reason=delivery.ending or "given up")
            elif place >= first:
                handle = self._handle(delivery)
                device.taken.append(Parcel(message, handle, now + message.deadline_s, barrier))
            else:
                self._doubted(device, delivery, f"in doubt when the device left {device.runtime}")

    def _send(self, device: Device, path: Path, parcel: Parcel, *, now: float) -> None:
        runtime, outer = device.runtime, parcel.delivery
        inner = path.send(parcel.message.within(parcel.expires_at - now))
        inner.runtime = runtime
        if parcel.doubtful is not None:
            self._count_resent(device)
            self._sent_again.add(inner)
            inner.add_done_callback(self._sent_again.discard)
        if outer is None:
            self._ledger.resent(device.name, runtime)
            self._repetitions.add(inner)
            inner.add_done_callback(partial(self._repeated, device.name, parcel.message.number))
            return
        if outer.runtime != runtime:
            self._ledger.crossed(device.name, outer.runtime, runtime)
            outer.runtime = runtime
        inner.add_done_callback(Relay(outer, resends=int(parcel.doubtful is not None), since=now, clock=self._clock))

    def _repeated(self, device: str, number: int, inner: Delivery) -> None:
        """Note a repetition of a written message that did not arrive either."""
        self._repetitions.discard(inner)
        if inner.outcome not in (Outcome.DELIVERED, Outcome.WRITTEN):
            says = f"written on legacy, sent again by a move, {inner.outcome}: {inner.reason}"
            self._ledger.note(
                Anomaly(device=device, number=number, runtime=inner.runtime, kind="repetition", says=says)
            )

    def _handle(self, delivery: Delivery) -> Delivery | None:
        """Return whom a message that was taken back belongs to; a repetition stays one, however often it moves."""
        self._sent_again.discard(delivery)  # Its parcel says from now on whether it is in doubt.
        if delivery not in self._repetitions:
            return delivery
        self._repetitions.discard(delivery)
        return None

    def _give_up(self, device: Device, parcel: Parcel, reason: str) -> None:
        """End what nobody wants any more; no move's doing, so no receipt counts it, but the ledger names it."""
        if parcel.delivery is None:
            self._name(device, parcel.message, f"written, to be sent again by a move: {reason}")
        else:
            outcome = Outcome.NOT_DELIVERED if parcel.doubtful is None else Outcome.INDETERMINATE
            parcel.delivery.settle(outcome, reason=reason)

    def _refuse(self, device: Device, parcel: Parcel, reason: str) -> None:
        """End what was in doubt and can't be sent again after all."""
        if parcel.delivery is None:
            self._unconfirmed(device, parcel.message, reason)
        else:
            self._doubted(device, parcel.delivery, reason)

    def _doubted(self, device: Device, delivery: Delivery, reason: str) -> None:
        if delivery not in self._repetitions:  # Their senders were told `written` long ago.
            self.indeterminate += 1
            receipt = _receipt(device)
            if receipt is not None:
                receipt.indeterminate += 1
        delivery.settle(Outcome.INDETERMINATE, reason=reason)

    def _unconfirmed(self, device: Device, message: Message, says: str) -> None:
        self.unconfirmed += 1
        receipt = _receipt(device)
        if receipt is not None:
            receipt.unconfirmed += 1
        self._name(device, message, says)

    def _name(self, device: Device, message: Message, says: str) -> None:
        self._ledger.note(
            Anomaly(device=device.name, number=message.number, runtime=device.runtime, kind="unconfirmed", says=says)
        )

    def _count_resent(self, device: Device) -> None:
        self.resent += 1
        receipt = _receipt(device)
        if receipt is not None:
            receipt.resent += 1


def may_resend(message: Message, barrier: Barrier) -> bool:
    """Tell whether a message in doubt may be sent again over a path that keeps this barrier."""
    if barrier is Barrier.SEQUENCE:
        return True
    return barrier is Barrier.ACK and message.in_doubt is InDoubt.RESEND


def repeatable_from(again: Sequence[bool]) -> int:
    """Return where the newest run begins that may be sent again; of messages in order, whether each of them may."""
    return max((place for place, may in enumerate(again, start=1) if not may), default=0)


def _first_again(again: Sequence[bool], barrier: Barrier) -> int:
    """The same for a barrier: a watermark drops whatever comes late, so there nothing stands in another's way."""
    return 0 if barrier is Barrier.SEQUENCE else repeatable_from(again)


def _bears(barrier: Barrier, parcel: Parcel, *, now: float) -> bool:
    """Whether a path with this barrier leaves what was before a parcel free to be sent again."""
    if parcel.doubtful is None or (barrier is parcel.doubtful is Barrier.SEQUENCE):
        return True
    return may_resend(parcel.message, Barrier.ACK) and parcel.expires_at > now


def _receipt(device: Device) -> MoveBatch | None:
    """Return the receipt of the device's present move, or of the one that has left it waiting."""
    return device.batch if device.batch is not None else device.last_batch
