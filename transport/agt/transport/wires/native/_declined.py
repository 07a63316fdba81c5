"""Messages that the application was too busy for: open again at the receiver, until their sender offers them again.

How often each was declined goes to the sender, so that a statement that was made before it offered the message again
is not taken for another refusal.
"""

from collections.abc import Iterator

from agt.transport.wires.native._statement import RETRY_MAX_MS, TIMES_MAX, RefusalCode


class Declined:
    """The declined sequences of one channel."""

    __slots__ = ("_retry_ms", "_unseen", "open", "times")

    def __init__(self) -> None:
        self.times: dict[int, int] = {}
        """How often each was declined, of those that are not done with."""
        self._retry_ms = 0
        self._unseen: set[int] = set()
        self.open: set[int] = set()
        """Those whose message is to come again; the application doesn't have it."""

    def clear(self) -> None:
        """Begin anew."""
        self.times.clear()
        self._unseen.clear()
        self.open.clear()

    def is_open(self, sequence: int) -> bool:
        """Whether this message is to come again."""
        return sequence in self.open

    def add(self, sequence: int, retry_after_s: float) -> None:
        """Note that the application has no time for a message that it was handed."""
        if sequence not in self.open:
            self.open.add(sequence)
            self.times[sequence] = min(self.times.get(sequence, 0) + 1, TIMES_MAX)
        self._unseen.discard(sequence)
        self._retry_ms = min(max(0, round(retry_after_s * 1000)), RETRY_MAX_MS)

    def behind(self, first: int, last: int) -> None:
        """Note messages behind a declined one, which the application has not seen: they are for later, too."""
        for sequence in range(first, last + 1):
            self.open.add(sequence)
            self.times[sequence] = min(self.times.get(sequence, 0) + 1, TIMES_MAX)
            self._unseen.add(sequence)

    def opens(self, sequence: int) -> bool:
        """Whether this message, which comes again, is to be handed out; not before one that was declined earlier."""
        if sequence not in self.open or min(self.open) != sequence:
            return False
        self.open.remove(sequence)
        self._unseen.discard(sequence)
        return True

    def take_open(self, first: int, through: int) -> list[int]:
        """Forget the open ones among these sequences and return them: their sender has given them up."""
        taken = sorted(sequence for sequence in self.open if first <= sequence <= through)
        self.open.difference_update(taken)
        self._unseen.difference_update(taken)
        return taken

    def not_open(self, first: int, last: int) -> list[int]:
        """Return those of these sequences that the application has."""
        return [sequence for sequence in range(first, last + 1) if sequence not in self.open]

    def forget_through(self, processed: int) -> None:
        """Forget what is done with."""
        for sequence in [sequence for sequence in self.times if sequence <= processed]:
            del self.times[sequence]

    def exceptions(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield what the sender has to know: sequence, code, how often, and after how many milliseconds."""
        for sequence in self.open:
            code = RefusalCode.BEHIND if sequence in self._unseen else RefusalCode.BUSY
            yield sequence, code, self.times[sequence], self._retry_ms
