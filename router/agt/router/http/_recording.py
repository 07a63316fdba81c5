"""Copies of one request and its answer, made while they pass, within limits; for the mirror.

A copy that grows beyond its limit, or beyond what all copies together may hold, is dropped at once and counted as shed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from agt.router.http._compare import Answer
from agt.router.http._headers import RawHeaders

if TYPE_CHECKING:
    from agt.router.http._asked import Asked


class Memory:
    """What all copies together may hold."""

    def __init__(self, limit: int) -> None:
        self.held, self._limit = 0, limit

    def take(self, count: int) -> bool:
        """Reserve so many bytes; false when there is no room for them."""
        if self.held + count > self._limit:
            return False
        self.held += count
        return True

    def give(self, count: int) -> None:
        """Free them."""
        self.held -= count


class Recording:
    """One request to be mirrored, while its own answer is still on its way.

    Args:
        asked: The request.
        tried: The runtime that gets the copy.
        memory: What all copies share.
        body_max: Largest request body.
        answer_max: Largest answer.
        finished: Takes the recording when it is whole.
        shed: Counts one that is dropped, by reason.
    """

    def __init__(
        self,
        asked: "Asked",
        tried: str,
        *,
        memory: Memory,
        body_max: int,
        answer_max: int,
        finished: "Callable[[Recording], None]",
        shed: Callable[[str], None],
    ) -> None:
        self.asked, self.tried = asked, tried
        self.number = 0
        """The request's number in the ledger, once it is finished."""
        self._memory, self._body_max, self._answer_max = memory, body_max, answer_max
        self._finished, self._shed = finished, shed
        self._body, self._answer = bytearray(), bytearray()
        self._status = 0
        self._headers: RawHeaders = ()
        self._dropped = False

    @property
    def body(self) -> bytes:
        """The request's body."""
        return bytes(self._body)

    @property
    def answer(self) -> Answer:
        """What was answered."""
        return Answer(self._status, self._headers, bytes(self._answer))

    def request_body(self, data: bytes) -> None:
        """Take a piece of the request."""
        self._grow(self._body, data, self._body_max)

    def answer_head(self, status: int, headers: RawHeaders) -> None:
        """Take the head of the answer."""
        self._status, self._headers = status, tuple(headers)

    def answer_body(self, data: bytes) -> None:
        """Take a piece of the answer."""
        self._grow(self._answer, data, self._answer_max)

    def finish(self, number: int, runtime: str, *, whole: bool) -> None:
        """Hand the recording on, if its answer came whole and not from the very runtime that is tried."""
        self.number = number
        if self._dropped:
            return
        if not whole or runtime == self.tried:
            self._drop("unanswered" if not whole else "moved")
        else:
            self._finished(self)

    def free(self) -> None:
        """Give its memory back; called once by whoever was handed it."""
        self._memory.give(len(self._body) + len(self._answer))

    def _grow(self, part: bytearray, data: bytes, limit: int) -> None:
        if self._dropped:
            return
        if len(part) + len(data) > limit:
            self._drop("large")
        elif not self._memory.take(len(data)):
            self._drop("memory")
        else:
            part += data

    def _drop(self, why: str) -> None:
        self._dropped = True
        self.free()
        self._body.clear()
        self._answer.clear()
        self._shed(why)
