"""How long each generation of the selector has really been carried: the clock that soaks are counted by.

Time counts while a generation is applied, the moves that it asked for are settled, and at least one device is
attached. It is this router's own monotonic time: neither a jump of the wall clock nor a dead router adds to it.
"""

GENERATIONS_MAX = 256
"""How many generations are remembered; the oldest go first."""


class CarriedClock:
    """Seconds carried, by generation."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._running: int | None = None
        self._since = 0.0

    def set(self, generation: int | None, *, now: float) -> None:
        """Let time count for this generation from now on; None stops the clock."""
        if generation == self._running:
            return
        self._bank(now)
        self._running, self._since = generation, now
        if generation is not None:
            self._seconds.setdefault(generation, 0.0)
            while len(self._seconds) > GENERATIONS_MAX:
                del self._seconds[next(iter(self._seconds))]

    def read(self, *, now: float) -> dict[int, float]:
        """Return the seconds by generation, the running one included."""
        self._bank(now)
        return dict(self._seconds)

    def _bank(self, now: float) -> None:
        if self._running is not None:
            self._seconds[self._running] = self._seconds.get(self._running, 0.0) + max(0.0, now - self._since)
        self._since = now
