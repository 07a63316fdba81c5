"""How far an application has come with the messages of one channel, in the order in which they were handed to it.

The watermark may pass only what is finished, and everything finished below it. Messages are finished in order as a
rule (a commit has to be), so what is open is a few runs; answers that come ahead of their turn wait in a set. The
payloads are kept until then, as the lists they came in, for a refused message is worth a dead letter.
"""

from collections import deque
from collections.abc import Iterable, Sequence


class Progress:
    """Open messages of one channel."""

    __slots__ = ("_ahead", "_payloads", "_runs", "handed_through")

    def __init__(self, handed_through: int = 0) -> None:
        self._runs: deque[list[int]] = deque()
        self._ahead: set[int] = set()
        self._payloads: deque[tuple[int, Sequence[bytes]]] = deque()
        self.handed_through = handed_through
        """The last sequence that the application was given, or that was done with before."""

    @property
    def head(self) -> int:
        """The oldest open sequence; 0 when there is none."""
        return self._runs[0][0] if self._runs else 0

    @property
    def through(self) -> int:
        """Through which sequence everything that was handed out is finished."""
        return self._runs[0][0] - 1 if self._runs else self.handed_through

    def handed(self, first: int, payloads: Sequence[bytes]) -> None:
        """Note a run that the application was given; what it was given before and had not finished is known.

        A run may begin with what is known and go on with what isn't: a busy message comes again together with what had
        to wait behind it, unseen.
        """
        known = self.handed_through + 1 - first
        if known > 0:
            if known >= len(payloads):
                return
            first, payloads = first + known, payloads[known:]
        count = len(payloads)
        self.handed_through = first + count - 1
        self._payloads.append((first, payloads))
        if self._runs and sum(self._runs[-1]) == first:
            self._runs[-1][1] += count
        else:
            self._runs.append([first, count])

    def payload(self, sequence: int) -> bytes:
        """Return what an open message said."""
        for first, payloads in self._payloads:
            if first <= sequence < first + len(payloads):
                return payloads[sequence - first]
        return b""

    def through_after(self, runs: Iterable[tuple[int, int]]) -> int:
        """Return what `through` would be if these runs (first, count) were finished.

        Raises:
            ValueError: carrying the first that can't be, and the open sequence before it; 0 when it is not open itself.
        """
        later = Progress(self.handed_through)
        later._runs = deque(run.copy() for run in self._runs)
        later._ahead = set(self._ahead)
        for first, count in runs:
            if first != later.head or count > later._runs[0][1]:
                raise ValueError(first, later.head if later.head < first else 0)
            later.finish(first, count)
        return later.through

    def finish(self, first: int, count: int) -> None:
        """Note that the application is done with a run."""
        runs = self._runs
        if runs and first == runs[0][0] and count <= runs[0][1]:
            self._advance(count)
        else:
            self._ahead.update(range(max(first, self.through + 1), min(first + count, self.handed_through + 1)))
        while self._ahead and runs and runs[0][0] in self._ahead:
            self._ahead.discard(runs[0][0])
            self._advance(1)
        while self._payloads and self._payloads[0][0] + len(self._payloads[0][1]) <= self.through + 1:
            self._payloads.popleft()

    def _advance(self, count: int) -> None:
        head = self._runs[0]
        head[0] += count
        head[1] -= count
        if not head[1]:
            self._runs.popleft()
