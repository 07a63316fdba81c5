"""What an inbox needs of a database: our own SQLite one, or an application's.

An application that has a database keeps its effects there, and so the senders' marks have to be there too: only one
transaction can hold both. Such a store is four methods and one table; `docs/guides/embedding.md` has a whole one.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import msgspec

TransactionT = TypeVar("TransactionT")


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the application refused for good."""

    sender: str
    channel: int
    sequence: int
    code: str
    """Why, as the application said: `rejected`, `malformed`, `too_large`, `unauthorised`."""
    payload: bytes


class InboxChange(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be written together with the application's effects."""

    records: Mapping[str, bytes | None]
    """By sender name, the record that replaces the one there is; None when the sender is to be forgotten."""
    dead_letters: tuple[DeadLetter, ...] = ()
    """Refused messages to be kept for somebody to look at; a store may have its own idea of how many."""


class InboxStore(Protocol[TransactionT]):
    """Remembers senders, in the database that the application's effects go to.

    All calls come from the event loop's thread. `transaction` may be entered several times at once, never twice at
    once for the same sender.
    """

    async def load(self) -> Mapping[str, bytes]:
        """Return the record of every sender: before anyone is welcomed, and again when a commit ended in doubt.

        May raise anything; the listener then does not start, or admits nobody until it works.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[TransactionT]:
        """Open a transaction, for the application to write its effects with.

        It must be durable when the `async with` is left normally, and undone when it is left by an exception.
        """
        ...

    def is_undone(self, error: BaseException) -> bool:
        """Whether an error that leaving `transaction` raised has left nothing written, for certain.

        When in doubt, say no: the sender's connection is then dropped and its record read again.
        """
        ...

    async def put(self, transaction: TransactionT, change: InboxChange) -> None:
        """Write a change within an open transaction."""
        ...
