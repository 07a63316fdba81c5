"""The oracle's book: what senders were told and what applications did, and the rules that must hold between the two.

No link ever sees this. Hosts write into it what happened at their edges; each entry is checked at once, so that a
broken promise is found at the event that broke it.
"""

from dataclasses import dataclass, field

from agt.transport import Outcome

LATE_S = 1e-6
"""What floating point may add to a deadline."""


class BrokenPromise(AssertionError):
    """Raised when a rule of the book is broken; says which."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


@dataclass(slots=True)
class Entry:
    """One message, as sender and receiver saw it."""

    key: str
    sender: str
    """The incarnation of a host that sent it."""
    receiver: str
    """The name of the host it is for."""
    number: int
    """Its place among the messages of that sender to that receiver."""
    deadline: float
    handed: int = 0
    """How often an application got it."""
    processed: bool = False
    refused: bool = False
    channel: int = 0
    """The ordered channel it goes through."""
    busy: int = 0
    """How often an application that got it had no time for it: as often it may come again."""
    outcome: Outcome | None = None
    reason: str = ""
    applied: bool = False
    """Whether its effect is on the receiver's disk, where the receiver commits."""
    handed_to: str = ""
    """The process that committed or may still commit it, where the receiver commits; empty elsewhere."""
    withdrawn: str = ""
    """`unsent` or `in doubt` when it was taken back; empty otherwise."""
    durable: bool = False
    """Whether it went through an outbox."""
    stored: bool = False
    """Whether that outbox has it on its disk."""
    given_up: bool = False
    """Whether that outbox has noted that it will not be sent (again)."""


