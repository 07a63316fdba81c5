"""A message as the application sees it, with the two answers it can give."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, overload

import msgspec

from agt.transport._committing import Commits, commit_batch


class Answers(Protocol):
    """Who passes the application's answer on to the link."""

    @property
    def peer(self) -> str:
        """The peer's name."""
        ...

    def acknowledge(self, token: int, count: int = 1) -> None:
        """Say that messages have been processed: `count` of them, from this token on."""
        ...

    def refuse(self, token: int, code: str) -> None:
        """Say that a message will not be processed."""
        ...


class ReceivedMessage(msgspec.Struct, eq=False):
    """One message from the peer; answer it once, with `ack()` or `refuse(code)`.

    What is not answered counts as not processed: its sender waits, sends again, and in the end is told that
    nobody knows.
    """

    _from: Answers
    _token: int
    payload: bytes
    """The bytes that the peer sent."""
    sequence: int
    """The sender's sequence where the wire carries one, else -1."""
    answered: bool = False
    """Whether `ack` or `refuse` was called."""
    deferred: bool = False
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

    def commit(self) -> AbstractAsyncContextManager[Any]:
        """Commit the message with the application's effects, in one transaction; see `commit_batch`.

        In an `on_message` handler, `defer()` first and do this in a task.
        """
        return commit_batch((self,))

    def open_runs(self) -> tuple[Commits | None, list[tuple[int, int]]]:
        """Return where it is committed and its token."""
        return commits_of(self._from), [(self._token, 1)]

    def defer(self) -> None:
        """Within an `on_message` handler: the answer comes later; returning is not an `ack()` this time."""
        self.deferred = True

    def __repr__(self) -> str:
        state = "answered" if self.answered else "unanswered"
        return f"<ReceivedMessage {len(self.payload)} bytes from {self.peer!r}, {state}>"


class ReceivedBatch(Sequence[ReceivedMessage]):
    """Messages that came together, in order; the cheap way to take many.

    `payloads` costs nothing. Who wants to answer single messages iterates, which makes a `ReceivedMessage` of each.
    """

    __slots__ = ("_from", "_messages", "_token", "answered", "deferred", "payloads", "sequence")

    def __init__(self, source: Answers, token: int, payloads: list[bytes], sequence: int) -> None:
        self._from = source
        self._token = token
        self._messages: list[ReceivedMessage] | None = None
        self.payloads = payloads
        """What the peer sent."""
        self.sequence = sequence
        """The sender's sequence of the first one where the wire carries one, else -1."""
        self.answered = False
        """Whether `ack` or `refuse` was called for the batch."""
        self.deferred = False
        """Whether a handler said that the answer comes after it has returned."""

    @property
    def peer(self) -> str:
        """The name of the peer that sent them."""
        return self._from.peer

    def ack(self) -> None:
        """Say that all that were not answered one by one have been processed; only the first answer counts."""
        if self.answered:
            return
        self.answered = True
        if self._messages is None:
            self._from.acknowledge(self._token, len(self.payloads))
        else:
            for message in self._messages:
                message.ack()

    def refuse(self, code: str = "rejected") -> None:
        """Say that none of those that were not answered one by one will be processed, and why.

        Raises:
            UsageError: when the wire has no such code; they are still unanswered then.
        """
        if not self.answered:
            for message in self:
                message.refuse(code)
            self.answered = True

    def commit(self) -> AbstractAsyncContextManager[Any]:
        """Commit all that were not answered one by one, in one transaction; see `commit_batch`."""
        return commit_batch((self,))

    def open_runs(self) -> tuple[Commits | None, list[tuple[int, int]]]:
        """Return where they are committed and the runs of those that were not answered."""
        if self._messages is None:
            return commits_of(self._from), [(self._token, len(self.payloads))]
        tokens = (token for token, message in enumerate(self._messages, self._token) if not message.answered)
        return commits_of(self._from), [(token, 1) for token in tokens]

    def defer(self) -> None:
        """Within an `on_batch` handler: the answers come later; returning is not an `ack()` this time."""
        self.deferred = True

    def __len__(self) -> int:
        return len(self.payloads)

    def __iter__(self) -> Iterator[ReceivedMessage]:
        return iter(self._made())

    @overload
    def __getitem__(self, index: int) -> ReceivedMessage: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ReceivedMessage]: ...
    def __getitem__(self, index: int | slice) -> ReceivedMessage | Sequence[ReceivedMessage]:
        return self._made()[index]

    def __repr__(self) -> str:
        return f"<ReceivedBatch of {len(self)} from {self.peer!r}, {'answered' if self.answered else 'unanswered'}>"

    def _made(self) -> list[ReceivedMessage]:
        if self._messages is None:
            self._messages = messages_of(self._from, self._token, self.payloads, self.sequence)
        return self._messages


def commits_of(source: Answers) -> Commits | None:
    """Return where messages that came this way can be committed; None where there is no inbox."""
    return getattr(source, "commits", None)


def messages_of(source: Answers, token: int, payloads: list[bytes], sequence: int) -> list[ReceivedMessage]:
    """Return a run of received messages as single ones; `sequence` is that of the first, or -1 for none."""
    if sequence < 0:
        return [ReceivedMessage(source, token + place, payload, -1) for place, payload in enumerate(payloads)]
    ahead = sequence - token
    return [ReceivedMessage(source, token, payload, token + ahead) for token, payload in enumerate(payloads, token)]
