"""How long to wait for an answer before asking again: RFC 6298, bounded on both sides.

The timeout has to follow what is measured. A constant picked from a handful of samples resends a large share
of the messages of a slow house and still waits too long in a fast one. Karn's rule is the caller's: only an
exchange that was sent once tells a round trip, since the answer to a resent message may belong to either copy.
"""

_ALPHA = 1 / 8
_BETA = 1 / 4
_DEVIATIONS = 4
"""How many mean deviations above the mean the timeout stands (RFC 6298 calls these alpha, beta and K)."""

MAX_BACKOFFS = 16
"""Doublings remembered; past this the timeout is at any sane maximum, and a float can't overflow."""


class RoundTrip:
    """A running estimate of the round trip to one peer, and the retransmission timeout that follows from it."""

    __slots__ = ("_backoffs", "_deviation_s", "_initial_s", "_max_s", "_min_s", "_smoothed_s", "samples", "timeout_s")

    def __init__(self, min_s: float = 0.2, max_s: float = 5.0, *, initial_s: float = 1.0) -> None:
        """Start without samples.

        Args:
            min_s: the timeout never falls below this, in seconds.
            max_s: the timeout never rises above this, in seconds, however often it backed off.
            initial_s: the timeout before the first sample, in seconds; held within the bounds.

        Raises:
            ValueError: when the bounds are not 0 < min_s <= max_s.
        """
        if not 0 < min_s <= max_s:
            raise ValueError(f"round trip bounds must satisfy 0 < min_s <= max_s, not {min_s} and {max_s}")
        self._min_s, self._max_s, self._initial_s = min_s, max_s, initial_s
        self._smoothed_s: float | None = None
        self._deviation_s = 0.0
        self._backoffs = 0
        self.samples = 0
        """How many round trips were taken in."""
        self.timeout_s = 0.0
        """How long to wait for an answer now, in seconds, between the bounds; read for each message, so kept ready."""
        self._set_timeout()

    @property
    def smoothed_s(self) -> float | None:
        """The smoothed round trip in seconds; None before the first sample."""
        return self._smoothed_s

    def sample(self, seconds: float) -> None:
        """Take in the round trip of an exchange that was sent exactly once; ends any backing off.

        Negative values (a clock that was set back) count as zero.
        """
        seconds = max(seconds, 0.0)
        self.samples += 1
        self._backoffs = 0
        if self._smoothed_s is None:
            self._smoothed_s, self._deviation_s = seconds, seconds / 2
        else:
            # The deviation goes first: it is measured against the mean from before this sample.
            self._deviation_s += _BETA * (abs(self._smoothed_s - seconds) - self._deviation_s)
            self._smoothed_s += _ALPHA * (seconds - self._smoothed_s)
        self._set_timeout()

    def backoff(self) -> None:
        """Double the timeout after an answer stayed out, up to the upper bound; the next sample ends it."""
        self._backoffs = min(self._backoffs + 1, MAX_BACKOFFS)
        self._set_timeout()

    def _set_timeout(self) -> None:
        base = self._initial_s
        if self._smoothed_s is not None:
            base = self._smoothed_s + _DEVIATIONS * self._deviation_s
        base = min(max(base, self._min_s), self._max_s)
        self.timeout_s = float(min(base * 2**self._backoffs, self._max_s))
