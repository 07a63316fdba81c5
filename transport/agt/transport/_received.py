"""A message as the application sees it, with the two answers it can give."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, overload

import msgspec

from agt.transport._committing import commit_batch
from agt.transport._message_id import CHANNEL_SHIFT, message_id


class Answers(Protocol):
    """Who passes the application's answer on to the link."""

    @property
    def peer(self) -> str:
        """The peer's name."""
        ...

    def acknowledge(self, token: int, count: int = 1) -> None:
        """Say that messages have been processed: `count` of them, from this token on."""
        ...

    def refuse(self, token: int, code: str, retry_after_s: float = 0.0) -> None:
        """Say that a message will not be processed, or with `busy`: not now."""
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
    put_off_s: float = -1.0
    """After how many seconds it was asked for again, by a refusal as busy; negative when it wasn't."""

    @property
    def peer(self) -> str:
        """The name of the peer that sent it."""
        return self._from.peer

    @property
    def channel(self) -> int:
        """The ordered channel that it came through."""
        return self._token >> CHANNEL_SHIFT if self._token > 0 else 0

    @property
    def id(self) -> str:
        """What logs call it on both sides; empty where the wire has no ids, or its sender has begun anew since."""
        epoch_of: Callable[[int], int] | None = getattr(self._from, "epoch_of", None)
        epoch = epoch_of(self._token) if epoch_of is not None else 0
        return message_id(epoch, self.channel, self.sequence) if epoch and self.sequence > 0 else ""

    def ack(self) -> None:
        """Say that the message has been processed; only the first answer counts."""
        if not self.answered:
            self._from.acknowledge(self._token)
            self.answered = True

    def refuse(self, code: str = "rejected", *, retry_after_s: float = 0.0) -> None:
        """Say that the message will not be processed, and why; only the first answer counts.

        Args:
            code: `rejected`, `malformed`, `too_large`, `unauthorised` or `stale_generation`, which are final; or
                `busy`: its sender offers it again, in its place, and sends nothing new on its channel before.
            retry_after_s: with `busy`: after how many seconds, at the earliest.

        Raises:
            UsageError: when the wire has no such code; the message is still unanswered then.
        """
        if not self.answered:
            self._from.refuse(self._token, code, retry_after_s)
            self.answered = True
            if code == "busy":
                self.put_off_s = retry_after_s

    def commit(self) -> AbstractAsyncContextManager[Any]:
        """Commit the message with the application's effects, in one transaction; see `commit_batch`.

        In an `on_message` handler, `defer()` first and do this in a task.
        """
        return commit_batch((self,))

    def open_runs(self) -> list[tuple[int, int]]:
        """Return its token as a run."""
        return [(self._token, 1)]

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

    def refuse(self, code: str = "rejected", *, retry_after_s: float = 0.0) -> None:
        """Say that none of those that were not answered one by one will be processed, and why.

        Raises:
            UsageError: when the wire has no such code; they are still unanswered then.
        """
        if not self.answered:
            for message in self:
                message.refuse(code, retry_after_s=retry_after_s)
            self.answered = True

    def commit(self) -> AbstractAsyncContextManager[Any]:
        """Commit all that were not answered one by one, in one transaction; see `commit_batch`."""
        return commit_batch((self,))

    def open_runs(self) -> list[tuple[int, int]]:
        """Return the tokens of those that were not answered, as runs."""
        if self._messages is None:
            return [(self._token, len(self.payloads))]
        return [(token, 1) for token, message in enumerate(self._messages, self._token) if not message.answered]

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


def messages_of(source: Answers, token: int, payloads: list[bytes], sequence: int) -> list[ReceivedMessage]:
    """Return a run of received messages as single ones; `sequence` is that of the first, or -1 for none."""
    if sequence < 0:
        return [ReceivedMessage(source, token + place, payload, -1) for place, payload in enumerate(payloads)]
    ahead = sequence - token
    return [ReceivedMessage(source, token, payload, token + ahead) for token, payload in enumerate(payloads, token)]
