"""A message as the application sees it, with the two answers it can give."""

from typing import Protocol


class Answers(Protocol):
    """Who passes the application's answer on to the link."""

    @property
    def peer(self) -> str:
        """The peer's name."""
        ...

    def acknowledge(self, token: int) -> None:
        """Say that a message has been processed."""
        ...

    def refuse(self, token: int, code: str) -> None:
        """Say that a message will not be processed."""
        ...


class ReceivedMessage:
    """One message from the peer; answer it once, with `ack()` or `refuse(code)`.

    What is not answered counts as not processed: its sender waits, sends again, and in the end is told that
    nobody knows.
    """

    __slots__ = ("_from", "_token", "answered", "deferred", "payload", "sequence")

    def __init__(self, source: Answers, token: int, payload: bytes, sequence: int) -> None:
        self._from = source
        self._token = token
        self.payload = payload
        """The bytes that the peer sent."""
        self.sequence = sequence
        """The sender's sequence where the wire carries one, else -1."""
        self.answered = False
        """Whether `ack` or `refuse` was called."""
        self.deferred = False
        """Whether a handler said that the answer comes after it has returned."""

    @property
    def peer(self) -> str:
        """The name of the peer that sent it."""
        return self._from.peer

    def ack(self) -> None:
        """Say that the message has been processed; only the first answer counts."""
        if not self.answered:
            self._from.acknowledge(self._token)
            self.answered = True

    def refuse(self, code: str = "rejected") -> None:
        """Say that the message will not be processed, and why; only the first answer counts.

        Raises:
            UsageError: when the wire has no such code; the message is still unanswered then.
        """
        if not self.answered:
            self._from.refuse(self._token, code)
            self.answered = True

    def defer(self) -> None:
        """Within an `on_message` handler: the answer comes later; returning is not an `ack()` this time."""
        self.deferred = True

    def __repr__(self) -> str:
        state = "answered" if self.answered else "unanswered"
        return f"<ReceivedMessage {len(self.payload)} bytes from {self.peer!r}, {state}>"
