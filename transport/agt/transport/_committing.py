"""Committing received messages: the application's effects and the senders' marks, in one transaction.

Nothing here knows a database. A session whose listener has an inbox carries `commits`, which leads to the keeper of
its sender's record; a session without one can't commit, and says so.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from agt.transport._errors import UsageError

Run = tuple[int, int]
"""First token and count."""


class Commits(Protocol):
    """Where one session's messages are committed."""

    def together(self, groups: "Sequence[tuple[Commits, Sequence[Run]]]") -> AbstractAsyncContextManager[Any]:
        """Open one transaction for messages of these sessions, all of one listener, oldest first in each."""
        ...


class Committable(Protocol):
    """A received message, or several that came together."""

    answered: bool

    def open_runs(self) -> "tuple[Commits | None, list[Run]]":
        """Return where it is committed and what of it has not been answered."""
        ...


@asynccontextmanager
async def commit_batch(messages: Iterable[Committable]) -> AsyncIterator[Any]:
    """Commit messages, of one sender or several, with the application's effects, in one transaction.

    What is written with the transaction that this gives, and the marks of all the messages, become durable together
    when the `async with` is left; then their senders are told `delivered`. When it is left by an exception, nothing is
    written and the messages are as unanswered as before. What was answered already is left out.

    Args:
        messages: received messages or batches, of one listener, in the order received from each sender.

    Raises:
        UsageError: when their listener has no inbox.
        OutOfOrder: when an earlier message of a sender is neither answered nor among them.
        StoreUnavailable: when it can't be made durable; with another store than ours, what that raises.
        Closed: when nothing is remembered any more of the connection they came by; their sender sends them again.
    """
    wanted = [message for message in messages if not message.answered]
    groups: dict[int, tuple[Commits, list[Run]]] = {}
    for message in wanted:
        commits, runs = message.open_runs()
        if commits is None:
            raise UsageError("only a listener with an inbox can commit; give it one, or answer with ack()")
        into = groups.setdefault(id(commits), (commits, []))[1]
        for token, count in runs:
            if into and sum(into[-1]) == token:
                into[-1] = (into[-1][0], into[-1][1] + count)
            else:
                into.append((token, count))
    if not groups:
        raise UsageError("there is nothing to commit: no message, or all are answered")
    first = next(iter(groups.values()))[0]
    async with first.together(list(groups.values())) as transaction:
        yield transaction
    for message in wanted:
        message.answered = True
