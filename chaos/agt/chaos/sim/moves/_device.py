"""Simulated devices: what they receive, act on and answer, over whichever attachment it came by.

A device is written from its wires' facts and knows nothing of routers. It has one state over all its attachments; a
*sequenced* one keeps a watermark in it, which outlives a restart. It notes everything in the oracle's book.
"""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._network import Connection
from agt.chaos.sim.moves._session import SUPERSEDED, SimulatedCarrier, SimulatedSession
from agt.chaos.sim.moves._wires import legacy_frames, legacy_hello, number_of, reply_to
from agt.transport import ReceivedMessage
from agt.transport.wires.native import NativeConfig, NativeLink

if TYPE_CHECKING:
    from agt.chaos.sim.moves._world import RouterWorld

REDIAL_S = 0.4
"""Longest pause before a device dials again, the first time."""
REDIAL_DOUBLINGS = 3
KEEPALIVE_S = 2.0
"""How often a legacy device's kernel looks whether anybody is at the other end."""
NATIVE = NativeConfig(handshake_timeout_s=2.0, ping_interval_s=1.0, idle_timeout_s=3.0)
"""Waits are short, so that runs are."""


class Device:
    """One device: its state, its attachments, and the process that may be restarted."""

    def __init__(self, world: "RouterWorld", name: str) -> None:
        self.name, self.world = name, world
        self.rng = Random(world.draw())
        self.watermark = 0
        """The highest number acted upon."""
        self.attachments: dict[str, Attachment] = {}
        self.wants = "legacy"
        """Which attachment it has, where it has one at a time."""
        self._life = 0

    def start(self) -> None:
        """Switch on and dial."""
        self._life += 1
        profile = self.world.profile
        self.attachments = {"legacy": LegacyAttachment(self, self.world.legacy_wire)}
        if profile.wire == "lines":
            self.attachments["native"] = NativeAttachment(self)
        for name, attachment in self.attachments.items():
            if not profile.redial or name == self.wants:
                attachment.dial()

    def crash(self) -> None:
        """Lose the power: every connection breaks, the state stays."""
        self._life += 1
        for attachment in self.attachments.values():
            attachment.stop(silent=self.rng.random() < 0.5)
        self.attachments = {}

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something in a while, unless the device has been restarted meanwhile."""
        life = self._life

        def act() -> None:
            if life == self._life:
                action()

        self.world.clock.after(delay_s, act)

    def take(self, number: int, attachment: str, gateway: int) -> None:
        """Receive a command that a gateway's incarnation has written, and act on it or pass over it."""
        acts = not self.world.profile.sequenced or number > self.watermark
        self.watermark = max(self.watermark, number)
        self.world.trace(f"{self.name} {'acts on' if acts else 'passes over'} #{number} by {attachment} of {gateway}")
        try:
            self.world.book.reached(self.name, number, attachment, gateway, acts=acts)
        except BrokenPromise as broken:
            self.world.fail(broken)

    def reaction_s(self) -> float:
        """Draw how long it takes to answer."""
        return self.rng.random() * self.world.profile.reaction_s

    def redial(self, wants: str) -> None:
        """Take up the other attachment: where there is one at a time, the present one ends."""
        if self.wants != wants:
            self.wants = wants
            for name, attachment in self.attachments.items():
                if name != wants:
                    attachment.stop(silent=False)
            if wants in self.attachments:
                self.attachments[wants].dial()


class Attachment:
    """One way to the gateway, dialled again and again."""

    name = ""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.gateway = 0
        """The incarnation at the other end."""
        self._failures = 0
        self._waiting = False

    @property
    def allowed(self) -> bool:
        """Whether this attachment is to be up."""
        return not self.device.world.profile.redial or self.device.wants == self.name

    def dial(self) -> None:
        """Connect now."""
        raise NotImplementedError

    def stop(self, *, silent: bool) -> None:
        """Let go of the connection."""
        raise NotImplementedError

    def dial_again(self) -> None:
        """Connect in a while, later each time nobody answers."""
        if self._waiting or not self.allowed:
            return
        self._waiting = True
        longest_s = REDIAL_S * 2 ** min(self._failures, REDIAL_DOUBLINGS)

        def now() -> None:
            self._waiting = False
            if self.allowed:
                self.dial()

        self.device.later(self.device.rng.random() * longest_s, now)

    def answered(self, connection: Connection | None) -> bool:
        """Note how a dial has ended; true when there is a connection."""
        if connection is None:
            self._failures += 1
            self.dial_again()
            return False
        self._failures = 0
        self.gateway = self.device.world.gateway.starts
        return True


