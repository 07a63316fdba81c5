"""How a listener shuts down in order, whichever driver it has: what callers are told, and who has not finished."""

from typing import TYPE_CHECKING, Final

from agt.transport.wires.native import AwayCode, Refused

if TYPE_CHECKING:
    from random import Random

    from agt.transport._link import Link

RETRY_AFTER_S: Final = 1.0
"""When those who call a listener that shuts down shall come back, in seconds, unless it says otherwise."""


def answered(link: "Link") -> bool:
    """Whether nothing is on its way: what was written is answered, and, where the wire can tell, what was received."""
    return bool(getattr(link, "answered", not link.in_flight))


class Parting:
    """What a listener that shuts down says to callers."""

    def __init__(self, reason: str, retry_after_s: float, spread_s: float, *, rng: "Random") -> None:
        """Remember why, when they shall come back at the earliest, and over how many seconds they shall spread."""
        self._reason, self._retry_after_s, self._spread_s, self._rng = reason, retry_after_s, spread_s, rng

    def refusal(self) -> Refused:
        """Return what the next caller is told."""
        wait_s = self._retry_after_s + self._rng.uniform(0, self._spread_s)
        return Refused(f"busy: {self._reason}, come back in {wait_s:.3g} s", AwayCode.BUSY, retry_after_s=wait_s)
