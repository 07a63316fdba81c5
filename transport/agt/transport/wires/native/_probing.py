"""How much the way to a peer carries, found out with bytes that mean nothing and give way to those that do.

One side sends trains of PROBE frames, the other answers each train with how many bytes came in how long. The first
train is one bare frame, whose answer tells the round trip. A train goes out only when the one before was answered,
and a train that kept the way busy for longer than `busy_s` is not followed by a larger one. So a message that comes up
waits behind one train and no more: the rest of the probe is given up for it.

Every rate is meant as a lower bound. How long a train kept the way busy is the longer of two times: what it took to
come in (the receiver's), and what its answer took beyond the shortest round trip known (ours), for a receiver that was
busy itself and then found everything in its buffer says too little. Less than `SURE_S` counts as that, being within
what processes are late by.
TCP carries the first trains in several round trips, so a slow train is repeated; the probe ends when two trains
agree, or when none got better for a while, and its rate is that of the best.
"""

import math
import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agt.transport._errors import PeerViolation
from agt.transport.wires.native._frames import HEADER_SIZE, FrameType, encode_frame

PROBES: Final = 2
"""The feature bit of a side that answers probes."""
TRAIN_MAX: Final = 1 << 22
"""Bytes of one train at most, headers included; more is a violation."""
TRAIN_FIRST: Final = 1 << 14
"""Bytes of the first train that is more than a bare frame."""
GROWTH: Final = 4
"""How many times larger the next train is, where the way was not busy for long."""
SURE_S: Final = 0.002
"""The shortest time that is believed."""
AGREEING: Final = 0.9
"""Two trains agree when the rate of one is at least this share of the other's."""
TRIES: Final = 3
"""Trains in a row that bring no better rate before it ends."""
CHUNK: Final = 1 << 14
"""Bytes of one frame of a train, header included, where the peer reads as many."""
_FILLER: Final = bytes(range(256)) * (CHUNK // 256)
"""What stands in the frames; it means nothing."""
_TOTAL: Final = struct.Struct("!I")
_ANSWER: Final = struct.Struct("!II")
_BARE: Final = HEADER_SIZE + _TOTAL.size
_SPAN_MAX: Final = 2**32 - 1


class ProbeLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one probe may cost."""

    bytes_max: Annotated[int, Meta(ge=_BARE, le=1 << 26)] = TRAIN_MAX
    """Bytes that a probe sends at most, all trains together."""
    seconds: Annotated[float, Meta(gt=0)] = 2.0
    """After so long it ends, whatever it has."""
    busy_s: Annotated[float, Meta(gt=0)] = 0.01
    """A train that keeps the way busy for longer is not followed by a larger one."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a probe."""

    number: int
    """Counts the probes of a link, from 1."""
    bits_per_s: float | None
    """What its best train came to; None when it ended before it could tell. A lower bound, but where it ended for want
    of time before any train was answered: an upper one then."""
    sent_bytes: int
    trains: int
    """Trains that were answered, the bare one not counted."""
    round_trip_s: float | None
    """What the bare train took, or the shortest ping if that was shorter."""
    ended: str
    """Why it ended: `measured`, `traffic` (it gave way), `time`, or `connection`."""


class Probing:
    """One probe, seen from the side that asks."""

    __slots__ = ("_began_at", "_best", "_chunk", "_last", "_left", "_limits", "_number", "_round_trip_s", "_sent",
                 "_shortest_s", "_size", "_train", "_trains", "_until", "_vain", "result")  # fmt: skip

    def __init__(
        self, number: int, first_train: int, limits: ProbeLimits, frame_max: int, shortest_s: float, now: float
    ) -> None:
        """Begin with the bare train.

        Args:
            number: of the probe.
            first_train: number of its first train; the others follow.
            limits: what it may cost.
            frame_max: the largest frame that the peer reads, header included.
            shortest_s: the shortest round trip that is known; a bare train that took longer was held up by something.
            now: the time.
        """
        self._number, self._limits, self._train, self._shortest_s = number, limits, first_train, shortest_s
        self._chunk = min(CHUNK, frame_max - _BARE)  # The last frame may be a little larger.
        self._until = now + limits.seconds
        self._size = self._left = _BARE
        self._sent = self._trains = self._vain = 0
        self._began_at = math.nan
        self._round_trip_s: float | None = None
        self._best = self._last = 0.0
        self.result: Probe | None = None
        """What came of it; None while it goes on."""

    @property
    def train(self) -> int:
        """The number of the newest train; a probe that follows goes on counting."""
        return self._train

    def write(self, parts: list[bytes], room: int, now: float) -> None:
        """Append frames of the present train, about `room` bytes of them."""
        if self.expired(now) or not self._left:
            return
        if self._left == self._size:
            self._began_at = now
        while self._left and room > 0:
            # A rest too small for a frame of its own goes with this one.
            size = self._left if self._left < self._chunk + _BARE else self._chunk
            payload = _TOTAL.pack(self._size) + _FILLER[: size - _BARE]
            parts.append(encode_frame(FrameType.PROBE, self._train, payload=payload))
            self._left -= size
            self._sent += size
            room -= size

    def answered(self, number: int, payload: bytes, now: float) -> None:
        """Take in the answer to a train; what answers an older one says nothing.

        Raises:
            PeerViolation: when it is no answer.
        """
        if len(payload) != _ANSWER.size:
            raise PeerViolation(f"an answer to a probe of {len(payload)} bytes", payload)
        if self.result is not None or number != self._train or self._left:
            return
        timed, span_us = _ANSWER.unpack(payload)
        took_s = max(0.0, now - self._began_at)
        if self._round_trip_s is None:
            self._round_trip_s = min(took_s, self._shortest_s)
            self._next(TRAIN_FIRST, now)
            return
        self._trains += 1
        came_s = span_us / 1e6 * self._size / timed if timed else 0.0
        self._judge(max(came_s, took_s - self._round_trip_s), now)

    def _judge(self, busy_s: float, now: float) -> None:
        """Take in how long a train kept the way busy, and decide how to go on."""
        rate = self._size * 8 / max(busy_s, SURE_S)
        low, high = sorted((rate, self._last))
        agreed = busy_s >= self._limits.busy_s and low >= high * AGREEING
        self._last = rate if busy_s >= SURE_S else 0.0
        self._vain = 0 if rate * AGREEING > self._best else self._vain + 1
        self._best = max(self._best, rate)
        if agreed or self._vain >= TRIES:
            self.stop("measured", self._best)
        else:
            self._next(self._size * GROWTH if busy_s < self._limits.busy_s else self._size, now)

    def stop(self, why: str, rate: float = 0.0) -> None:
        """End it; a no-op when it has ended. Only what came to its end, or ran out of time, has measured anything."""
        if self.result is None:
            self.result = Probe(
                number=self._number,
                bits_per_s=rate or None,
                sent_bytes=self._sent,
                trains=self._trains,
                round_trip_s=self._round_trip_s,
                ended=why,
            )

    def expired(self, now: float) -> bool:
        """Tell whether it is over, ending it when its time is."""
        if self.result is None and now >= self._until:
            # A train that has been under way for all this time says at least what the way does not carry.
            started = self._round_trip_s is not None and now > self._began_at
            self.stop("time", self._best or (self._size * 8 / (now - self._began_at) if started else 0.0))
        return self.result is not None

    def _next(self, size: int, now: float) -> None:
        """Go on with a train of about this size, or end where the budget has no room for one like the last."""
        size = min(size, self._limits.bytes_max - self._sent, TRAIN_MAX)
        if size < self._size:
            self.stop("measured", self._best)
        elif not self.expired(now):
            self._train += 1
            self._size = self._left = size


class ProbeTally:
    """The trains of a peer, seen from the side that answers."""

    __slots__ = ("_came", "_first_at", "_timed", "_total", "_train")

    def __init__(self) -> None:
        self._train = self._total = self._came = self._timed = 0
        self._first_at = 0.0

    def take(self, number: int, payload: bytes, now: float) -> bytes:
        """Take in a frame of a train; return the answer when it was the last, else nothing.

        Raises:
            PeerViolation: when it fits no train.
        """
        size = HEADER_SIZE + len(payload)
        total = _TOTAL.unpack_from(payload)[0] if len(payload) >= _TOTAL.size else 0
        if not _BARE <= total <= TRAIN_MAX:
            raise PeerViolation(f"a probe's train of {total} bytes")
        if number != self._train or not self._came:
            self._train, self._total, self._came, self._timed, self._first_at = number, total, 0, 0, now
        self._came += size
        if total != self._total or self._came > total:
            raise PeerViolation(f"{self._came} bytes of a probe's train of {self._total}")
        if now > self._first_at:  # What came in the first breath had come before anybody looked.
            self._timed += size
        if self._came < total:
            return b""
        self._came = 0
        span_us = min(_SPAN_MAX, round((now - self._first_at) * 1e6))
        return encode_frame(FrameType.PROBED, number, payload=_ANSWER.pack(self._timed, span_us))