class LegacyAttachment(Attachment):
    """A legacy socket; an `End` of the network."""

    name = "legacy"

    def __init__(self, device: Device, wire: str) -> None:
        super().__init__(device)
        self._wire = wire
        self._connection: Connection | None = None
        self._read = b""
        self._reply_at = 0.0

    def dial(self) -> None:
        """Connect now."""
        world = self.device.world

        def done(connection: Connection | None) -> None:
            if not self.answered(connection):
                return
            assert connection is not None, "answered"
            if self.device.attachments.get(self.name) is not self or not self.allowed:
                connection.close(self)
                return
            self._connection, self._read, self._reply_at = connection, b"", 0.0
            world.gateway.called(connection)
            connection.send(self, legacy_hello(self._wire, self.device.name, sequenced=world.profile.sequenced))
            self._look(connection)

        world.networks["legacy"].dial(self, world.gateway.listen_legacy, done)

    def stop(self, *, silent: bool) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(self, silent=silent)

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Take commands."""
        if connection is not self._connection:
            return
        frames, self._read = legacy_frames(self._wire, self._read + data)
        for frame in frames:
            number = number_of(self._wire, frame)
            if number is not None:
                self.device.take(number, self.name, self.gateway)
                self._reply(connection, reply_to(self._wire, frame))

    def on_end(self, connection: Connection) -> None:
        """Dial again."""
        if connection is self._connection:
            self.stop(silent=False)
            self.dial_again()

    def _reply(self, connection: Connection, reply: bytes) -> None:
        world = self.device.world
        self._reply_at = max(self._reply_at, world.clock.now + self.device.reaction_s())

        def send() -> None:
            if connection is self._connection:
                connection.send(self, reply)

        self.device.later(self._reply_at - world.clock.now, send)

    def _look(self, connection: Connection) -> None:
        if connection is self._connection:
            if connection.alone(self):
                self.on_end(connection)
            else:
                self.device.later(KEEPALIVE_S, lambda: self._look(connection))


class NativeAttachment(Attachment):
    """A native attachment beside the legacy socket: the real link and session."""

    name = "native"

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        world = device.world
        link = NativeLink(device.name, rng=Random(device.rng.getrandbits(64)), config=NATIVE)
        self._session = SimulatedSession(world.clock, self._run, link, on_message=self._heard)
        self._carrier: SimulatedCarrier | None = None
        self._alive = True

    def dial(self) -> None:
        """Connect now."""
        world = self.device.world

        def done(connection: Connection | None) -> None:
            if not self._alive:
                if connection is not None:
                    connection.close(self._caller)
                return
            if self.answered(connection):
                assert connection is not None, "answered"
                carrier = self._carrier = self._session.join(connection)
                connection.replace(self._caller, carrier)
                carrier.on_over = lambda reason: self._over(carrier, reason)
                if not self.allowed:
                    self._session.disconnect("not wanted any more")

        self._caller = Caller()
        world.networks["native"].dial(self._caller, world.gateway.listen_native, done)

    def stop(self, *, silent: bool) -> None:
        """Let go of the connection; after a silent stop it is never taken up again."""
        if self.device.attachments and self.device.world.profile.redial:
            self._session.disconnect("taking the other way")
            return
        self._alive = False
        if self._carrier is not None:
            self._carrier.die(silent=silent)

    def _over(self, carrier: SimulatedCarrier, reason: str) -> None:
        if carrier is self._carrier and reason != SUPERSEDED:
            self._carrier = None
            self.dial_again()

    def _run(self, action: Callable[[], None]) -> None:
        if self._alive:
            action()

    def _heard(self, message: ReceivedMessage) -> None:
        number = number_of("lines", message.payload)
        assert number is not None, "only commands are sent"
        self.device.take(number, self.name, self.gateway)
        message.defer()
        self.device.later(self.device.reaction_s(), lambda: self._run(message.ack))


class Caller:
    """Who dials, until the call is answered; an `End` of the network."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Nobody speaks before the caller does."""

    def on_end(self, connection: Connection) -> None:
        """Nothing to let go of."""
