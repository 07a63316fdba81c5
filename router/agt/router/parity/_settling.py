"""Which differences are real, and which are only two listings taken at slightly different times.

A difference counts once it has stood in `takes` takes in a row *and* for `settle_s` seconds; the same difference is
the same kind, key and field, whatever the values have become meanwhile, so that a candidate stuck at one value
doesn't get away because control moves on. One clean take settles that the two agree. Pure: `now` is any monotonic
clock, in seconds. Bounded by the number of differences that a comparison keeps.
"""

import msgspec

from agt.router.parity._compare import Comparison, Difference
from agt.router.parity._verdict import Verdict

PATIENCE = 3
"""Takes that are made before differences that come and go are called inconclusive, in multiples of `takes`."""

Place = tuple[str, str, str]


class Lasting(msgspec.Struct, frozen=True, kw_only=True):
    """A difference, and how long it has stood."""

    difference: Difference
    """As the last take showed it."""
    takes: int
    """Takes in a row."""
    since: float
    """When the first of them was, by the settling's clock."""

    def seconds(self, now: float) -> float:
        """Return how long it has stood."""
        return max(0.0, now - self.since)


class Settling:
    """What has been seen so far; feed it one comparison a take, oldest first."""

    def __init__(self, *, takes: int, settle_s: float = 0.0) -> None:
        assert takes >= 1, "a difference that needs no take to count can't be seen"
        self.takes = 0
        """Takes so far."""
        self.transient = 0
        """Differences that went away before they counted."""
        self._needed, self._settle_s = takes, settle_s
        self._lasting: dict[Place, Lasting] = {}
        self._now = 0.0
        self._clean = False

    def add(self, comparison: Comparison, *, now: float) -> None:
        """Take the next comparison into account."""
        before, self._lasting = self._lasting, {}
        for difference in comparison.differences:
            if difference.place in self._lasting:
                continue  # Rows under one key: one place.
            seen = before.get(difference.place)
            self._lasting[difference.place] = Lasting(
                difference=difference, takes=seen.takes + 1 if seen else 1, since=seen.since if seen else now
            )
        self.transient += sum(place not in self._lasting for place in before)
        self.takes += 1
        self._now, self._clean = now, comparison.equal

    @property
    def lasting(self) -> list[Lasting]:
        """The differences of the last take, in its order, settled or not."""
        return list(self._lasting.values())

    @property
    def settled(self) -> list[Lasting]:
        """Those that count."""
        return [one for one in self._lasting.values() if self._counts(one)]

    @property
    def verdict(self) -> Verdict:
        """How it stands; `PENDING` asks for another take, all others are final."""
        if not self.takes:
            return Verdict.PENDING
        if self._clean:
            return Verdict.PASSED
        if any(self._counts(one) for one in self._lasting.values()):
            return Verdict.FAILED
        patient = self.takes < PATIENCE * self._needed or self._waits_for_time()
        return Verdict.PENDING if patient else Verdict.INCONCLUSIVE

    def _counts(self, one: Lasting) -> bool:
        return one.takes >= self._needed and one.seconds(self._now) >= self._settle_s

    def _waits_for_time(self) -> bool:
        """Whether a difference has stood often enough, and only not yet for long enough."""
        return any(one.takes >= self._needed for one in self._lasting.values())
