"""Committing received messages: the application's effects and the senders' marks, in one transaction.

Nothing here knows a database. A session whose listener has an inbox carries `commits`, which leads to the keeper of
its sender's record; a session without one can't commit, and says so.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from operator import attrgetter
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
    """Whether it was answered as a whole."""

    def open_runs(self) -> list[Run]:
        """Return what of it has not been answered."""
        ...


class Source(Protocol):
    """A session, as far as its messages are committed."""

    @property
    def commits(self) -> Commits | None:
        """Where that is; None where there is no inbox."""
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
    if not wanted:
        raise UsageError("there is nothing to commit: no message, or all are answered")
    groups: list[tuple[Commits, list[Run]]] = []
    for source, runs in _runs_of(wanted).items():
        commits: Commits | None = getattr(source, "commits", None)
        if commits is None:
            raise UsageError("only a listener with an inbox can commit; give it one, or answer with ack()")
        groups.append((commits, runs))
    async with groups[0][0].together(groups) as transaction:
        yield transaction
    for message in wanted:
        message.answered = True


def _runs_of(messages: Sequence[Committable]) -> dict[Source, list[Run]]:
    """Sort messages by where they came from, as runs; quick where they are many and in order."""
    runs: dict[Source, list[Run]] = {}
    last: Source | None = None
    into: list[Run] = []
    first = following = 0
    for message, (source, token) in zip(messages, map(_place, messages), strict=True):
        if source is last and token == following and not hasattr(message, "payloads"):
            following += 1
            continue
        if following > first:
            into.append((first, following - first))
        last, into = source, runs.setdefault(source, [])
        if hasattr(message, "payloads"):  # Several that came together.
            into += message.open_runs()
            first = following = 0
        else:
            first, following = token, token + 1
    if following > first:
        into.append((first, following - first))
    return runs


_place: Callable[[Any], tuple[Source, int]] = attrgetter("_from", "_token")