@dataclass(slots=True)
class Book:
    """All messages of one world."""

    recognises_resends: bool = True
    """Whether the wire promises to hand nothing out twice, in order (native does, cync doesn't)."""
    entries: dict[str, Entry] = field(default_factory=dict)
    _open: dict[str, Entry] = field(default_factory=dict)
    _last_handed: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _receivers: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _last_applied: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _holders: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def sent(self, entry: Entry) -> None:
        """A link has taken a message."""
        self.entries[entry.key] = self._open[entry.key] = entry

    def handed(self, key: str, receiver: str, *, commits: bool = False) -> None:
        """An application (of this incarnation of a host) got a message; if it commits, the next process may again."""
        entry = self.entries.get(key)
        if entry is None:
            raise BrokenPromise("nothing from nowhere", f"{receiver} got {key!r}, which nobody sent")
        if commits and entry.handed_to != receiver:
            entry.handed = entry.busy = 0
            entry.handed_to = receiver
        entry.handed += 1
        if entry.durable and not entry.stored:
            raise BrokenPromise("stored before it goes out", f"{key} came to {receiver}, and a crash would lose it")
        if entry.outcome is Outcome.NOT_DELIVERED:
            raise BrokenPromise("not delivered never arrives", f"{key} was {entry.reason!r} and came to {receiver}")
        if entry.withdrawn == "unsent":
            raise BrokenPromise("withdrawn unsent never arrives", f"{key} came to {receiver}")
        if self.recognises_resends:
            self._check_stream(entry, receiver)

    def _check_stream(self, entry: Entry, receiver: str) -> None:
        """Hold that a message came once, in its place among those of its channel, from the sender that counts."""
        key = entry.key
        if entry.applied:
            raise BrokenPromise("applied once", f"{key} came to {receiver} after its effect was committed")
        if entry.handed > 1 + entry.busy:
            raise BrokenPromise("at most once", f"{key} came to {receiver} again")
        stream = (entry.sender, entry.handed_to or entry.receiver, entry.channel)
        if entry.handed == 1 and self._is_latest(entry, receiver) and entry.number <= self._last_handed.get(stream, -1):
            raise BrokenPromise("in order", f"{key} came to {receiver} after {self._last_handed[stream]}")
        self._last_handed[stream] = max(entry.number, self._last_handed.get(stream, -1))
        if not entry.handed_to:
            self._check_holder(entry, receiver)

    def _is_latest(self, entry: Entry, receiver: str) -> bool:
        """Whether no newer process of the receiver has got anything: what an older one gets late keeps no order."""
        seen = self._receivers.setdefault((entry.sender, entry.receiver), [])
        if receiver not in seen:
            seen.append(receiver)
        return receiver == seen[-1]

    def _check_holder(self, entry: Entry, receiver: str) -> None:
        name = entry.sender.partition("#")[0]
        holders = self._holders.setdefault((name, receiver), [])
        if not holders or holders[-1] != entry.sender:
            if entry.sender in holders:
                raise BrokenPromise("a fenced process stays out", f"{entry.key} came to {receiver} after {holders[-1]}")
            holders.append(entry.sender)

    def processed(self, key: str) -> None:
        """An application is done with a message; noted before its link hears of it."""
        self.entries[key].processed = True

    def applied(self, key: str) -> None:
        """The effect of a message was committed, together with the mark behind it."""
        entry = self.entries[key]
        if entry.applied:
            raise BrokenPromise("applied once", f"the effect of {key} was committed again")
        if entry.outcome is Outcome.NOT_DELIVERED:
            raise BrokenPromise("not delivered never arrives", f"{key} was {entry.reason!r} and has an effect")
        stream = (entry.sender, entry.receiver, entry.channel)
        if entry.number <= self._last_applied.get(stream, -1):
            raise BrokenPromise("in order", f"{key} was committed after {self._last_applied[stream]}")
        self._last_applied[stream] = entry.number
        entry.applied = entry.processed = True
        # Where records outlive processes, so does the fence: it stands with the first commit.
        self._check_holder(entry, entry.receiver)

    def was_busy(self, key: str) -> None:
        """An application has no time for a message; noted before its link hears of it."""
        self.entries[key].busy += 1

    def refused(self, key: str) -> None:
        """An application refuses a message; noted before its link hears of it."""
        self.entries[key].refused = True

    def settled(self, key: str, outcome: Outcome, reason: str, now: float) -> None:
        """A sender was told how a message ended."""
        entry = self.entries[key]
        if entry.outcome is not None or entry.withdrawn:
            raise BrokenPromise("settled once", f"{key} was {entry.outcome or entry.withdrawn}, now {outcome}")
        entry.outcome, entry.reason = outcome, reason
        del self._open[key]
        if now > entry.deadline + LATE_S:
            raise BrokenPromise("every send ends by its deadline", f"{key} ended {now - entry.deadline:.3f} s late")
        if outcome is Outcome.DELIVERED and not entry.processed:
            raise BrokenPromise("delivered means processed", f"{key} was never processed")
        arrived = entry.applied if entry.handed_to else entry.handed > entry.busy
        if outcome is Outcome.NOT_DELIVERED and arrived and not entry.refused:
            raise BrokenPromise("not delivered never arrives", f"{key} had come, yet ended as {reason!r}")

    def withdrawn(self, key: str, how: str) -> None:
        """A sender took a message back."""
        entry = self.entries[key]
        if entry.outcome is not None:
            raise BrokenPromise("settled once", f"{key} was {entry.outcome} and withdrawn")
        entry.withdrawn = how
        del self._open[key]

    def stored(self, key: str) -> None:
        """An outbox has a message on its disk."""
        self.entries[key].stored = True

    def given_up(self, key: str) -> None:
        """An outbox has noted on its disk that a message will not be sent (again)."""
        self.entries[key].given_up = True

    def restored(self, sender: str, keys: set[str], now: float) -> None:
        """A sender came back over its outbox, and goes on with these messages."""
        for entry in [entry for entry in self.entries.values() if entry.sender == sender]:
            if entry.key in keys:
                if entry.outcome is Outcome.NOT_DELIVERED or entry.withdrawn == "unsent":
                    raise BrokenPromise("given up stays given up", f"{entry.key} is back after a crash")
                entry.outcome, entry.withdrawn = None, ""
                entry.deadline = max(entry.deadline, now)
                self._open[entry.key] = entry
            elif self._open.pop(entry.key, None) is not None:
                ended = entry.given_up or entry.processed or entry.refused
                if entry.stored and not ended:
                    raise BrokenPromise("what is stored survives", f"{entry.key} is gone after a crash")

    def check_ended(self, alive: set[str], now: float) -> None:
        """Hold that everything sent by an incarnation that still lives has ended if its deadline has passed."""
        for entry in self._open.values():
            if entry.sender in alive and entry.deadline < now:
                raise BrokenPromise("every send ends by its deadline", f"{entry.key} never ended")

    def waits_for(self, alive: set[str]) -> bool:
        """Whether a sender that still lives waits to be told how a message ended."""
        return any(entry.sender in alive for entry in self._open.values())

    def outcomes(self) -> dict[str, int]:
        """Count the messages by how they ended; those of crashed senders are `untold`."""
        counts: dict[str, int] = {}
        for entry in self.entries.values():
            word = entry.outcome.value if entry.outcome else "withdrawn" if entry.withdrawn else "untold"
            counts[word] = counts.get(word, 0) + 1
        return dict(sorted(counts.items()))
