"""A device whose messages outlive its processes: an outbox on a simulated disk, under the same link and network.

Each of its processes is another incarnation of one sender, so the book knows them by one name, and holds three things
more: nothing goes out before it is stored, nothing that was stored is lost by a crash, and what was told to be given
up stays given up.
"""

import sqlite3
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from agt.chaos.sim._disk import Disk
from agt.chaos.sim._hosts import Device, Gateway, config_of
from agt.chaos.sim._port import Port
from agt.transport.durable import StoreUnavailable
from agt.transport.durable._outbox_layout import OutboxLayout, read_past, write
from agt.transport.durable._outbox_link import OutboxLink
from agt.transport.durable._writes import OutboxWrite, Past, unpack
from agt.transport.wires.native import KeepingLink

if TYPE_CHECKING:
    from agt.chaos.sim._world import World

WALL_S = 1_700_000_000.0
"""What the wall clock says when the world begins."""
PLACE = Path("outbox")
SPAN = 8
"""How many numbers a link may have under way for each message that its outbox may hold."""
BYTES_MAX = 1 << 20
GATEWAY = "gateway"
REOPEN_S = 2.0
"""How long it takes at most until a disk that failed is looked at again."""


class DurableDevice(Device):
    """Dials the gateway; what it accepts is in its outbox before it goes out."""

    def __init__(self, world: "World", name: str, gateway: Gateway) -> None:
        super().__init__(world, name, gateway)
        self.world = world
        self.disk = Disk(
            world.clock,
            Random(world.draw()),
            write_s=world.profile.disk_s,
            fail=world.profile.disk_fail,
            note=lambda what: world.trace(f"{name}: {what}"),
        )
        OutboxLayout(name, self._rng.getrandbits(60) + 1).create(self.disk.connection)
        self.sent = 0
        """Messages that all its processes were given."""
        self._places: dict[tuple[int, int], str] = {}
        self._outbox = f"{name}#outbox"

    def start(self) -> str:
        """Start the next process over what the last one left."""
        self._starts += 1
        self.running = True
        self._world.alive.add(self._outbox)
        past = read_past(self.disk.connection, PLACE)
        kept = sum(len(channel.messages) for channel in past.channels.values())
        self._world.trace(f"{self.name} starts over its outbox{f' with {kept} messages' if kept else ''}")
        queue = SPAN * self._world.profile.send_queue_max
        config = msgspec.structs.replace(config_of(self._world), send_queue_max=queue)
        link = KeepingLink(past.name, rng=self._rng, config=config, epoch=past.epoch, peer_memory=past.peer_memory)
        port = self._port = DurablePort(self, link, past, self._outbox)
        port.restore()
        self._dial(port)
        port.pump()
        return self._outbox

    def crash(self) -> None:
        """Die; no second process can open the outbox, so that there are no zombies."""
        port, self._port, self.running = self._port, None, False
        if port is not None:
            self._world.trace(f"{self.name} crashes")
            self.disk.crash()
            self._loses(port)

    @property
    def busy(self) -> bool:
        """Whether numbers of messages that have ended still have to be skipped, one window at a time."""
        return isinstance(self._port, DurablePort) and self._port.busy

    def heal(self) -> None:
        """Let the disk work."""
        self.disk.heal()

    def on_free(self, port: Port, final: bool) -> None:  # noqa: FBT001  # The port's callback.
        """Dial again."""
        self._on_free(port, final)

    def write(self, connection: sqlite3.Connection, change: OutboxWrite) -> None:
        """Write a change, and note in the book what is stored by it."""
        write(connection, change)
        book = self._world.book
        for segment in change.segments:
            for sequence, message in enumerate(unpack(segment, segment.checksum), segment.first):
                if not message.ended:
                    key = self._places[segment.channel, sequence] = key_in(message.payload)
                    book.stored(key)
        for place in sorted(change.ended):
            if place in self._places:
                book.given_up(self._places[place])


class DurablePort(Port):
    """One process over the outbox."""

    link: OutboxLink

    def __init__(self, device: "DurableDevice", link: KeepingLink, past: Past, incarnation: str) -> None:
        world = device.world
        outbox = OutboxLink(
            link,
            past,
            max_messages=world.profile.send_queue_max,
            max_bytes=BYTES_MAX,
            on_write=lambda: None,  # Every turn ends by looking for one.
            flush=self._flush,
        )
        super().__init__(world, outbox, incarnation, GATEWAY, device.on_free)
        self._native = link
        self._numbered = {channel: was.base + len(was.messages) for channel, was in past.channels.items()}
        self._device = device
        self._blocking = False
        self._sent = device.sent

    def restore(self) -> None:
        """Take up what the last process left."""
        alive = self.link.restore(now=self._world.clock.now, wall_now=self._wall())
        self._keys = {message: key_in(message.payload) for message in alive}
        self._world.book.restored(self.incarnation, set(self._keys.values()), self._world.clock.now)

    def send(self, deadline_s: float, size: int) -> str | None:
        """Send the next message; its key, or None when the outbox is full or in trouble."""
        try:
            key = super().send(deadline_s, size)
        except StoreUnavailable:
            return None
        if key is not None:
            self._world.book.entries[key].durable = True
            channel = self._world.book.entries[key].channel
            self._numbered[channel] = self._numbered.get(channel, 0) + 1
        self._device.sent = self._sent
        return key

    @property
    def busy(self) -> bool:
        """Whether the receiver has not answered for all numbers that were given."""
        settled = self._native.settled_through()
        return any(settled.get(channel, 0) < last for channel, last in self._numbered.items())

    def pump(self) -> None:
        """Do what is to be done, and write what has to be written."""
        super().pump()
        if self.alive and not self._pumping:
            self._submit()

    def _wall(self) -> float:
        return WALL_S + self._world.clock.now

    def _submit(self) -> bool:
        change = self.link.next_write(now=self._world.clock.now, wall_now=self._wall())
        if change is None:
            return False
        self._device.disk.submit(lambda connection: self._device.write(connection, change), self._written)
        return True

    def _written(self, failed: bool, definite: bool) -> None:  # noqa: FBT001  # The disk's callback.
        now = self._world.clock.now
        if failed:
            trouble = StoreUnavailable(PLACE, "no space is left", "make room")
            self.link.failed(trouble, definite=definite, now=now)
            self._world.clock.after(self._rng.random() * REOPEN_S, self._reopen)
        else:
            self.link.written(now=now)
        if not self._blocking:
            self.pump()

    def _reopen(self) -> None:
        if self.alive:
            self.link.reopened()
            self.pump()

    def _flush(self) -> None:
        self._blocking = True
        self._device.disk.settle()
        while self._submit():
            self._device.disk.settle()
        self._blocking = False


def key_in(payload: bytes) -> str:
    """Return the key that a payload begins with."""
    return payload.decode(errors="replace").rstrip(" ")
