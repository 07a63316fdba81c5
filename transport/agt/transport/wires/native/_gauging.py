"""What a link measures of the way to its peer: its own probes, and its answers to the peer's.

Made when the first of either comes up; most links never measure anything.
"""

from agt.transport.wires.native._frames import FrameType
from agt.transport.wires.native._probing import Probe, ProbeLimits, ProbeTally, Probing


class Gauge:
    """Probes of one link, in both directions."""

    __slots__ = ("_number", "_probing", "_tally", "_train")

    def __init__(self) -> None:
        self._probing: Probing | None = None
        self._tally = ProbeTally()
        self._number = self._train = 0

    @property
    def open(self) -> bool:
        """Whether a probe goes on."""
        return self._probing is not None and self._probing.result is None

    def begin(self, limits: ProbeLimits, frame_max: int, shortest_s: float, now: float) -> None:
        """Begin a probe; the one before is over."""
        self._number += 1
        self._train += 1
        self._probing = Probing(self._number, self._train, limits, frame_max, shortest_s, now)

    def result(self, now: float) -> Probe | None:
        """Return what came of the newest probe; None while it goes on, or when there was none."""
        if self._probing is None or not self._probing.expired(now):
            return None
        return self._probing.result

    def write(self, parts: list[bytes], room: int, now: float, *, traffic: bool) -> None:
        """Append what the probe has to send, or give it up for the sake of traffic."""
        probing = self._probing
        if probing is not None and probing.result is None:
            if traffic:
                probing.stop("traffic")
            else:
                probing.write(parts, room, now)
                self._train = probing.train

    def take(self, kind: FrameType, sequence: int, payload: bytes, now: float) -> bytes:
        """Take in a frame of a probe of either side; return what to answer.

        Raises:
            PeerViolation: when it makes no sense.
        """
        if kind is FrameType.PROBE:
            return self._tally.take(sequence, payload, now)
        if self._probing is not None:
            self._probing.answered(sequence, payload, now)
            self._train = self._probing.train
        return b""

    def connection_lost(self) -> None:
        """Note that what was under way is gone."""
        self._tally = ProbeTally()
        if self._probing is not None:
            self._probing.stop("connection")
