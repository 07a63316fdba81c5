"""Keeps the records of senders: writes what waits, and lets applications write their effects along with them.

Two ways lead to the store. A commit of the application brings its own transaction and takes everything that waits for
its sender with it. What waits otherwise (plain answers, new incarnations, the forgotten) is written by one task, for
many senders in one transaction. At most one write of a sender is on its way, so that records can't overtake each
other. When nobody can say whether a write is durable, what is in memory counts no more: the sender's link is given up,
and nobody is admitted before the records have been read again.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from agt.transport._committing import Commits
from agt.transport._errors import Closed, UsageError
from agt.transport._timers import running_clock
from agt.transport.durable._inbox_record import SenderRecord, decode_record
from agt.transport.durable._inbox_store import InboxChange, InboxStore
from agt.transport.durable._remembering_link import Pending, RememberingLink, Run
from agt.transport.wires.native import NativeConfig, NativeLink

if TYPE_CHECKING:
    from random import Random

logger = logging.getLogger("agt.transport")

SENDERS_A_WRITE: Final = 1000
"""Most senders whose records go into one transaction of the writing task."""
RETRY_S: Final = 0.5
"""Pause after the store has refused."""
CLOSE_S: Final = 2.0
"""The longest wait for what is to be written when the listener closes."""


class Keeper:
    """The senders of one listener and the store that remembers them."""

    def __init__(self, store: InboxStore[Any], *, max_senders: int) -> None:
        """Remember the store; `open` it before anyone is admitted.

        Args:
            store: our own or an application's.
            max_senders: senders remembered at once, those that have not come back included.
        """
        self._store = store
        self._max_senders = max_senders
        self._dormant: dict[str, SenderRecord] = {}
        self._links: dict[str, RememberingLink] = {}
        self._turns: dict[RememberingLink, anyio.Lock] = {}
        self._dirty: dict[RememberingLink, None] = {}
        self._gone: dict[str, None] = {}
        self._work = anyio.Event()
        self._clock: Callable[[], float] = running_clock()
        self.in_doubt = False
        """Whether the records have to be read again before anyone is admitted."""
        self.trouble = ""
        """Why records can't be written now; empty while they can."""
        self.on_stored: Callable[[str], None] = _nobody
        """Called with a sender's name when its link may have something to say; the listener's to set."""
        self.on_doubt: Callable[[str], None] = _nobody
        """Called with a sender's name when its link was given up; the listener's to set."""

    @property
    def highest_generation(self) -> int:
        """The highest number that any remembered sender was given."""
        return max((record.generation for record in self._dormant.values()), default=0)

    @property
    def busy(self) -> str:
        """Why nobody can be admitted now, for callers; empty when they can."""
        if self.in_doubt:
            return "the inbox has to be read again"
        return "the inbox can't be written" if self.trouble else ""

    async def open(self) -> None:
        """Read the records.

        Raises:
            StoreUnavailable: when the store can't be used.
            ValueError: when it holds what isn't a record.
        """
        opening = getattr(self._store, "open", None)
        if opening is not None:
            await opening()
        await self._load()

    async def aclose(self) -> None:
        """Write what waits, as far as that goes, and close the store if it is ours to close."""
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._write_what_waits()
        closing = getattr(self._store, "aclose", None)
        if closing is not None:
            await closing()

    # The acceptor's side

    def make_link(
        self, sender: str, name: str, *, rng: "Random", config: NativeConfig, generation_floor: int
    ) -> RememberingLink:
        """Make the link for a sender that is not here now."""
        return RememberingLink(
            name,
            rng=rng,
            config=config,
            generation_floor=generation_floor,
            record=self._dormant.get(sender),
            on_dirty=self._on_dirty,
        )

    def admitted(self, sender: str, link: NativeLink) -> None:
        """A link stands for this sender from now on; the oldest sender that never came back makes room."""
        assert isinstance(link, RememberingLink), "it was made here"
        if self._links.get(sender) is link:
            return
        self._links[sender] = link
        self._turns[link] = anyio.Lock()
        self._dormant.pop(sender, None)
        self._gone.pop(sender, None)
        while self._dormant and len(self._dormant) + len(self._links) > self._max_senders:
            self._forget(next(iter(self._dormant)))

    def forgotten(self, sender: str) -> None:
        """The acceptor remembers a sender no more."""
        if sender in self._links:
            self._give_up(sender)
            self._forget(sender)

    # The application's side

    def commits_of(self, sender: str) -> "SenderCommits":
        """Return where the messages of this sender's present link are committed."""
        return SenderCommits(self, sender, self._links[sender])

    @asynccontextmanager
    async def commit(self, groups: "Sequence[tuple[SenderCommits, Sequence[Run]]]") -> AsyncIterator[Any]:
        """Write the application's effects and the marks behind these messages in one transaction.

        Args:
            groups: runs of messages by their sender; each sender once.
        """
        async with AsyncExitStack() as turns:
            for sender, _ in sorted(groups, key=lambda group: group[0].name):
                turn = self._turns.get(sender.link)
                if turn is None:
                    raise Closed("these messages come by a connection of which nothing is remembered any more")
                await turns.enter_async_context(turn)
            taken = [(sender.name, sender.link, sender.link.take(runs)) for sender, runs in groups]
            running = True
            try:
                async with self._store.transaction() as transaction:
                    yield transaction
                    await self._store.put(transaction, _change(taken, ()))
                    running = False
            except BaseException as error:
                self._failed(taken, undone=running or self._store.is_undone(error))
                raise
            self._stored(taken)

    # The writing task

    async def run(self) -> None:
        """Write what waits until cancelled."""
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            try:
                if self.in_doubt:
                    await self._load()
                await self._write_some()
                self.trouble = ""
            except Exception as error:  # noqa: BLE001  # An application's store may raise anything; it is tried again.
                if not self.trouble:
                    logger.error("what is remembered of senders can't be written: %s", error)  # noqa: TRY400
                self.trouble = str(error)
                await anyio.sleep(RETRY_S)
                self._work.set()

    async def _write_some(self) -> None:
        """Write what waits for senders that are not in the middle of a commit."""
        free = [link for link in self._dirty if not self._turns[link].locked()][:SENDERS_A_WRITE]
        gone, self._gone = self._gone, {}
        if not free and not gone:
            return
        for link in free:
            del self._dirty[link]
            self._turns[link].acquire_nowait()
        try:
            taken = [(link.peer, link, link.take()) for link in free]
            running = True
            try:
                async with self._store.transaction() as transaction:
                    await self._store.put(transaction, _change(taken, gone))
                    running = False
            except BaseException as error:
                self._gone = gone | self._gone
                self._failed(taken, undone=running or self._store.is_undone(error))
                raise
            self._stored(taken)
        finally:
            for link in free:
                turn = self._turns.get(link)
                if turn is not None:
                    turn.release()
        if self._dirty or self._gone:
            self._work.set()

    async def _write_what_waits(self) -> None:
        try:
            while self._dirty or self._gone:
                before = len(self._dirty)
                await self._write_some()
                if before and len(self._dirty) >= before:
                    return  # The rest is in the hands of commits that never end.
        except Exception as error:  # noqa: BLE001  # An application's store may raise anything; its peers come again.
            logger.error("what is remembered of senders was not written at the end: %s", error)  # noqa: TRY400

    # Within

    def _on_dirty(self, link: RememberingLink) -> None:
        if not link.stale:
            self._dirty[link] = None
            self._work.set()

    def _stored(self, taken: "Sequence[tuple[str, RememberingLink, Pending]]") -> None:
        now = self._clock()
        for name, link, pending in taken:
            if not link.stale:
                link.stored(pending, now=now)
                if not link.dirty:
                    self._dirty.pop(link, None)
                self.on_stored(name)

    def _failed(self, taken: "Sequence[tuple[str, RememberingLink, Pending]]", *, undone: bool) -> None:
        for name, link, pending in taken:
            if undone:
                link.returned(pending)
                self._on_dirty(link)
            else:
                self.in_doubt = True
                self._give_up(name)
                self.on_doubt(name)
        self._work.set()

    def _give_up(self, sender: str) -> None:
        link = self._links.pop(sender, None)
        if link is not None:
            link.stale = True
            self._dirty.pop(link, None)
            self._turns.pop(link, None)

    def _forget(self, sender: str) -> None:
        self._dormant.pop(sender, None)
        self._gone[sender] = None
        self._work.set()

    async def _load(self) -> None:
        records = await self._store.load()
        self._dormant = {
            name: decode_record(name, record) for name, record in records.items() if name not in self._links
        }
        self.in_doubt = False


class SenderCommits:
    """Where the messages of one sender are committed; what a session knows of a keeper."""

    def __init__(self, keeper: Keeper, name: str, link: RememberingLink) -> None:
        self.keeper, self.name, self.link = keeper, name, link

    def together(self, groups: "Sequence[tuple[Commits, Sequence[Run]]]") -> AbstractAsyncContextManager[Any]:
        """Open one transaction for messages of these senders.

        Raises:
            UsageError: when they are of different listeners.
        """
        own = [(sender, runs) for sender, runs in groups if isinstance(sender, SenderCommits)]
        if len(own) < len(groups) or any(sender.keeper is not self.keeper for sender, _ in own):
            raise UsageError("messages of different listeners can't be committed together")
        return self.keeper.commit(own)


def _change(
    taken: "Sequence[tuple[str, RememberingLink, Pending]]", gone: Mapping[str, None] | tuple[()]
) -> InboxChange:
    records: dict[str, bytes | None] = dict.fromkeys(gone)
    records.update((name, pending.record) for name, _, pending in taken)
    letters = tuple(letter for _, _, pending in taken for letter in pending.dead_letters)
    return InboxChange(records=records, dead_letters=letters)


def _nobody(_: str) -> None:
    """Who is told before a listener says otherwise."""
