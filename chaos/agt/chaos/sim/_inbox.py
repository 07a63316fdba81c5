"""A gateway that remembers its senders over a crash: their records, and its application's effects, on one disk.

The application commits: the effects of messages and the marks behind them are one write, in the order received. What
was handed out and not committed comes again to the next process; what was committed never does. The book holds that
each effect is there once, in order, and that nothing is told to be delivered whose effect is not.
"""

import sqlite3
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING

from agt.chaos.sim._disk import Disk
from agt.chaos.sim._hosts import Gateway, config_of
from agt.chaos.sim._port import Port
from agt.transport import Closed
from agt.transport._message_id import CHANNEL_SHIFT
from agt.transport.durable import OutOfOrder
from agt.transport.durable._inbox_record import SenderRecord, decode_record
from agt.transport.durable._remembering_link import Pending, RememberingLink
from agt.transport.wires.native import AwayCode, NativeConfig, NativeLink, Refused

if TYPE_CHECKING:
    from agt.chaos.sim._world import World

SCHEMA = "CREATE TABLE senders (name TEXT PRIMARY KEY, record BLOB); CREATE TABLE effects (key TEXT PRIMARY KEY)"
Open = tuple[int, str]
"""Token and key of a message that an application holds."""
READ_S = 0.5
"""How long it takes at most until records are read again after a write in doubt."""


class RememberingGateway(Gateway):
    """Accepts devices and remembers them on its disk."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__(world, name)
        self.disk = Disk(
            world.clock,
            Random(world.draw()),
            write_s=world.profile.disk_s,
            fail=world.profile.disk_fail,
            note=lambda what: world.trace(f"{name}: {what}"),
        )
        self.disk.connection.executescript(SCHEMA)
        self.disk.connection.isolation_level = None
        self._records = Records(self)

    def start(self) -> str:
        """Start the next incarnation over the records that the last one left."""
        self._records = Records(self)
        incarnation = super().start()
        self._records.load()
        return incarnation

    def crash(self) -> None:
        """Lose everything in memory."""
        self.disk.crash()
        super().crash()

    def heal(self) -> None:
        """Let the disk work."""
        self.disk.heal()

    def give_up(self, name: str) -> None:
        """Nobody can say what is durable of a sender: let it come again and be met from what is."""
        assert self._acceptor is not None, "a dead process is told nothing"
        self._acceptor.forget(name)
        port = self._ports.pop(name, None)
        if port is not None:
            self._world.trace(f"{port.incarnation} is given up, to be read again")
            self._world.alive.discard(port.incarnation)
            port.crash(silent=False)

    def read_again(self) -> None:
        """Read the records after a while; nobody is admitted before."""
        process = self._incarnation

        def load() -> None:
            if process == self._incarnation and self.running:
                self._records.load()

        self._world.clock.after(self._rng.random() * READ_S, load)

    def port_of(self, link: RememberingLink) -> "CommittingPort | None":
        """Return the port that drives a link."""
        ports = (port for port in self._ports.values() if port.link is link)
        port = next(ports, None)
        return port if isinstance(port, CommittingPort) else None

    def _keeper(self) -> "Records":
        return self._records

    def _refusal(self) -> Refused | None:
        if self._records.in_doubt:
            return Refused("busy: the inbox has to be read again", AwayCode.BUSY, retry_after_s=READ_S)
        return None

    def _new_port(self, link: NativeLink, incarnation: str, name: str) -> Port:
        assert isinstance(link, RememberingLink), "its records made it"
        return CommittingPort(self._world, link, incarnation, name, self._records)

    def note_applied(self, keys: Iterable[str]) -> None:
        """The effects of these messages are on the disk."""
        for key in keys:
            self._world.book.applied(key)

    @property
    def config(self) -> NativeConfig:
        """The links' configuration."""
        return config_of(self._world)

    @property
    def now(self) -> float:
        """The world's time."""
        return self._world.clock.now

    def soon(self, records: "Records") -> None:
        """Have the records look for something to write at the end of this turn."""
        self._world.clock.after(0.0, lambda: records.write() if records is self._records else None)


class Records:
    """One process's keeper of senders, as `agt.transport.durable` has one around real loops and stores."""

    def __init__(self, gateway: RememberingGateway) -> None:
        self._gateway = gateway
        self._dormant: dict[str, SenderRecord] = {}
        self._links: dict[str, RememberingLink] = {}
        self._dirty: dict[RememberingLink, None] = {}
        self._writing: set[RememberingLink] = set()
        self.in_doubt = False
        """Whether the records have to be read again before anyone is admitted."""

    def load(self) -> None:
        """Read the records."""
        rows = self._gateway.disk.connection.execute("SELECT name, record FROM senders ORDER BY name").fetchall()
        self._dormant = {name: decode_record(name, record) for name, record in rows if name not in self._links}
        self.in_doubt = False

    # The acceptor's side

    def make_link(
        self, sender: str, name: str, *, rng: Random, config: NativeConfig, generation_floor: int
    ) -> NativeLink:
        """Make the link for a sender that is not here now."""
        return RememberingLink(
            name,
            rng=rng,
            config=config,
            generation_floor=generation_floor,
            record=self._dormant.get(sender),
            on_dirty=self.touch,
        )

    def admitted(self, sender: str, link: NativeLink) -> None:
        """A link stands for this sender from now on."""
        assert isinstance(link, RememberingLink), "it was made here"
        self._links[sender] = link
        self._dormant.pop(sender, None)

    def forgotten(self, sender: str) -> None:
        """The acceptor remembers a sender no more."""
        if self._give_up(sender):

            def work(connection: sqlite3.Connection) -> None:
                connection.execute("DELETE FROM senders WHERE name = ?", (sender,))

            self._gateway.disk.submit(work, lambda _failed, _definite: None)

    # Writing

    def touch(self, link: RememberingLink) -> None:
        """There is something to write for a sender."""
        if not link.stale:
            self._dirty[link] = None
            self._gateway.soon(self)

    def write(self) -> None:
        """Write what waits, one write a sender at a time."""
        for link in [link for link in self._dirty if link not in self._writing]:
            del self._dirty[link]
            port = self._gateway.port_of(link)
            for taken in [*(port.ready() if port is not None else []), []]:
                pending = _take(link, port, taken)
                if pending is not None:
                    self._submit(link, port, pending, [key for _, key in taken])
                    break

    def _submit(self, link: RememberingLink, port: "CommittingPort | None", pending: Pending, keys: list[str]) -> None:
        name = link.peer
        self._writing.add(link)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO senders VALUES (?, ?)", (name, pending.record))
            connection.executemany("INSERT INTO effects VALUES (?)", [(key,) for key in keys])
            self._gateway.note_applied(keys)

        self._gateway.disk.submit(
            work, lambda failed, definite: self._written(link, port, pending, failed=failed, definite=definite)
        )

    def _written(
        self, link: RememberingLink, port: "CommittingPort | None", pending: Pending, *, failed: bool, definite: bool
    ) -> None:
        self._writing.discard(link)
        if link.stale:
            return
        if not failed:
            link.stored(pending, now=self._gateway.now)
            if port is not None:
                port.done_with(token for token, _ in pending.runs)
        elif definite:
            link.returned(pending)
        else:
            self.in_doubt = True
            self._give_up(link.peer)
            self._gateway.give_up(link.peer)
            self._gateway.read_again()
            return
        self.touch(link)
        if port is not None:
            port.pump()

    def _give_up(self, sender: str) -> bool:
        link = self._links.pop(sender, None)
        if link is None:
            return False
        link.stale = True
        self._dirty.pop(link, None)
        return True


def _take(link: RememberingLink, port: "CommittingPort | None", taken: list[Open]) -> Pending | None:
    """Take what is to be written, without what was sent by an incarnation of the sender that is no more."""
    while taken or link.dirty:
        try:
            return link.take([(token, 1) for token, _ in taken])
        except OutOfOrder:  # An earlier one that the application was busy for has to come again first.
            taken.clear()
        except Closed:
            assert port is not None, "only an application's messages can be too old"
            port.done_with([taken.pop(0)[0]])
    return None


class CommittingPort(Port):
    """The gateway's side of one device, with an application that commits in the order received."""

    link: RememberingLink

    def __init__(self, world: "World", link: RememberingLink, incarnation: str, peer: str, records: Records) -> None:
        super().__init__(world, link, incarnation, peer, lambda _port, _final: None)
        self._records = records
        self._open: dict[int, str] = {}
        self._ready: set[int] = set()

    def ready(self) -> list[list[Open]]:
        """Return, for each channel, the messages that may be committed now: no open one comes before them."""
        found: dict[int, list[Open]] = {}
        waits: set[int] = set()
        for token in sorted(self._open):
            channel = token >> CHANNEL_SHIFT
            if token in self._ready and channel not in waits:
                found.setdefault(channel, []).append((token, self._open[token]))
            else:
                waits.add(channel)
        return list(found.values())

    def done_with(self, tokens: Iterable[int]) -> None:
        """The application is done with these messages."""
        for token in tokens:
            self._open.pop(token, None)
            self._ready.discard(token)

    def pump(self) -> None:
        """Do what is to be done; what waited for an earlier message may be committed now, if that was given up."""
        super().pump()
        if self.alive and self._ready:
            self._records.touch(self.link)

    def _note_handed(self, token: int, key: str) -> None:
        self._open[token] = key
        self._world.book.handed(key, self.incarnation, commits=True)

    def _finish(self, token: int, key: str, *, code: str) -> None:
        if not self.alive or token not in self._open:
            return
        if code:
            del self._open[token]  # One that it was busy for comes again, or was given up by its sender.
            super()._finish(token, key, code=code)
            return
        self._ready.add(token)
        self._records.touch(self.link)
        self.pump()
